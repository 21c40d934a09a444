"""A whole study: wait for the sites, federated rounds, the choice of the model, and what it is worth.

Strategies are pure functions of updates (`fpe_core.aggregation`), the sites are behind an `Exchange`, and everything
that must survive is in the `RunFolder`; so this is the same in a deployment, in a simulation and in a test.
"""

import time
from collections.abc import Mapping
from threading import Lock

from fpe_core.aggregation import SiteUpdate, check_update, weighted_average
from fpe_core.config.recipe import recipe_named
from fpe_core.config.study import StudyPlan
from fpe_core.data.labels import label_fingerprint
from fpe_core.errors import FederationError, FpeError, QuorumLost, StateUnreadable, StudyMismatch, UpdateRefused
from fpe_core.evaluation.results import RoundResults, RoundSite, StudyFailure, StudyResults
from fpe_core.models.planned import initial_state
from fpe_core.protocol import Evaluation, Failure, Kind, Reply, Request
from fpe_core.state import FlatState
from fpe_server.checkpoint import Checkpoint, StudyProgress
from fpe_server.exchange import Exchange
from fpe_server.outcome import mean_loss, pooled_auc, study_results
from fpe_server.store import RunFolder

_SITES_POLL_S = 0.5
_DRAWING = Lock()
"""matplotlib draws in one thread at a time; a simulation may run several studies side by side."""


def run_study(plan: StudyPlan, exchange: Exchange, folder: RunFolder) -> StudyResults:
    """Run `plan` to its end, from the last checkpoint if there is one.

    Args:
        plan: what to do.
        exchange: the way to the sites.
        folder: where state, checkpoints and results go.

    Returns:
        What `results.json` and the report say.

    Raises:
        QuorumLost: too few sites take part or answer; the checkpoint of the last good round stays.
        CheckpointUnreadable: the folder's checkpoints are damaged or belong to another plan.
    """
    try:
        return _Study(plan, exchange, folder).run()
    except FpeError as error:
        folder.fail(error)
        raise
    except Exception:
        folder.fail(FederationError("an unexpected error ended the study"))
        raise


class _Study:
    def __init__(self, plan: StudyPlan, exchange: Exchange, folder: RunFolder) -> None:
        self._plan = plan
        self._exchange = exchange
        self._folder = folder
        self._rounds = plan.federation.rounds

    def run(self) -> StudyResults:
        self._folder.tell("preparing", status="running", rounds=self._rounds, code=None)
        point = self._folder.load_checkpoint(self._plan.fingerprint()) or self._begin()
        while (done := len(point.progress.rounds)) < self._rounds:
            self._folder.tell(f"round {done + 1}", status="running", round=done)
            point = self._keep(self._round(point, done + 1))
        if len(point.progress.rounds) == self._rounds:
            point = self._keep(self._close(point))
        point = self._keep(self._test(point))
        if self._plan.federation.compare_with_local:
            point = self._keep(self._train_alone(point))
        return self._finish(point)

    def _keep(self, point: Checkpoint) -> Checkpoint:
        self._folder.save_checkpoint(point)
        return point

    def _begin(self) -> Checkpoint:
        """Wait for the sites, hear what they have, and start from the plan's own weights."""
        sites = self._wait_for_sites()
        replies = self._ask(sites, Request.about(Kind.DESCRIBE, self._plan), "describing the cohort")
        descriptions, failures = {}, []
        for site, reply in replies.items():
            failure = reply.header.failure or self._mismatch(site, reply)
            if failure is None and reply.header.description is not None:
                descriptions[site] = reply.header.description
            elif failure is not None:
                failures.append(StudyFailure(site=site, kind=Kind.DESCRIBE, failure=failure))
        self._require_quorum(len(descriptions), "can take part", {f.site: f.failure for f in failures})
        progress = StudyProgress(
            study_fingerprint=self._plan.fingerprint(), descriptions=descriptions, failures=tuple(failures)
        )
        start = initial_state(self._plan)
        return self._keep(Checkpoint(progress, start, start))

    def _wait_for_sites(self) -> tuple[str, ...]:
        wanted, end = self._plan.federation.min_sites, time.monotonic() + self._plan.federation.wait_for_sites_s
        self._folder.tell(f"waiting for {wanted} sites", status="waiting")
        while len(sites := self._exchange.online_sites()) < wanted:
            if time.monotonic() > end:
                raise QuorumLost(
                    f"{len(sites)} of {wanted} sites connected within {self._plan.federation.wait_for_sites_s:g} s",
                    hint="fpe-server status shows which sites are admitted and connected",
                )
            time.sleep(_SITES_POLL_S)
        self._folder.tell(f"{len(sites)} sites connected", status="running")
        return sites

    def _mismatch(self, site: str, reply: Reply) -> Failure | None:
        """Why the site's cohort cannot be trained on together with the others', if so."""
        description = reply.header.description
        if description is None:
            return Failure.of(StateUnreadable())
        expected = recipe_named(self._plan.recipe).fingerprint(), label_fingerprint(self._plan.task)
        if (description.recipe_fingerprint, description.label_fingerprint) == expected:
            return None
        error = StudyMismatch(f"{site} preprocesses or labels differently: its software differs from the server's")
        self._folder.refused(site, error)
        return Failure.of(error)

    def _round(self, point: Checkpoint, number: int) -> Checkpoint:
        """Send the model out, average what comes back; the replies also say how good the model was that went out."""
        started = time.monotonic()
        request = Request.about(Kind.TRAIN, self._plan, point.current, round_number=number)
        replies = self._ask(point.progress.descriptions, request, f"round {number}")
        updates, sites = self._accept(replies, point.current)
        self._require_quorum(len(updates), f"gave an update in round {number}", _failures(sites))
        entry = self._round_results(number, sites, time.monotonic() - started)
        judged = _judge(point, entry)
        return Checkpoint(judged.progress, point.current.plus(weighted_average(updates)), judged.best)

    def _accept(
        self, replies: Mapping[str, Reply], current: FlatState
    ) -> tuple[dict[str, SiteUpdate], dict[str, RoundSite]]:
        updates, sites = {}, {}
        for site, reply in replies.items():
            header = reply.header
            if header.failure is not None:
                sites[site] = RoundSite(validation=None, training=None, failure=header.failure)
                continue
            try:
                updates[site] = _checked_update(site, reply, current)
                sites[site] = RoundSite(validation=header.evaluation, training=header.training)
            except (UpdateRefused, StateUnreadable) as error:
                self._folder.refused(site, error)
                sites[site] = RoundSite(validation=None, training=None, failure=Failure.of(error))
        return updates, sites

    def _close(self, point: Checkpoint) -> Checkpoint:
        """The last model has not been judged yet: no round sent it out."""
        started = time.monotonic()
        request = Request.about(Kind.EVALUATE, self._plan, point.current, split="validation")
        replies = self._ask(point.progress.descriptions, request, "validating the last model")
        sites = {
            site: RoundSite(validation=reply.header.evaluation, training=None, failure=_failure(reply))
            for site, reply in replies.items()
        }
        answered = len(sites) - len(_failures(sites))
        self._require_quorum(answered, "validated the last model", _failures(sites))
        return _judge(point, self._round_results(self._rounds + 1, sites, time.monotonic() - started))

    def _test(self, point: Checkpoint) -> Checkpoint:
        request = Request.about(Kind.EVALUATE, self._plan, point.best, split="test")
        return self._fill(point, "tests", request, "testing the chosen model")

    def _train_alone(self, point: Checkpoint) -> Checkpoint:
        request = Request.about(Kind.ALONE, self._plan, initial_state(self._plan))
        return self._fill(
            point, "alone", request, "each site trains alone, for comparison", deadline_factor=self._rounds
        )

    def _fill(
        self, point: Checkpoint, column: str, request: Request, message: str, *, deadline_factor: int = 1
    ) -> Checkpoint:
        """Ask the sites that have no evaluation in `column` of the progress yet."""
        known: dict[str, Evaluation] = getattr(point.progress, column)
        missing = [site for site in point.progress.descriptions if site not in known]
        # These answers are not averaged: the slowest site is waited for, up to the deadline.
        replies = self._ask(missing, request, message, quorum=len(missing), deadline_factor=deadline_factor)
        found = {site: r.header.evaluation for site, r in replies.items() if r.header.evaluation is not None}
        lost = tuple(
            StudyFailure(site=site, kind=request.header.kind, failure=failure)
            for site, reply in replies.items()
            if (failure := _failure(reply)) is not None
        )
        update = {column: {**known, **found}, "failures": point.progress.failures + lost}
        return Checkpoint(point.progress.model_copy(update=update), point.current, point.best)

    def _finish(self, point: Checkpoint) -> StudyResults:
        # The report brings matplotlib, which no round needs.
        from fpe_core.evaluation.report import write_report

        metadata = {
            "study": self._plan.name,
            "study_fingerprint": self._plan.fingerprint(),
            "model": self._plan.model.model_dump_json(),
            "recipe": self._plan.recipe,
            "rounds": str(point.progress.best_round),
        }
        results = study_results(self._plan, point.progress, self._folder.save_model(point.best, metadata))
        self._folder.save_results(results)
        with _DRAWING:
            write_report(results, self._folder.path / "report.html")
        self._folder.tell("finished", status="finished", round=self._rounds)
        return results

    def _ask(
        self,
        sites: Mapping[str, object] | list[str] | tuple[str, ...],
        request: Request,
        message: str,
        *,
        quorum: int | None = None,
        deadline_factor: int = 1,
    ) -> dict[str, Reply]:
        federation = self._plan.federation
        self._folder.tell(message, sites=dict.fromkeys(sites, "working"))
        return self._exchange.ask(
            dict.fromkeys(sites, request),
            quorum=quorum or federation.quorum,
            deadline_s=federation.round_deadline_s * deadline_factor,
            grace_s=federation.grace_s,
            on_reply=self._folder.site_answered,
        )

    def _require_quorum(self, got: int, what: str, failures: Mapping[str, Failure]) -> None:
        if got < self._plan.federation.quorum:
            reasons = "; ".join(f"{site}: [{f.code}] {f.sentence}" for site, f in sorted(failures.items()))
            raise QuorumLost(
                f"{got} sites {what}, the quorum is {self._plan.federation.quorum}. {reasons}".strip(),
                hint="mend the sites named above and start the study again: it goes on from its last good round",
            )

    def _round_results(self, number: int, sites: dict[str, RoundSite], duration_s: float) -> RoundResults:
        evaluations = [site.validation for site in sites.values() if site.validation is not None]
        return RoundResults(
            round_number=number,
            sites=sites,
            pooled_validation_auc=pooled_auc(evaluations),
            pooled_validation_loss=mean_loss(evaluations),
            duration_s=duration_s,
        )


def _judge(point: Checkpoint, entry: RoundResults) -> Checkpoint:
    """Add a round's results; the model it was about becomes the best one if its validation loss is the lowest.

    As long as every site has withheld its loss the newest model is the best one. A model without a loss never takes the
    place of one with.
    """
    progress = point.progress.model_copy(update={"rounds": (*point.progress.rounds, entry)})
    loss, lowest = entry.pooled_validation_loss, point.progress.best_loss
    if lowest is not None and (loss is None or loss >= lowest):
        return Checkpoint(progress, point.current, point.best)
    progress = progress.model_copy(update={"best_round": entry.round_number - 1, "best_loss": loss})
    return Checkpoint(progress, point.current, point.current)


def _checked_update(site: str, reply: Reply, current: FlatState) -> SiteUpdate:
    header = reply.header
    if reply.state is None or header.training is None or header.evaluation is None:
        raise StateUnreadable(f"{site}: a round's reply should hold an update, its summary and an evaluation")
    check_update(site, reply.state, header.training.num_cases, layout=current.layout)
    return SiteUpdate(reply.state, header.training.num_cases)


def _failure(reply: Reply) -> Failure | None:
    """What the site said went wrong; an evaluation that is missing without a word counts too."""
    return reply.header.failure or (Failure.of(StateUnreadable()) if reply.header.evaluation is None else None)


def _failures(sites: Mapping[str, RoundSite]) -> dict[str, Failure]:
    return {name: site.failure for name, site in sites.items() if site.failure is not None}

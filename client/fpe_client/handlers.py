"""What a site does with each kind of message. The trainer calls it, and the simulation calls the very same."""

import logging
import time
from importlib.metadata import version

from fpe_client.session import SiteSession
from fpe_core.config.recipe import recipe_named
from fpe_core.config.study import StudyPlan
from fpe_core.data.dataset import CaseDataset
from fpe_core.data.labels import label_fingerprint
from fpe_core.errors import FpeError, StateMismatch, StudyRefused, TrainingFailed
from fpe_core.evaluation.metrics import roc_auc
from fpe_core.evaluation.scores import count_scores
from fpe_core.models.state import layout_of, write_state
from fpe_core.protocol import (
    Evaluation,
    Kind,
    Reply,
    ReplyHeader,
    Request,
    SiteDescription,
    SplitName,
)
from fpe_core.state import FlatState
from fpe_core.training.alone import round_seed, train_alone
from fpe_core.training.local_round import PrivateStudy, train_round
from fpe_core.training.predict import Progress, predict

log = logging.getLogger(__name__)


def handle(request: Request, session: SiteSession, progress: Progress) -> Reply:
    """Answer one request. Any error becomes a code and a constant sentence; its text stays in the site's log."""
    try:
        session.admit(request.header.plan)
        return _HANDLERS[request.header.kind](request, session, progress)
    except FpeError as error:
        log.error("%s failed [%s]: %s %s", request.header.kind, error.code, error, error.hint)
        return Reply.failed(request.header, error)
    except Exception:  # the edge of the process: the text of an unknown error may hold patient data
        log.exception("%s failed unexpectedly", request.header.kind)
        return Reply.failed(request.header, TrainingFailed())


def _describe(request: Request, session: SiteSession, _progress: Progress) -> Reply:
    plan = request.header.plan
    cases = session.cases(plan)
    description = SiteDescription(
        software_version=version("fpe-federation"),
        recipe_fingerprint=recipe_named(plan.recipe).fingerprint(),
        label_fingerprint=label_fingerprint(plan.task),
        num_train=len(cases.splits.train),
        num_validation=len(cases.splits.validation),
        num_test=len(cases.splits.test),
        quarantined=cases.quarantined,
        synthetic=cases.synthetic,
    )
    return Reply(_header(request).model_copy(update={"description": description}))


def _train(request: Request, session: SiteSession, progress: Progress) -> Reply:
    """Evaluate the received model, then train it: one exchange for both."""
    started = time.monotonic()
    plan, received = request.header.plan, _received(request, session)
    splits = session.cases(plan).splits
    evaluation = _evaluate_split(request, session, received, "validation", progress)
    outcome = train_round(
        session.model(plan),
        received,
        train=splits.train,
        validation=splits.validation,
        plan=plan.training,
        seed=round_seed(plan, session.config.site, request.header.round_number),
        hardware=session.hardware,
        progress=progress,
        # Writing it takes seconds: worth it where there are epochs to lose.
        checkpoint=session.paths.round if plan.training.local_epochs > 1 else None,
        private=_private(plan, session),
    )
    if outcome.accountant is not None:
        session.ledger.record(plan.fingerprint(), outcome.accountant)
    summary = outcome.summary.model_copy(update={"training_s": time.monotonic() - started})
    header = _header(request).model_copy(update={"evaluation": evaluation, "training": summary})
    return Reply(header, outcome.trained.minus(received))


def _private(plan: StudyPlan, session: SiteSession) -> PrivateStudy | None:
    """The rounds around a private one; None for a study without privacy."""
    if plan.training.privacy is None:
        return None
    return PrivateStudy(plan.federation.rounds, session.ledger.spent(plan.fingerprint()))


def _evaluate(request: Request, session: SiteSession, progress: Progress) -> Reply:
    plan, received = request.header.plan, _received(request, session)
    split = request.header.split or "validation"
    if plan.training.privacy and split == "train":
        raise StudyRefused("a private study asks for scores of training cases, which have no noise")
    evaluation = _evaluate_split(request, session, received, split, progress)
    return Reply(_header(request).model_copy(update={"evaluation": evaluation}))


def _alone(request: Request, session: SiteSession, progress: Progress) -> Reply:
    plan, received = request.header.plan, _received(request, session)
    if plan.training.privacy:
        raise StudyRefused("a private study asks for lone training, which would spend ε once more")
    chosen = train_alone(
        session.model(plan),
        received,
        site=session.config.site,
        cases=session.cases(plan).splits,
        plan=plan,
        hardware=session.hardware,
        progress=progress,
    )
    evaluation = _evaluate_split(request, session, chosen, "test", progress)
    return Reply(_header(request).model_copy(update={"evaluation": evaluation}))


def _received(request: Request, session: SiteSession) -> FlatState:
    """The model that came with the request, if it is the network that the plan describes."""
    state = request.state
    if state is None or state.layout != layout_of(session.model(request.header.plan)):
        raise StateMismatch("the received weights are not those of the network that the plan describes")
    return state


def _evaluate_split(
    request: Request, session: SiteSession, state: FlatState, split: SplitName, progress: Progress
) -> Evaluation:
    plan = request.header.plan
    cases: CaseDataset = getattr(session.cases(plan).splits, split)
    model = session.model(plan)
    write_state(model, state)
    result = predict(model, cases, plan=plan.training, hardware=session.hardware, progress=progress)
    positive, negative = count_scores(result.probabilities, result.labels)
    return Evaluation(
        split=split,
        num_cases=len(cases),
        num_positive=cases.num_positive,
        loss=result.loss,
        auc=roc_auc(result.probabilities, result.labels) if min(cases.num_positive, cases.num_negative) else None,
        positive_scores=positive,
        negative_scores=negative,
    )


def _header(request: Request) -> ReplyHeader:
    return ReplyHeader(
        kind=request.header.kind,
        study_fingerprint=request.header.plan.fingerprint(),
        round_number=request.header.round_number,
    )


_HANDLERS = {Kind.DESCRIBE: _describe, Kind.TRAIN: _train, Kind.EVALUATE: _evaluate, Kind.ALONE: _alone}

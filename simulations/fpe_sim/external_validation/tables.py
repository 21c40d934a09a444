"""The tables of an external validation."""

from collections.abc import Mapping, Sequence

from fpe_core.evaluation.calibration import Estimate
from fpe_core.evaluation.scores import FEWEST_FOR_DELONG
from fpe_core.evaluation.shares import Share
from fpe_sim.external_validation.pairs import HOSPITAL_TITLES, Pair
from fpe_sim.external_validation.paper import INTERNAL_RESULTS, NOTHING
from fpe_sim.external_validation.participants import Participants, count_cases
from fpe_sim.external_validation.reachable import Reachable
from fpe_sim.external_validation.results import FoldSummary, LocalComparison, PairResult
from fpe_sim.external_validation.scores import NUM_BINS, Interval, SetScores
from fpe_sim.protocol_results import DELONG_RANGE, Entry, ResultTable, Row, interval_entry, mean_sd_entry

_ORIENTATION = (
    "No paper prints an external validation. What stands under “paper” is its own hospital's result, for orientation: "
    "UCLA, AJNR 2024, tables 3 and 4; Vall d'Hebron, Eur J Radiol 2025, table 3, another network, and its fold vote; "
    "recanalisation, MIDL 2022."
)


def tables(
    results: Sequence[PairResult],
    locals_: Sequence[LocalComparison],
    cohorts: Mapping[Pair, tuple[Participants, Participants]],
    reachable: Reachable,
) -> tuple[ResultTable, ...]:
    """All tables, the answer first.

    Args:
        results: of each pair that was run.
        locals_: visiting models beside the hospitals' own.
        cohorts: home and away cases of each pair.
        reachable: of phantoms; empty for real cohorts.
    """
    made = (
        travel_table(results, reachable),
        operating_table(results),
        calibration_table(results),
        fold_table(results),
        local_table(locals_),
        cases_table(cohorts),
        lock_table(results),
    )
    return tuple(table for table in made if table.rows)


def travel_table(results: Sequence[PairResult], reachable: Reachable) -> ResultTable:
    """AUC at home and away, and what is lost on the way."""
    columns = (
        "AUC in cross-validation, mean (SD)", "AUC, home test", "AUC, away", "loss, home − away", "p",
        "reachable, home", "reachable, away",
    )  # fmt: skip
    return ResultTable(
        id="travel",
        title="Does the model travel? AUC at home and at the other hospital",
        columns=columns,
        rows=tuple(Row(name=one.pair.title, entries=_travel(one, reachable)) for one in results),
        note="Home test and away: mean probability of the fold models, which were locked before; AUC with DeLong's "
        f"95 % interval, {DELONG_RANGE}; the loss by "
        f"DeLong's test for different cases, if each class has at least {FEWEST_FOR_DELONG} cases at both. Reachable: "
        "best AUC that any model can reach from the images of that hospital's phantoms. " + _ORIENTATION,
    )


def _travel(one: PairResult, reachable: Reachable) -> tuple[Entry, ...]:
    paper, loss = INTERNAL_RESULTS.get((one.pair.home, one.pair.label), NOTHING), one.loss
    return (
        mean_sd_entry(one.validation_folds.get("auc"), paper.validation_auc),
        _auc(one.home, paper.test_auc),
        _auc(one.away),
        interval_entry(loss.difference, loss.low, loss.high) if loss else Entry(),
        _number(loss.p_value if loss else None),
        _number(reachable.get((one.pair.home, one.pair.label))),
        _number(reachable.get((one.pair.away, one.pair.label))),
    )


def operating_table(results: Sequence[PairResult]) -> ResultTable:
    """Sensitivity, specificity and F1 at the locked threshold."""
    rows = []
    for one in results:
        paper = INTERNAL_RESULTS.get((one.pair.home, one.pair.label), NOTHING)
        printed = (paper.sensitivity, paper.specificity, paper.f1)
        for place, scores in places(one):
            shown = printed if place == HOME else ("", "", "")
            rows.append(Row(name=f"{one.pair.title}: {place}", entries=_operating(one, scores, shown)))
    return ResultTable(
        id="operating-point",
        title="At the locked threshold",
        columns=("threshold", "sensitivity", "specificity", "F1"),
        rows=tuple(rows),
        note="The threshold is the mean of the folds' Youden thresholds, each from its own validation cases, and stays "
        "as it is everywhere. Wilson's 95 % intervals; F1 with a bootstrap interval. “Recalibrated”: all logits moved "
        "by one intercept, fitted to these same cases. " + _ORIENTATION,
    )


def _operating(one: PairResult, scores: SetScores | None, paper: tuple[str, str, str]) -> tuple[Entry, ...]:
    threshold = Entry(here=f"{one.lock.threshold:.3f}", value=one.lock.threshold)
    if scores is None:
        return (threshold, *(Entry(paper=text) for text in paper))
    sensitivity, specificity, f1 = paper
    return (
        threshold,
        _interval(scores.sensitivity, sensitivity),
        _interval(scores.specificity, specificity),
        _interval(scores.f1, f1),
    )


def calibration_table(results: Sequence[PairResult]) -> ResultTable:
    """Slope, intercepts, calibration error and Brier score."""
    return ResultTable(
        id="calibration",
        title="Calibration at home, away, and away after recalibration in the large",
        columns=("cases", "slope", "intercept", "in the large", "ECE", "Brier", "Brier skill"),
        rows=tuple(
            Row(name=f"{one.pair.title}: {place}", entries=_calibration(scores))
            for one in results
            for place, scores in places(one)
        ),
        note="Ideal: slope 1, intercept 0, in the large 0 (below 0 the probabilities are too high), Brier skill above "
        f"0. ECE: expected calibration error over {NUM_BINS} bins of about equal size; it grows as cases get fewer, so "
        "a small home test cohort looks worse than it is. Wald's 95 % intervals. Recalibrated: one intercept is "
        "fitted to these same cases, so that “in the large” is 0 by construction, and slope and AUC stay.",
    )


def _calibration(scores: SetScores | None) -> tuple[Entry, ...]:
    if scores is None:
        return (Entry(),) * 7
    found = scores.calibration
    return (
        Entry(here=f"{scores.num_cases}", value=scores.num_cases),
        _estimate(found.slope),
        _estimate(found.intercept),
        _estimate(found.in_the_large),
        _number(scores.calibration_error),
        _number(found.brier),
        _number(found.brier_skill),
    )


def fold_table(results: Sequence[PairResult]) -> ResultTable:
    """The single models."""
    rows = []
    for one in results:
        summaries = (("validation", one.validation_folds), (HOME, one.home_folds), (AWAY, one.away_folds))
        rows += [Row(name=f"{one.pair.title}: {place}", entries=_folds(found)) for place, found in summaries]
    return ResultTable(
        id="folds",
        title="The fold models one by one, mean (SD)",
        columns=("AUC", "sensitivity", "specificity", "F1"),
        rows=tuple(rows),
        note="Each model at its own threshold. On the validation cases that chose it a threshold looks better than it "
        "is. The SD tells how much models differ that saw other cases of the same hospital, not how sure a mean is.",
    )


def _folds(found: FoldSummary) -> tuple[Entry, ...]:
    return tuple(mean_sd_entry(found.get(name)) for name in ("auc", "sensitivity", "specificity", "f1"))


def local_table(locals_: Sequence[LocalComparison]) -> ResultTable:
    """The visitor beside the hospital's own model."""
    return ResultTable(
        id="own-model",
        title="The visiting model beside the hospital's own, on the same test cases",
        columns=("test cases", "AUC, own", "AUC, visitor", "own − visitor", "p"),
        rows=tuple(Row(name=one.visitor.title, entries=_local(one)) for one in locals_),
        note="Test cohort of the hospital that is visited: neither model has seen it. DeLong's paired test, if each "
        f"class has at least {FEWEST_FOR_DELONG} cases there.",
    )


def _local(one: LocalComparison) -> tuple[Entry, ...]:
    found = one.own_minus_visitor
    return (
        Entry(here=f"{one.num_cases}", value=one.num_cases),
        _number(found.first_auc),
        _number(found.second_auc),
        interval_entry(found.difference, found.low, found.high),
        _number(found.p_value),
    )


def cases_table(cohorts: Mapping[Pair, tuple[Participants, Participants]]) -> ResultTable:
    """Who takes part in which role."""
    rows = tuple(Row(name=pair.title, entries=_cases(pair, *both)) for pair, both in cohorts.items())
    return ResultTable(
        id="cases",
        title="Cases by role: with the outcome / all",
        columns=("development", "home test", "away", "share with the outcome, home", "share with the outcome, away"),
        rows=rows,
        note="Home test: patients treated from the day on that the protocol names for the hospital; without a day the "
        "cohort's own division where it has one, else a random share. Away: every included case of the other hospital.",
    )


def _cases(pair: Pair, home: Participants, away: Participants) -> tuple[Entry, ...]:
    counts = [count_cases(rows, pair.label) for rows in (home.development, home.test)]
    counts += [count_cases(home.rows, pair.label), count_cases(away.rows, pair.label)]
    development, test, at_home, visited = counts
    shown = [Entry(here=f"{positive} / {total}", value=total) for positive, total in (development, test, visited)]
    return (*shown, *(_number(positive / total if total else None) for positive, total in (at_home, visited)))


def lock_table(results: Sequence[PairResult]) -> ResultTable:
    """What was locked."""
    return ResultTable(
        id="locks",
        title="What was locked before it travelled",
        columns=("models", "threshold", "sha256 of the lock"),
        rows=tuple(
            Row(
                name=one.pair.title,
                entries=(
                    Entry(here=f"{len(one.lock.folds)}", value=len(one.lock.folds)),
                    Entry(here=f"{one.lock.threshold:.6f}", value=one.lock.threshold),
                    Entry(here=one.lock.digest()),
                ),
            )
            for one in results
        ),
        note="A lock names the sha256 of every fold's weights, the thresholds, and the fingerprints of network, recipe "
        "and outcome. Predictions away read weights only when their sha256 is the locked one.",
    )


HOME, AWAY, RECALIBRATED = "home test", "away", "away, recalibrated"


def places(one: PairResult) -> tuple[tuple[str, SetScores | None], ...]:
    """Where an ensemble was judged."""
    return ((HOME, one.home), (AWAY, one.away), (RECALIBRATED, one.recalibrated))


def place_title(one: PairResult, place: str) -> str:
    """A place with the hospital's name, for figures."""
    hospital = one.pair.home if place == HOME else one.pair.away
    return HOSPITAL_TITLES[hospital] + {HOME: " (home test)", AWAY: " (away)", RECALIBRATED: " (recalibrated)"}[place]


def _auc(scores: SetScores | None, paper: str = "") -> Entry:
    if scores is None:
        return Entry(paper=paper)
    return interval_entry(scores.auc.auc, scores.auc.low, scores.auc.high, paper)


def _interval(found: Interval | Share, paper: str = "") -> Entry:
    return interval_entry(found.value, found.low, found.high, paper)


def _estimate(found: Estimate | None) -> Entry:
    return Entry() if found is None else interval_entry(found.value, found.low, found.high, digits=2)


def _number(value: float | None) -> Entry:
    return Entry() if value is None else Entry(here=f"{value:.3f}", value=value)

"""What a study's progress adds up to: pooled curves, means over sites, and the results file."""

from collections.abc import Iterable
from importlib.metadata import version

from fpe_core.config.study import StudyPlan
from fpe_core.evaluation.results import PooledScore, SiteResults, StudyResults
from fpe_core.evaluation.scores import auc_from_counts, auc_interval, pool_counts
from fpe_core.protocol import Bins, Evaluation
from fpe_server.checkpoint import StudyProgress

_LIBRARIES = ("fpe-federation", "flwr", "torch", "numpy")


def pooled_counts(evaluations: Iterable[Evaluation]) -> tuple[Bins, Bins] | None:
    """Positive and negative score counts over all sites that sent theirs; None when there are none."""
    shown = [e for e in evaluations if e.positive_scores is not None and e.negative_scores is not None]
    if not shown:
        return None
    positive = pool_counts(e.positive_scores for e in shown if e.positive_scores is not None)
    negative = pool_counts(e.negative_scores for e in shown if e.negative_scores is not None)
    return tuple(int(n) for n in positive), tuple(int(n) for n in negative)


def pooled_auc(evaluations: Iterable[Evaluation]) -> float | None:
    """AUC over the cases of all sites that sent their score counts."""
    counts = pooled_counts(evaluations)
    return None if counts is None else auc_from_counts(positive=counts[0], negative=counts[1])


def pooled_score(evaluations: Iterable[Evaluation]) -> PooledScore | None:
    """The pooled AUC with its 95 % interval (DeLong)."""
    counts = pooled_counts(evaluations)
    if counts is None:
        return None
    positive, negative = counts
    interval = auc_interval(positive=positive, negative=negative)
    return PooledScore(
        num_cases=sum(positive) + sum(negative), auc=interval.auc, auc_low=interval.low, auc_high=interval.high
    )


def mean_loss(evaluations: Iterable[Evaluation]) -> float | None:
    """Mean loss per case over the sites that gave theirs; None when none did."""
    known = [(e.loss, e.num_cases) for e in evaluations if e.loss is not None and e.num_cases]
    if not known:
        return None
    return sum(loss * num_cases for loss, num_cases in known) / sum(num_cases for _, num_cases in known)


def study_results(plan: StudyPlan, progress: StudyProgress, model_sha256: str) -> StudyResults:
    """Everything the study found, in the form of `results.json`."""
    pairs = [
        (progress.tests[site].auc, progress.alone[site].auc)
        for site in progress.descriptions
        if site in progress.tests and site in progress.alone
    ]
    both = [(together, alone) for together, alone in pairs if together is not None and alone is not None]
    return StudyResults(
        plan=plan,
        study_fingerprint=progress.study_fingerprint,
        synthetic=any(description.synthetic for description in progress.descriptions.values()),
        software={name: version(name) for name in _LIBRARIES},
        sites=tuple(
            SiteResults(site=site, description=d, test=progress.tests.get(site), alone_test=progress.alone.get(site))
            for site, d in sorted(progress.descriptions.items())
        ),
        rounds=progress.rounds,
        best_round=progress.best_round,
        pooled_test=pooled_score(progress.tests.values()),
        mean_site_test_auc=_mean([together for together, _ in both]),
        mean_alone_test_auc=_mean([alone for _, alone in both]),
        model_sha256=model_sha256,
        failures=progress.failures,
    )


def _mean(values: list[float]) -> float | None:
    return sum(values) / len(values) if values else None

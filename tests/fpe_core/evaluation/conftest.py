"""A finished study with plausible numbers, drawn from a simple model of how ranking improves over the rounds."""

from collections.abc import Callable
from statistics import NormalDist

import numpy as np
import pytest

from fpe_core.config.study import FederationPlan, StudyPlan
from fpe_core.errors import NotEnoughCases, SiteLost, TrainerOverdue
from fpe_core.evaluation.results import PooledScore, RoundResults, RoundSite, SiteResults, StudyFailure, StudyResults
from fpe_core.evaluation.scores import auc_interval, pool_counts
from fpe_core.protocol import (
    NUM_SCORE_BINS,
    Evaluation,
    Failure,
    Kind,
    SiteDescription,
    SplitName,
    TrainingSummary,
)

SITES = {"north-hospital": 96, "river-clinic": 60, "st-anna-and-st-john-university-hospital": 41}
ROUNDS = 8
SHA = "ab" * 32


def _exact_auc(positive: np.ndarray, negative: np.ndarray) -> float:
    wins = (positive[:, None] > negative).mean() + 0.5 * (positive[:, None] == negative).mean()
    return float(wins)


def evaluation(split: SplitName, num_cases: int, separation: float, seed: int, *, withheld: bool = False) -> Evaluation:
    """Scores of two normal classes about `separation` standard deviations apart, through a logistic curve."""
    num_positive = round(num_cases * 0.42)
    jitter = np.random.default_rng(seed).normal(scale=0.4, size=num_cases)
    logits = np.concatenate(
        [_quantiles(num_positive) + separation / 2, _quantiles(num_cases - num_positive) - separation / 2]
    )
    logits = logits + jitter
    scores = 1 / (1 + np.exp(-logits))
    positive, negative = scores[:num_positive], scores[num_positive:]
    loss = float(-np.log(np.concatenate([positive, 1 - negative])).mean())
    return Evaluation(
        split=split,
        num_cases=num_cases,
        num_positive=None if withheld else num_positive,
        loss=None if withheld else loss,
        auc=None if withheld else _exact_auc(positive, negative),
        positive_scores=None if withheld else _bins(positive),
        negative_scores=None if withheld else _bins(negative),
    )


def _quantiles(count: int) -> np.ndarray:
    return np.array([NormalDist().inv_cdf((i + 0.5) / count) for i in range(count)])


def _pooled(sites: tuple[SiteResults, ...]) -> PooledScore:
    tests = [site.test for site in sites if site.test]
    interval = auc_interval(
        positive=pool_counts(test.positive_scores for test in tests if test.positive_scores),
        negative=pool_counts(test.negative_scores for test in tests if test.negative_scores),
    )
    num_cases = sum(test.num_cases for test in tests)
    return PooledScore(num_cases=num_cases, auc=interval.auc, auc_low=interval.low, auc_high=interval.high)


def _bins(scores: np.ndarray) -> tuple[int, ...]:
    return tuple(int(n) for n in np.histogram(scores, bins=NUM_SCORE_BINS, range=(0, 1))[0])


def _description(num_cases: int) -> SiteDescription:
    return SiteDescription(
        software_version="0.1.0",
        recipe_fingerprint=SHA,
        label_fingerprint=SHA,
        num_train=round(num_cases * 0.6),
        num_validation=round(num_cases * 0.2),
        num_test=round(num_cases * 0.2),
        quarantined={"FPE-212": 2, "FPE-220": 1} if num_cases == 60 else {},
        synthetic=True,
    )


def _round(number: int) -> RoundResults:
    separation = 1.4 * (1 - np.exp(-(number - 1) / 3))
    sites = {}
    for index, (name, size) in enumerate(SITES.items()):
        seed = 7 + index
        training = TrainingSummary(
            num_cases=round(size * 0.6),
            num_epochs=2,
            epoch_losses=(0.72 - 0.03 * number + 0.02 * index, 0.70 - 0.03 * number + 0.02 * index),
            training_s=21.5,
        )
        sites[name] = RoundSite(
            validation=evaluation("validation", max(12, round(size * 0.2)), separation, seed),
            training=training if number <= ROUNDS else None,
        )
    if number == 4:
        sites["river-clinic"] = RoundSite(validation=None, training=None, failure=Failure.of(TrainerOverdue()))
    pooled = evaluation("validation", 400, separation, 3)
    return RoundResults(
        round_number=number,
        sites=sites,
        pooled_validation_auc=pooled.auc,
        pooled_validation_loss=pooled.loss,
        duration_s=24.5,
    )


@pytest.fixture
def make_evaluation() -> Callable[..., Evaluation]:
    return evaluation


@pytest.fixture
def study() -> StudyResults:
    """Three sites of different sizes, eight rounds, one site silent in round 4."""
    sites = tuple(
        SiteResults(
            site=name,
            description=_description(size),
            test=evaluation("test", max(16, round(size * 0.2)), 1.3, 20 + index),
            alone_test=evaluation("test", max(16, round(size * 0.2)), 0.6, 30 + index),
        )
        for index, (name, size) in enumerate(SITES.items())
    )
    plan = StudyPlan(name="phantom-demo", task="fpe", seed=1, federation=FederationPlan(rounds=ROUNDS))
    return StudyResults(
        plan=plan,
        study_fingerprint=plan.fingerprint(),
        synthetic=True,
        software={"fpe-federation": "0.1.0", "flwr": "1.41.0", "torch": "2.13.0"},
        sites=sites,
        rounds=tuple(_round(number) for number in range(1, ROUNDS + 2)),
        best_round=6,
        pooled_test=_pooled(sites),
        mean_site_test_auc=float(np.mean([site.test.auc for site in sites if site.test and site.test.auc])),
        mean_alone_test_auc=float(
            np.mean([site.alone_test.auc for site in sites if site.alone_test and site.alone_test.auc])
        ),
        model_sha256=SHA,
        reachable_auc=0.862,
    )


@pytest.fixture
def troubled_study(study: StudyResults) -> StudyResults:
    """Real patients; one site withholds, one is lost before the test, so no pooled score and one pair of AUCs."""
    first, second, third = study.sites
    held_back = evaluation("test", 9, 1.0, 4, withheld=True)
    sites = (
        first,
        second.model_copy(update={"test": None}),
        third.model_copy(update={"test": held_back, "alone_test": held_back}),
    )
    assert first.test
    assert first.alone_test
    changes = {
        "synthetic": False,
        "sites": sites,
        "pooled_test": None,
        "mean_site_test_auc": first.test.auc,
        "mean_alone_test_auc": first.alone_test.auc,
        "reachable_auc": None,
        "failures": (
            StudyFailure(site="hill-hospital", kind=Kind.DESCRIBE, failure=Failure.of(NotEnoughCases())),
            StudyFailure(site="river-clinic", kind=Kind.EVALUATE, failure=Failure.of(SiteLost())),
        ),
    }
    return StudyResults.model_validate({**study.model_dump(), **{k: _plain(v) for k, v in changes.items()}})


def _plain(value: object) -> object:
    return tuple(item.model_dump() for item in value) if isinstance(value, tuple) else value


@pytest.fixture
def drawn_cases() -> Callable[..., tuple[np.ndarray, np.ndarray]]:
    """Probabilities and labels of two normal classes through a logistic curve."""
    return _drawn_cases


def _drawn_cases(
    seed: int, num_cases: int, *, separation: float = 1.0, prevalence: float = 0.4, digits: int = 12
) -> tuple[np.ndarray, np.ndarray]:
    """Rounded to `digits` for ties; the first two cases are of both classes."""
    draw = np.random.default_rng(seed)
    labels = (draw.random(num_cases) < prevalence).astype(np.int64)
    labels[:2] = (0, 1)
    logits = draw.standard_normal(num_cases) + separation * (labels - 0.5)
    return np.round(1 / (1 + np.exp(-logits)), digits), labels


@pytest.fixture
def delong_1988() -> dict[str, np.ndarray]:
    """The 43 complete cases of the example in DeLong, DeLong & Clarke-Pearson (Biometrics 1988): ovarian cancer with
    bowel obstruction. Ranks are all that counts, so a tenth of each measurement will do as a probability.
    """
    albumin, protein, kg, labels = np.array(_DELONG_1988.split(), dtype=np.float64).reshape(-1, 4).T
    return {"albumin": albumin / 10, "protein": protein / 10, "kg": (10 - kg) / 10, "labels": labels.astype(np.int64)}


# Albumin, total protein, Krebs-Goplerud (K-G) score, and the outcome after surgery.
_DELONG_1988 = """
3.0 5.8 10 0  3.2 6.3 5 1  3.9 6.8 3 1  2.8 4.8 6 0  3.2 5.8 3 1  0.9 4.0 5 0  2.5 5.7 8 0  1.6 5.6 5 1  3.8 5.7 5 1
3.7 6.7 6 1  3.2 5.4 4 1  3.8 6.6 6 1  4.1 6.6 5 1  3.6 5.7 5 1  4.3 7.0 4 1  3.6 6.7 4 0  2.3 4.4 6 1  4.2 7.6 4 0
4.0 6.6 6 0  3.5 5.8 6 1  3.8 6.8 7 1  3.0 4.7 8 0  4.5 7.4 5 1  3.7 7.4 5 1  3.1 6.6 6 1  4.1 8.2 6 1  4.3 7.0 5 1
4.3 6.5 4 1  3.2 5.1 5 1  2.6 4.7 6 1  3.3 6.8 6 0  1.7 4.0 7 0  3.7 6.1 5 1  3.3 6.3 7 1  4.2 7.7 6 1  3.5 6.2 5 1
2.9 5.7 9 0  2.1 4.8 7 1  2.8 6.2 8 0  4.0 7.0 7 1  3.3 5.7 6 1  3.7 6.9 5 1  3.6 6.6 5 1
"""

"""What a study adds up to: numbers by hand."""

import pytest

from fpe_core.config.study import FederationPlan, StudyPlan
from fpe_core.evaluation.results import RoundResults
from fpe_core.protocol import NUM_SCORE_BINS, Evaluation, SiteDescription
from fpe_server.checkpoint import StudyProgress
from fpe_server.outcome import mean_loss, pooled_auc, pooled_counts, pooled_score, study_results

PLAN = StudyPlan(name="small", task="fpe", seed=1, federation=FederationPlan(rounds=1))


def bins(*places: int) -> tuple[int, ...]:
    counts = [0] * NUM_SCORE_BINS
    for place in places:
        counts[place] += 1
    return tuple(counts)


def evaluation(
    positive: tuple[int, ...] | None, negative: tuple[int, ...] | None, *, loss: float = 1.0, auc: float | None = None
) -> Evaluation:
    """A site's test; the places are the bins of its cases' scores, None where the site withholds them."""
    shown = positive is not None and negative is not None
    return Evaluation(
        split="test",
        num_cases=len(positive or ()) + len(negative or ()) if shown else 4,
        num_positive=len(positive) if positive is not None else None,
        loss=loss if shown else None,
        auc=auc,
        positive_scores=bins(*positive) if positive is not None else None,
        negative_scores=bins(*negative) if negative is not None else None,
    )


WITHHELD = evaluation(None, None)


def test_scores_of_all_sites_are_one_curve() -> None:
    """Positives at 120, 90, 60; negatives at 100, 50, 60: of the nine pairs 6 are right and one is a tie."""
    tests = [evaluation((120, 90), (100,)), WITHHELD, evaluation((60,), (50, 60))]
    counts = pooled_counts(tests)
    assert counts == (bins(120, 90, 60), bins(100, 50, 60))
    assert pooled_auc(tests) == pytest.approx(6.5 / 9)
    score = pooled_score(tests)
    assert score is not None
    assert (score.num_cases, score.auc) == (6, pytest.approx(6.5 / 9))
    assert score.auc_low < score.auc < score.auc_high


def test_without_any_scores_there_is_no_curve() -> None:
    for tests in ([], [WITHHELD]):
        assert pooled_counts(tests) is None
        assert pooled_auc(tests) is None
        assert pooled_score(tests) is None


def test_the_mean_loss_is_over_cases() -> None:
    tests = [evaluation((1, 2), (3,), loss=1.0), evaluation((1,), (2,), loss=2.0)]
    assert mean_loss(tests) == pytest.approx((3 * 1.0 + 2 * 2.0) / 5)


def test_the_mean_loss_is_over_the_sites_that_gave_one() -> None:
    tests = [evaluation((1, 2), (3,), loss=1.0), WITHHELD, evaluation((1,), (2,), loss=2.0)]
    assert mean_loss(tests) == pytest.approx((3 * 1.0 + 2 * 2.0) / 5)
    assert mean_loss([tests[0], evaluation((), (), loss=0.0)]) == 1.0
    for silent in ([], [WITHHELD], [evaluation((), (), loss=0.0)]):
        assert mean_loss(silent) is None


def progress(tests: dict[str, Evaluation], alone: dict[str, Evaluation]) -> StudyProgress:
    site = SiteDescription(
        software_version="0.1.0",
        recipe_fingerprint="a" * 64,
        label_fingerprint="b" * 64,
        num_train=3,
        num_validation=3,
        num_test=3,
        quarantined={},
        synthetic=False,
    )
    rounds = tuple(
        RoundResults(round_number=n, sites={}, pooled_validation_auc=None, pooled_validation_loss=1.0, duration_s=0.0)
        for n in (1, 2)
    )
    descriptions = {
        "south": site,
        "north": site.model_copy(update={"synthetic": True}),
        "east": site,
        "west": site,
    }
    return StudyProgress(
        study_fingerprint=PLAN.fingerprint(),
        descriptions=descriptions,
        rounds=rounds,
        best_round=1,
        tests=tests,
        alone=alone,
    )


def test_means_compare_the_same_sites() -> None:
    """east withholds, and west never trained alone: both means are over north and south."""
    one, two = evaluation((9,), (8,), auc=0.9), evaluation((9,), (8,), auc=0.7)
    weak, half = evaluation((9,), (8,), auc=0.6), evaluation((9,), (8,), auc=0.5)
    tests = {"north": one, "south": two, "east": WITHHELD, "west": half}
    results = study_results(PLAN, progress(tests, {"north": weak, "south": half, "east": one}), "c" * 64)
    assert results.mean_site_test_auc == pytest.approx(0.8)
    assert results.mean_alone_test_auc == pytest.approx(0.55)
    assert [site.site for site in results.sites] == ["east", "north", "south", "west"]
    assert (results.sites[3].test, results.sites[3].alone_test) == (half, None)
    assert results.pooled_test is not None
    assert results.pooled_test.num_cases == 6
    assert results.synthetic
    assert (results.best_round, results.model_sha256) == (1, "c" * 64)
    assert results.software.keys() == {"fpe-federation", "flwr", "torch", "numpy"}


def test_without_pairs_there_are_no_means() -> None:
    results = study_results(PLAN, progress({"north": evaluation((9,), (8,), auc=0.9)}, {}), "c" * 64)
    assert results.mean_site_test_auc is None
    assert results.mean_alone_test_auc is None

"""Odds ratios against closed forms, another optimiser, and tables that have none."""

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import expit
from scipy.stats import norm

from fpe_core.config.study import ClinicalColumn
from fpe_core.data.tabular import FloatArray
from fpe_core.errors import DataError, NotEnoughCases
from fpe_core.evaluation.odds_ratios import odds_ratios

NAN = float("nan")
THREE: tuple[ClinicalColumn, ...] = ("age_years", "sex", "tmax_over_4_s_ml")


def two_by_two(a: int, b: int, c: int, d: int) -> tuple[FloatArray, list[int]]:
    """a exposed and b unexposed positive cases, c exposed and d unexposed negative ones."""
    exposed = [1] * a + [0] * b + [1] * c + [0] * d
    return np.array(exposed, dtype=np.float64)[:, None], [1] * (a + b) + [0] * (c + d)


def cohort(num_cases: int = 300, seed: int = 0) -> tuple[FloatArray, np.ndarray[tuple[int], np.dtype[np.int64]]]:
    rng = np.random.default_rng(seed)
    raw = np.column_stack([
        rng.normal(75, 12, num_cases), rng.integers(0, 2, num_cases), rng.uniform(20, 500, num_cases)
    ])  # fmt: skip
    log_odds = -0.03 * (raw[:, 0] - 75) + 0.8 * raw[:, 1] + 0.006 * (raw[:, 2] - 250) - 0.5
    return raw, (rng.random(num_cases) < expit(log_odds)).astype(np.int64)


@pytest.mark.parametrize("table", [(13, 64, 152, 252), (40, 20, 30, 60), (3, 9, 8, 5)])
def test_a_two_by_two_table_has_woolfs_interval(table: tuple[int, int, int, int]) -> None:
    """OR = ad / bc; log OR ± 1.96 √(1/a + 1/b + 1/c + 1/d) (Woolf, Ann Hum Genet 1955). The first table is atrial
    fibrillation in the rLVO paper's training cohort."""
    a, b, c, d = table
    raw, labels = two_by_two(*table)
    (row,) = odds_ratios(raw, labels, columns=("atrial_fibrillation",))
    ratio, error = a * d / (b * c), np.sqrt(1 / a + 1 / b + 1 / c + 1 / d)
    reach = np.exp(norm.ppf(0.975) * error)
    np.testing.assert_allclose((row.odds_ratio, row.low, row.high), (ratio, ratio / reach, ratio * reach), rtol=1e-6)
    assert row.p == pytest.approx(2 * norm.sf(abs(np.log(ratio)) / error), rel=1e-5)
    assert (row.column, row.num_cases) == ("atrial_fibrillation", sum(table))


def test_several_columns_are_at_the_maximum_of_the_likelihood() -> None:
    """Found by another optimiser in the columns' own units; standard errors from the observed information."""
    raw, labels = cohort()
    design = np.column_stack([np.ones(len(raw)), raw - [75, 0, 250]])

    def loss(beta: FloatArray) -> float:
        log_odds = design @ beta
        return float(np.logaddexp(0, np.where(labels == 1, -log_odds, log_odds)).sum())

    def slope(beta: FloatArray) -> FloatArray:
        return np.asarray(design.T @ (expit(design @ beta) - labels))

    scale = np.array([1, 0.1, 1, 0.01])
    found = minimize(
        lambda u: loss(u * scale), np.zeros(4), jac=lambda u: slope(u * scale) * scale, options={"gtol": 1e-8}
    ).x * scale  # fmt: skip
    p = expit(design @ found)
    errors = np.sqrt(np.diag(np.linalg.inv(design.T @ (design * (p * (1 - p))[:, None]))))
    rows = odds_ratios(raw, labels, columns=THREE)
    assert tuple(row.column for row in rows) == THREE
    for row, beta, error in zip(rows, found[1:], errors[1:], strict=True):
        ends = np.exp([beta, beta - 1.959964 * error, beta + 1.959964 * error])
        np.testing.assert_allclose((row.odds_ratio, row.low, row.high), ends, rtol=1e-5)
        assert row.p == pytest.approx(2 * norm.sf(abs(beta / error)), rel=1e-3)


def test_an_odds_ratio_is_per_unit_of_its_column() -> None:
    """In decilitres the odds ratio is the hundredth power; neither the others nor the p-value move."""
    raw, labels = cohort()
    rows = odds_ratios(raw, labels, columns=THREE)
    larger = odds_ratios(raw / [1, 1, 100], labels, columns=THREE)
    assert larger[2].odds_ratio == pytest.approx(rows[2].odds_ratio ** 100, rel=1e-6)
    assert larger[2].p == pytest.approx(rows[2].p, rel=1e-6)
    assert larger[0].odds_ratio == pytest.approx(rows[0].odds_ratio, rel=1e-8)


def test_the_order_of_columns_is_the_callers() -> None:
    raw, labels = cohort()
    forward = odds_ratios(raw, labels, columns=THREE)
    backward = odds_ratios(raw[:, ::-1], labels, columns=THREE[::-1])
    for row, other in zip(forward, reversed(backward), strict=True):
        assert row.column == other.column
        assert row.odds_ratio == pytest.approx(other.odds_ratio, rel=1e-8)


def test_exchanged_labels_give_the_inverse() -> None:
    raw, labels = cohort()
    for row, other in zip(
        odds_ratios(raw, labels, columns=THREE), odds_ratios(raw, 1 - labels, columns=THREE), strict=True
    ):
        assert row.odds_ratio * other.odds_ratio == pytest.approx(1, rel=1e-8)
        assert row.low * other.high == pytest.approx(1, rel=1e-8)


def test_only_complete_cases_count() -> None:
    raw, labels = cohort()
    holes = raw.copy()
    holes[:30, 0], holes[20:50, 2] = NAN, NAN
    rows = odds_ratios(holes, labels, columns=THREE)
    assert rows == odds_ratios(raw[50:], labels[50:], columns=THREE)
    assert {row.num_cases for row in rows} == {250}


def test_too_few_cases_are_refused() -> None:
    raw, labels = cohort()
    with pytest.raises(NotEnoughCases, match=r"3 columns need more than 4 complete cases.*of 4 rows 4 are complete"):
        odds_ratios(raw[:4], [0, 1, 0, 1], columns=THREE)
    with pytest.raises(NotEnoughCases, match="300 are complete, 0 of them positive"):
        odds_ratios(raw, 0 * labels, columns=THREE)
    raw[:, 1] = NAN
    with pytest.raises(NotEnoughCases, match="0 are complete") as caught:
        odds_ratios(raw, labels, columns=THREE)
    assert "missing most often" in caught.value.hint


def test_a_column_that_says_nothing_of_its_own_is_named() -> None:
    raw, labels = cohort()
    same = raw.copy()
    same[:, 1] = 1.0
    with pytest.raises(DataError, match="sex: one value in all 300 complete cases"):
        odds_ratios(same, labels, columns=THREE)
    follows = raw.copy()
    follows[:, 2] = 3 * raw[:, 0] - 7 * raw[:, 1] + 20
    with pytest.raises(DataError, match=r"tmax_over_4_s_ml follows from the columns before it \(age_years, sex\)"):
        odds_ratios(follows, labels, columns=THREE)


@pytest.mark.parametrize("table", [(10, 0, 0, 10), (10, 5, 0, 12), (0, 5, 6, 12)])
def test_separated_classes_are_an_error(table: tuple[int, int, int, int]) -> None:
    """Wholly, or by an empty cell: the maximum likelihood has no finite place."""
    with pytest.raises(DataError, match="separated, wholly or but for ties, by diabetes: an odds ratio is infinite"):
        odds_ratios(*two_by_two(*table), columns=("diabetes",))


def test_columns_that_separate_together_are_named_together() -> None:
    raw, _ = cohort()
    labels = (raw[:, 0] / 12 + raw[:, 2] / 140 > 8.2).astype(np.int64)
    assert 20 < labels.sum() < 280
    with pytest.raises(DataError, match="by age_years, sex, tmax_over_4_s_ml: an odds ratio"):
        odds_ratios(raw, labels, columns=THREE)
    # One case on the wrong side, well inside: finite again.
    inside = int(np.argmax(raw[:, 0] / 12 + raw[:, 2] / 140))
    labels[inside] = 0
    assert all(np.isfinite(row.high) for row in odds_ratios(raw, labels, columns=THREE))


def test_a_rare_finding_is_not_taken_for_separation() -> None:
    (row,) = odds_ratios(*two_by_two(1, 300, 1, 5), columns=("diabetes",))
    assert row.odds_ratio == pytest.approx(5 / 300, rel=1e-5)


def test_wrong_shapes_are_refused() -> None:
    raw, labels = cohort()
    with pytest.raises(ValueError, match="one for each row of the table"):
        odds_ratios(raw, labels[:-1], columns=THREE)
    with pytest.raises(ValueError, match="one for each row of the table"):
        odds_ratios(raw[:, :2], labels, columns=THREE)
    with pytest.raises(ValueError, match="should be 0 or 1"):
        odds_ratios(raw, labels + 1, columns=THREE)

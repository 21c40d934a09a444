"""Clinical baselines: an independent optimum, phantoms whose best AUC is known, and no look at test rows."""

from collections.abc import Callable

import numpy as np
import pytest
from pydantic import ValidationError
from scipy.optimize import minimize
from scipy.special import expit

from fpe_core.config.study import ClinicalColumn
from fpe_core.data.case_table import CaseRow
from fpe_core.data.clinical_columns import RLVO_COLUMNS
from fpe_core.data.phantoms.clinic import clinical_cells
from fpe_core.data.phantoms.latents import LINKS, draw_latents
from fpe_core.data.phantoms.spec import CaseMix
from fpe_core.data.tabular import FloatArray, raw_columns
from fpe_core.errors import ModelError, NotEnoughCases
from fpe_core.evaluation.metrics import roc_auc
from fpe_core.models.clinical import BASELINES, BoostedModel, ClinicalModel, LogisticModel

NAN = float("nan")
Labels = np.ndarray[tuple[int], np.dtype[np.int64]]
TWO: tuple[ClinicalColumn, ...] = ("nihss", "aspects")


def phantoms(num_cases: int, seed: int) -> tuple[list[CaseRow], Labels]:
    """Table and outcome of MR patients for first-pass effect, whose label follows a known link."""
    rng = np.random.default_rng(seed)
    latents = draw_latents(num_cases, CaseMix(), "fpe", rng)
    labels = (rng.random(num_cases) < expit(LINKS["fpe", "mr"].log_odds(latents))).astype(np.int64)
    cells = [clinical_cells(latent, "fpe", "mr", CaseMix(), rng) for latent in latents]
    rows = [
        CaseRow.model_validate(
            {"case_id": f"c{i}", "patient_id": f"p{i}", "images": {}}
            | {name: value for name, value in case.items() if value != ""}
        )
        for i, case in enumerate(cells)
    ]
    return rows, labels


@pytest.fixture(scope="module")
def cohorts() -> tuple[list[CaseRow], Labels, list[CaseRow], Labels]:
    return *phantoms(700, 1), *phantoms(900, 2)


def small_table(seed: int = 0, num_cases: int = 60) -> tuple[FloatArray, Labels]:
    rng = np.random.default_rng(seed)
    raw = np.column_stack([rng.integers(0, 43, num_cases), rng.integers(0, 11, num_cases)]).astype(np.float64)
    labels = (rng.random(num_cases) < expit(0.1 * (raw[:, 0] - 20) - 0.3 * (raw[:, 1] - 5) - 1)).astype(np.int64)
    raw[rng.random(raw.shape) < 0.1] = NAN
    return raw, labels


def logistic(raw: FloatArray, labels: Labels, columns: tuple[ClinicalColumn, ...]) -> ClinicalModel:
    return LogisticModel.fit(raw, labels, columns=columns)


def boosted(raw: FloatArray, labels: Labels, columns: tuple[ClinicalColumn, ...]) -> ClinicalModel:
    return BoostedModel.fit(raw, labels, columns=columns, seed=5)


Fit = Callable[[FloatArray, Labels, tuple[ClinicalColumn, ...]], ClinicalModel]
both = pytest.mark.parametrize("fit", [logistic, boosted])


def test_baselines_are_the_papers() -> None:
    assert dict(BASELINES) == {
        "nihss": ("nihss",), "aspects": ("aspects",), "nihss-aspects": TWO, "all-clinical": RLVO_COLUMNS
    }  # fmt: skip


@both
@pytest.mark.parametrize("name", BASELINES)
def test_every_baseline_beats_chance_on_phantoms(
    fit: Fit, name: str, cohorts: tuple[list[CaseRow], Labels, list[CaseRow], Labels]
) -> None:
    """And none reaches what images and table together allow, 0.90 (docs/phantoms.md)."""
    train, train_labels, test, labels = cohorts
    columns = BASELINES[name]  # type: ignore[index]  # one of its keys
    model = fit(raw_columns(train, columns), train_labels, columns)
    auc = roc_auc(model.predict_proba(raw_columns(test, columns), columns=columns), labels)
    standard_error = np.sqrt(len(labels) / (12 * labels.sum() * (len(labels) - labels.sum())))
    assert 0.5 + 3 * standard_error < auc < 0.90


@both
def test_one_column_that_decides_is_found(fit: Fit) -> None:
    rng = np.random.default_rng(3)
    raw = np.column_stack([rng.uniform(0, 42, 200), rng.uniform(0, 10, 200)])
    labels = (raw[:, 0] > 20).astype(np.int64)
    model = fit(raw[:100], labels[:100], TWO)
    assert roc_auc(model.predict_proba(raw[100:], columns=TWO), labels[100:]) > 0.99


def test_the_regression_is_at_the_optimum_that_is_stated() -> None:
    """Balanced log-likelihood, L2 penalty with C = 1 on columns in 0-1: found again by another optimiser."""
    raw, labels = small_table()
    scaled = np.empty_like(raw)
    for i, cells in enumerate(raw.T):
        full = np.where(np.isnan(cells), np.nanmedian(cells), cells)
        scaled[:, i] = (full - np.nanmin(cells)) / (np.nanmax(cells) - np.nanmin(cells))
    weight = np.where(labels == 1, len(labels) / (2 * labels.sum()), len(labels) / (2 * (len(labels) - labels.sum())))

    def objective(parameters: FloatArray) -> float:
        log_odds = scaled @ parameters[:2] + parameters[2]
        return float(
            weight @ np.logaddexp(0, np.where(labels == 1, -log_odds, log_odds)) + parameters[:2] @ parameters[:2] / 2
        )

    best = minimize(objective, np.zeros(3), tol=1e-12).x
    model = LogisticModel.fit(raw, labels, columns=TWO)
    np.testing.assert_allclose([*model.coefficients, model.intercept], best, atol=1e-4)
    expected = expit(scaled @ best[:2] + best[2])
    np.testing.assert_allclose(model.predict_proba(raw, columns=TWO), expected, atol=1e-4)


def test_json_gives_the_same_model() -> None:
    raw, labels = small_table()
    model = LogisticModel.fit(raw, labels, columns=TWO)
    again = LogisticModel.model_validate_json(model.model_dump_json())
    assert again == model
    np.testing.assert_array_equal(again.predict_proba(raw, columns=TWO), model.predict_proba(raw, columns=TWO))
    damaged = model.model_dump() | {"coefficients": model.coefficients[:1]}
    with pytest.raises(ValidationError, match="coefficients should be 2, got 1"):
        LogisticModel.model_validate(damaged)


@both
def test_the_same_rows_and_seed_give_the_same_model(fit: Fit) -> None:
    raw, labels = small_table()
    first, second = (fit(raw, labels, TWO).predict_proba(raw, columns=TWO) for _ in range(2))
    np.testing.assert_array_equal(first, second)


@both
def test_a_prediction_is_one_rows_own(fit: Fit) -> None:
    """Other test rows change nothing, so no scale is fitted on them."""
    raw, labels = small_table()
    model = fit(raw[:40], labels[:40], TWO)
    together = model.predict_proba(raw[40:], columns=TWO)
    assert together.shape == (20,)
    assert ((together > 0) & (together < 1)).all()
    alone = [model.predict_proba(raw[i : i + 1], columns=TWO)[0] for i in range(40, 60)]
    np.testing.assert_allclose(together, alone, rtol=1e-12)


@both
def test_other_columns_are_refused(fit: Fit) -> None:
    raw, labels = small_table()
    model = fit(raw, labels, TWO)
    assert model.columns == TWO
    for columns in (("aspects", "nihss"), ("nihss", "age_years"), ("nihss",), (*TWO, "sex")):
        with pytest.raises(ModelError, match="fitted on the columns nihss, aspects, in this order; got"):
            model.predict_proba(raw, columns=columns)  # type: ignore[arg-type]  # literals
    with pytest.raises(ValueError, match=r"should be \[N, 2\]"):
        model.predict_proba(raw[:, :1], columns=TWO)


@both
def test_what_cannot_be_fitted_is_refused(fit: Fit) -> None:
    raw, labels = small_table()
    with pytest.raises(NotEnoughCases, match="both classes, got 60 of one"):
        fit(raw, np.zeros_like(labels), TWO)
    with pytest.raises(ValueError, match=r"the table \[59, 2\], got \[60, 2\]"):
        fit(raw, labels[:59], TWO)
    with pytest.raises(ValueError, match="labels should be 0 or 1"):
        fit(raw, labels + 1, TWO)
    with pytest.raises(ValueError, match="at least one column"):
        fit(raw[:, :0], labels, ())
    with pytest.raises(ValueError, match="whose order counts"):
        fit(raw, labels, {"nihss", "aspects"})  # type: ignore[arg-type]  # what is tested


@both
def test_a_column_without_any_value_says_nothing(fit: Fit) -> None:
    raw, labels = small_table()
    raw[:, 1] = NAN
    model = fit(raw, labels, TWO)
    filled = raw.copy()
    filled[:, 1] = 7.0
    np.testing.assert_array_equal(model.predict_proba(filled, columns=TWO), model.predict_proba(raw, columns=TWO))


def test_boosted_trees_see_that_a_value_is_missing() -> None:
    """Where lack of a value is the only sign, a filled-in median says nothing and a branch of its own all."""
    rng = np.random.default_rng(4)
    labels = np.repeat([0, 1], 100)
    raw = rng.uniform(0, 42, size=(200, 1))
    raw[labels == 1] = NAN
    raw[:5], raw[100:105] = 21.0, 21.0
    boosted_auc, filled_auc = (
        roc_auc(fit(raw, labels, ("nihss",)).predict_proba(raw, columns=("nihss",)), labels)
        for fit in (boosted, logistic)
    )
    assert boosted_auc > 0.9
    assert filled_auc < 0.7

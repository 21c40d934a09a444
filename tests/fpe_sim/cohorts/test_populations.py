import numpy as np
import pytest
import statsmodels.api as sm

from fpe_core.data.clinical_columns import RLVO_COLUMNS
from fpe_core.data.labels import label_of
from fpe_core.data.tabular import raw_columns
from fpe_sim.cohorts.populations import UCLA_CT, UCLA_MR, VDH_DEVELOPMENT, VDH_TEST, Population
from tests.fpe_sim.cohorts.cohort_rows import population_rows


@pytest.mark.parametrize(
    ("population", "task", "printed"),
    [
        (UCLA_MR, "fpe", 67 / 152), (UCLA_CT, "fpe", 73 / 180), (VDH_DEVELOPMENT, "rlvo", 0.160),
        (VDH_TEST, "rlvo", 0.136),
    ],
)  # fmt: skip
def test_outcomes_are_as_frequent_as_printed(population: Population, task: str, printed: float) -> None:
    rows = population_rows(population, 8000, 3)
    assert np.mean([label_of(task, row) for row in rows]) == pytest.approx(printed, abs=0.018)  # type: ignore[arg-type]


def test_odds_ratios_go_in_the_printed_directions() -> None:
    """EJR 2025, results: AF 0.36 (0.19-0.67), NIHSS 1.04, Tmax > 4 s 1.006, dyslipidaemia 0.55 (0.33-0.93)."""
    rows = population_rows(VDH_DEVELOPMENT, 20_000, 4)
    table = raw_columns(rows, RLVO_COLUMNS)
    table = np.where(np.isnan(table), np.nanmedian(table, axis=0), table)
    labels = np.array([label_of("rlvo", row) for row in rows])
    odds_ratios = dict(
        zip(RLVO_COLUMNS, np.exp(sm.Logit(labels, sm.add_constant(table)).fit(disp=0).params[1:]), strict=True)
    )
    assert 0.25 < odds_ratios["atrial_fibrillation"] < 0.50
    assert 0.45 < odds_ratios["dyslipidaemia"] < 0.75
    assert 1.01 < odds_ratios["nihss"] < 1.06
    assert odds_ratios["tmax_over_4_s_ml"] > 1.0
    assert 0.85 < odds_ratios["smoker"] < 1.18

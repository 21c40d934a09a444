import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable

import numpy as np
import pytest

from fpe_core.evaluation.decision_curve import decision_curve
from fpe_core.evaluation.figures_decision import decision_figure
from fpe_core.evaluation.figures_reliability import reliability_figure
from fpe_core.evaluation.figures_roc import mean_roc_figure
from fpe_core.evaluation.folds import format_mean_sd
from fpe_core.evaluation.mean_roc import mean_roc
from fpe_core.evaluation.reliability import reliability_bins
from fpe_core.evaluation.report_figures import COLOURS


def words(svg: str) -> str:
    """What a figure says: Matplotlib draws text as paths and keeps the words in comments."""
    ElementTree.fromstring(svg)  # noqa: S314 - our own figure
    return svg


def test_mean_roc_names_its_curves_with_mean_and_sd(drawn_cases: Callable) -> None:
    curves = {name: mean_roc([drawn_cases(seed + i, 40) for seed in range(5)]) for i, name in enumerate(("MR", "CT"))}
    svg = words(mean_roc_figure(curves))
    for name, curve in curves.items():
        assert f"{name}  {format_mean_sd(curve.auc, digits=2)}" in svg
    for colour in COLOURS[:2]:
        assert f"fill: {colour}" in svg
        assert f"stroke: {colour}" in svg
    assert svg == mean_roc_figure(curves)


@pytest.mark.parametrize("num_cases", [2, 332])
def test_reliability_says_how_many_cases(num_cases: int, drawn_cases: Callable) -> None:
    bins = reliability_bins(*drawn_cases(1, num_cases))
    assert f"{num_cases} cases in {len(bins)} bins" in words(reliability_figure(bins))


def test_reliability_of_observed_shares_at_their_bounds() -> None:
    words(reliability_figure(reliability_bins([0.1, 0.9] * 10, [0, 1] * 10)))


def test_decision_curve_has_all_none_and_the_models(drawn_cases: Callable) -> None:
    p, labels = drawn_cases(2, 150)
    svg = words(decision_figure({"MNT-DL": decision_curve(p, labels), "clinical": decision_curve(p**2, labels)}))
    for name in ("all", "none", "MNT-DL", "clinical"):
        assert f"<!-- {name} -->" in svg


def test_decision_curve_of_a_rare_outcome_and_a_useless_model() -> None:
    labels = np.arange(1000) == 0
    svg = words(decision_figure({"useless": decision_curve(1 - labels.astype(float), labels)}))
    assert "<!-- 0.010 -->" in svg
    with pytest.raises(ValueError, match="at least one curve"):
        decision_figure({})


def test_numbers_need_no_matplotlib_and_light_ones_no_library() -> None:
    light = (
        "fpe_core.evaluation, fpe_core.evaluation.metrics, fpe_core.evaluation.delong, fpe_core.evaluation.bootstrap"
    )
    for modules, heavy in (
        (f"{light}, fpe_core.evaluation.thresholds", {"sklearn", "scipy", "statsmodels", "matplotlib", "torch"}),
        ("fpe_core.evaluation.subgroups, fpe_core.evaluation.calibration", {"matplotlib", "torch"}),
    ):
        code = f"import sys, {modules}; print(*({heavy!r} & sys.modules.keys()))"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert done.stdout.split() == []

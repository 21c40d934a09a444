"""The figures of an external validation: ROC curves, reliability diagrams and decision curves, home and away."""

from pathlib import Path

import matplotlib
from matplotlib.figure import Figure
from sklearn.metrics import roc_curve

from fpe_core.evaluation.decision_curve import decision_curve
from fpe_core.evaluation.figures_decision import draw_decision
from fpe_core.evaluation.figures_reliability import draw_reliability
from fpe_core.evaluation.report_figures import HAIRLINE, ROC_SIZE_IN, STYLE, canvas, site_looks
from fpe_sim.external_validation.pairs import HOSPITAL_TITLES
from fpe_sim.external_validation.results import PairResult
from fpe_sim.external_validation.scores import SetScores
from fpe_sim.external_validation.tables import RECALIBRATED, place_title, places
from fpe_sim.figure_files import save_figure
from fpe_sim.protocol_results import ResultFigure


def draw_figures(result: PairResult, folder: Path) -> tuple[ResultFigure, ...]:
    """Write a pair's figures; those of cases that could not be scored are left out."""
    named = {place_title(result, place): scores for place, scores in places(result) if scores is not None}
    away = {
        label: scores
        for label, scores in (("as locked", result.away), ("recalibrated", result.recalibrated))
        if scores is not None
    }
    if not named or not away:
        return ()
    # Recalibration does not move a ROC curve.
    unmoved = {name: scores for name, scores in named.items() if name != place_title(result, RECALIBRATED)}
    pair, there = result.pair, HOSPITAL_TITLES[result.pair.away]
    made = (
        (
            f"roc-{pair.name}",
            draw_roc(unmoved),
            f"ROC curves: {pair.title}",
            "The locked ensemble on the home test cohort and on all cases of the other hospital.",
        ),
        (
            f"calibration-{pair.name}",
            draw_reliability({name: scores.bins for name, scores in named.items()}),
            f"Calibration: {pair.title}",
            "Observed against predicted in bins of about equal size, with Wilson's 95 % intervals; recalibrated: with "
            "one intercept of the new hospital.",
        ),
        (
            f"decision-{pair.name}",
            draw_decision({name: decision_curve(scores.probabilities, scores.labels) for name, scores in away.items()}),
            f"Decision curves at {there}: {pair.title}",
            f"Net benefit at {there} of acting on the model as it was locked, after recalibration in the large, on all "
            "patients and on none.",
        ),
    )
    for figure_id, figure, _, _ in made:
        save_figure(figure, folder, figure_id)
    return tuple(ResultFigure(id=figure_id, title=title, caption=text) for figure_id, _, title, text in made)


def draw_roc(sets: dict[str, SetScores]) -> Figure:
    """ROC curves of one ensemble on several sets of cases; the legend has AUC and number of cases."""
    looks = site_looks(list(sets))
    with matplotlib.rc_context(STYLE):
        figure, axes = canvas(ROC_SIZE_IN)
        axes.plot([0, 1], [0, 1], color=HAIRLINE, linewidth=1.2, zorder=1)
        for name, scores in sets.items():
            x, y, _ = roc_curve(scores.labels, scores.probabilities)
            label = f"{name}: {scores.auc.auc:.2f}, {scores.num_cases} cases"
            axes.plot(x, y, color=looks[name].colour, linewidth=2, label=label, zorder=3)
        axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), aspect="equal")
        axes.set(xlabel="False positive rate (1 − specificity)", ylabel="True positive rate (sensitivity)")
        axes.legend(loc="lower right", title="AUC", title_fontsize=8.8, alignment="left")
    return figure

"""The figures: ROC curves, what DAFT adds, saliency around DAFT (figure 3) and the radar plot (figure 4)."""

from pathlib import Path

import matplotlib
import numpy as np
import torch
from matplotlib.figure import Figure
from torch import nn

from fpe_core.config.recipe import recipe_named
from fpe_core.evaluation.explain.daft import grad_cam_around_daft
from fpe_core.evaluation.explain.overlay import Scene, draw_overlay, most_attended
from fpe_core.evaluation.explain.radar import draw_radar
from fpe_core.evaluation.figures_roc import draw_mean_roc
from fpe_core.evaluation.mean_roc import MeanRoc, mean_roc
from fpe_core.evaluation.report_figures import COLOURS, HAIRLINE, MUTED, STYLE, canvas
from fpe_core.preprocessing.processed import load_volumes
from fpe_sim.figure_files import save_figure
from fpe_sim.protocol_results import ResultFigure
from fpe_sim.run_context import RunContext
from fpe_sim.vdh_rlvo.ablation import AblationStudy
from fpe_sim.vdh_rlvo.attribution import as_contributions, trained_network
from fpe_sim.vdh_rlvo.judged import PARTS, Folds, mean_auc
from fpe_sim.vdh_rlvo.study import Study
from fpe_sim.vdh_rlvo.trained import input_training

_NUM_FOUND = 2
"""Found refractory occlusions in figure 3; a false alarm is the third case, as in the paper."""


def written_figures(study: Study, context: RunContext) -> tuple[ResultFigure, ...]:
    """Draw and save all figures that the run has something for."""
    figures = [_roc(study, context.figures)]
    if study.gains:
        figures.append(_gain(study, context.figures))
    if study.ablation:
        # A real patient's picture does not go into a report: docs/explanations.md says how a site draws its own.
        if study.cohort.ready.synthetic:
            figures += _saliency(study, study.ablation, context)
        figures.append(_radar(study.ablation, context.figures))
    return tuple(figures)


def _roc(study: Study, folder: Path) -> ResultFigure:
    curves: dict[str, Folds] = {"all clinical": study.clinical["all-clinical"]}
    if study.images_alone:
        curves[f"images: {study.images_alone.label}"] = study.models[study.images_alone].folds
    curves[f"best in validation: {study.best.label}"] = study.models[study.best].folds
    save_figure(draw_mean_roc({name: _mean_roc(folds) for name, folds in curves.items()}), folder, "roc-test")
    return ResultFigure(
        id="roc-test",
        title="ROC curves on the test cohort",
        caption="Mean over the folds, and one standard deviation around it.",
    )


def _mean_roc(folds: Folds) -> MeanRoc:
    return mean_roc([(fold.test, fold.test_labels) for fold in folds])


def _gain(study: Study, folder: Path) -> ResultFigure:
    with matplotlib.rc_context(STYLE):
        figure, axes = canvas((6.2, 1.4 + 0.55 * len(study.gains)))
        axes.axvline(0, color=MUTED, linewidth=1.2, zorder=1)
        for row, gain in enumerate(study.gains):
            for shift, part, colour in zip((0.12, -0.12), PARTS, COLOURS, strict=False):
                found = gain.pooled[part]
                y = len(study.gains) - row + shift
                axes.plot([found.low, found.high], [y, y], color=colour, linewidth=2)
                axes.plot([found.difference], [y], "o", color=colour, label=part if row == 0 else None)
        places = [len(study.gains) - row for row in range(len(study.gains))]
        axes.set_yticks(places, [gain.variant.label for gain in study.gains])
        axes.set(xlabel="AUC with DAFT minus AUC without (DeLong, 95 % interval)", ylim=(0.4, len(study.gains) + 0.6))
        axes.grid(axis="y", visible=False)
        axes.grid(axis="x", color=HAIRLINE)
        axes.legend(loc="best")
    save_figure(figure, folder, "daft-gain")
    return ResultFigure(
        id="daft-gain",
        title="What DAFT adds to the same network",
        caption="Paired difference of AUC: out-of-fold predictions of all development cases, and the mean of the folds "
        "on the test cohort.",
    )


def _radar(found: AblationStudy, folder: Path) -> ResultFigure:
    lines = {name.upper(): as_contributions(shares) for name, shares in found.attribution.test.items()}
    save_figure(draw_radar(lines, title="Share of each clinical column, test cohort"), folder, "fig-4-contributions")
    return ResultFigure(
        id="fig-4-contributions",
        title="Figure 4: contributions of the clinical columns",
        caption="Model A, by input, mean over the folds; each network's contributions divided by their sum.",
    )


def _saliency(study: Study, found: AblationStudy, context: RunContext) -> list[ResultFigure]:
    """One figure for each case: CTA, attention before DAFT and after it, vessels outlined."""
    protocol = study.protocol
    seen = "cta" if "cta" in protocol.inputs else protocol.inputs[-1]
    training = input_training(found.a.spec, seen, study.cohort, protocol)
    best = max(range(protocol.num_folds), key=lambda i: mean_auc((found.a.inputs[seen][i],), "validation"))
    model, _ = trained_network(training, best + 1, context.trainings, context.device)
    figures = []
    for number, (words, case) in enumerate(shown_cases(found), start=1):
        figure_id = f"fig-3-saliency-{number}"
        sample = training.cases.test[case]
        file = training.cases.test.cases[case].file
        figure = _around_daft(model, sample.image[None], sample.tabular[None], file, protocol.recipe, words)
        save_figure(figure, context.figures, figure_id)
        figures.append(
            ResultFigure(
                id=figure_id,
                title=f"Figure 3: attention before and after DAFT, {words}",
                caption=f"Grad-CAM of model A's {seen.upper()} network, fold {best + 1}, on a test case; each map "
                "divided by its own maximum. A cell of the map is 32 voxels wide: it points to a region, never to a "
                "vessel.",
            )
        )
    return figures


def shown_cases(found: AblationStudy) -> list[tuple[str, int]]:
    """Test cases as in the paper's figure: two that were found and one false alarm, those with the largest probability.
    Where none was found, one that was missed."""
    vote, labels = found.vote("A"), found.a.folds[0].test_labels
    order = np.argsort(-vote.mean_probability, kind="stable").tolist()
    hits = [("refractory and found", i) for i in order if vote.positive[i] and labels[i]]
    alarms = [("false alarm", i) for i in order if vote.positive[i] and not labels[i]]
    missed = [("refractory and missed", i) for i in order if not vote.positive[i] and labels[i]]
    return (hits[:_NUM_FOUND] or missed[:1]) + alarms[:1]


def _around_daft(
    model: nn.Module, image: torch.Tensor, tabular: torch.Tensor, file: Path, recipe: str, words: str
) -> Figure:
    maps = grad_cam_around_daft(model, image, tabular)
    volumes = load_volumes(file, ("cta", "vessels"))
    _, height_mm, width_mm = recipe_named(recipe).grid.spacing_zyx_mm
    scene = Scene(volumes["cta"], "CTA", pixel_mm=(height_mm, width_mm), vessels=volumes["vessels"] > 0.5)
    before, after = (part[0].float().cpu().numpy() for part in maps)
    # Without any attention in the case, its vessels say which slices are worth a look.
    slices = None if before.any() or after.any() else most_attended([volumes["vessels"]])
    return draw_overlay(scene, {"before DAFT": before, "after DAFT": after}, title=f"Phantom: {words}", slices=slices)

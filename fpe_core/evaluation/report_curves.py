"""From results to the report's figures: which curves there are, what they show, and what is said about them."""

import base64
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from fpe_core.evaluation.report_figures import POOLED, Look, RocLine, Series, learning_figure, roc_figure, site_looks
from fpe_core.evaluation.results import RoundSite, StudyResults
from fpe_core.evaluation.scores import pool_counts, roc_curve
from fpe_core.protocol import Evaluation


class FigurePicture(NamedTuple):
    """A figure as a data URI, with its words."""

    title: str
    source: str
    alt: str
    caption: str


class RocPicture(NamedTuple):
    """The ROC figure as a data URI, with its words: one paragraph for each entry of `caption`."""

    source: str
    alt: str
    caption: list[str]


def roc_picture(results: StudyResults) -> RocPicture | None:
    """ROC curves of the chosen model on held-out cases; None when every site withheld its scores."""
    curves = list(_site_curves(results))
    if not curves:
        return None
    if results.pooled_test:
        curves.append(_pooled_curve(results, results.pooled_test.auc))
    silent = sorted({site.site for site in results.sites} - {curve.label for curve in curves})
    areas = "; ".join(f"{curve.label} {curve.auc:.2f}" for curve in curves)
    return RocPicture(
        source=_data_uri(roc_figure(curves, line_looks(results))),
        alt=f"ROC curves. Area under the curve: {areas}.",
        caption=_how_to_read(silent),
    )


def learning_pictures(results: StudyResults) -> list[FigurePicture]:
    """Validation AUC, validation loss and training loss over the rounds."""
    return [_validation_auc(results), _validation_loss(results), _training_loss(results)]


def _validation_auc(results: StudyResults) -> FigurePicture:
    lines = _validation_lines(results, lambda evaluation: evaluation.auc)
    pooled = [entry.pooled_validation_auc for entry in results.rounds]
    return _learning(
        results,
        [*lines, Series(POOLED, range(len(pooled)), pooled)],
        title="Validation AUC",
        caption="Higher is better. Round 0 is the network before any training; a gap means that nothing was returned.",
        change=_change("AUC of all sites together", pooled),
    )


def _validation_loss(results: StudyResults) -> FigurePicture:
    lines = _validation_lines(results, lambda evaluation: evaluation.loss)
    pooled = [entry.pooled_validation_loss for entry in results.rounds]
    return _learning(
        results,
        [*lines, Series(POOLED, range(len(pooled)), pooled)],
        title="Validation loss",
        caption="Mean loss per case on cases that the site did not train on. Lower is better. Sites with too few "
        "cases of a class return none.",
        change=_change("Mean loss of all sites together", pooled),
    )


def _training_loss(results: StudyResults) -> FigurePicture:
    lines = [_training_line(results, site.site) for site in results.sites]
    changes = " ".join(_change(f"Loss at {line.label}", line.y) for line in lines)
    return _learning(
        results,
        lines,
        title="Training loss",
        caption="Mean loss per case at each site while it trained, one point for each pass over its cases. Sites with "
        "too few cases of a class, and private training, return none.",
        change=changes,
        of_models=False,
    )


def _learning(
    results: StudyResults, lines: list[Series], *, title: str, caption: str, change: str, of_models: bool = True
) -> FigurePicture:
    best_round = results.best_round if of_models else None
    x_label = "Rounds averaged into the model" if of_models else "Round"
    shown = [line for line in lines if any(value is not None for value in line.y)]
    if not shown:
        caption = change = "Nothing to draw: no site returned one."
    svg = learning_figure(shown, line_looks(results), x_label=x_label, y_label=title, best_round=best_round)
    return FigurePicture(title, _data_uri(svg), f"{title} over the rounds. {change}".strip(), caption)


def _validation_lines(results: StudyResults, value: Callable[[Evaluation], float | None]) -> list[Series]:
    lines = []
    for site in results.sites:
        answers = [entry.sites.get(site.site, _ABSENT).validation for entry in results.rounds]
        y = [None if answer is None else value(answer) for answer in answers]
        lines.append(Series(site.site, range(len(y)), y))
    return lines


def _training_line(results: StudyResults, site: str) -> Series:
    """Epoch e of n in round t stands at t − 1 + e / n: where the round ends, its last epoch does."""
    x: list[float] = []
    y: list[float | None] = []
    for entry in results.rounds[:-1]:
        training = entry.sites.get(site, _ABSENT).training
        losses: tuple[float | None, ...] = (training.epoch_losses if training else ()) or (None,)
        x += [entry.round_number - 1 + (epoch + 1) / len(losses) for epoch in range(len(losses))]
        y += losses
    return Series(site, x, y)


def _site_curves(results: StudyResults) -> Iterator[RocLine]:
    for site in results.sites:
        test = site.test
        if test and test.auc is not None and test.positive_scores and test.negative_scores:
            curve = roc_curve(positive=test.positive_scores, negative=test.negative_scores)
            yield RocLine(site.site, curve, test.auc)


def _how_to_read(silent: list[str]) -> list[str]:
    sentences = [
        "The chosen model on cases that no training has seen. Each curve runs through all thresholds: "
        "the share of cases with the outcome that it finds, against the share of the others that it flags by mistake.",
        "Closer to the upper left corner is better; the diagonal is guessing. "
        "With few cases a curve is coarse, and its area uncertain.",
    ]
    if silent:
        sentences.append(f"Not drawn, because they returned no scores: {', '.join(silent)}.")
    return sentences


def _pooled_curve(results: StudyResults, auc: float) -> RocLine:
    tests = [site.test for site in results.sites if site.test]
    positive = pool_counts(test.positive_scores for test in tests if test.positive_scores)
    negative = pool_counts(test.negative_scores for test in tests if test.negative_scores)
    return RocLine(POOLED, roc_curve(positive=positive, negative=negative), auc)


def line_looks(results: StudyResults) -> dict[str, Look]:
    """How each site and the pooled line are drawn, by label, for the legend."""
    return site_looks([site.site for site in results.sites])


def _change(what: str, values: Sequence[float | None]) -> str:
    known = [value for value in values if value is not None]
    return f"{what}: from {known[0]:.3f} to {known[-1]:.3f}." if known else ""


def _data_uri(svg: str) -> str:
    return f"data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode()}"


_ABSENT = RoundSite(validation=None, training=None)

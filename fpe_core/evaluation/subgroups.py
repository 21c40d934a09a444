"""Results by subgroup, with small groups held back: a model's scores by sex or age, its detection rate by cause."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fpe_core.evaluation.cases import binary_labels, cases_of_both_classes
from fpe_core.evaluation.classification import confusion_of
from fpe_core.evaluation.delong import delong_interval
from fpe_core.evaluation.scores import AucInterval
from fpe_core.evaluation.shares import Share, share_of
from fpe_core.evaluation.suppression import rows_to_suppress
from fpe_core.evaluation.thresholds import Threshold, classify

UNKNOWN = "unknown"
"""Name of the row of the cases whose group is not known."""


@dataclass(frozen=True)
class SubgroupScores:
    """What may be shown of one group: at least the minimum of cases in each class."""

    num_cases: int
    num_positive: int
    auc: AucInterval
    sensitivity: Share
    specificity: Share


@dataclass(frozen=True)
class SubgroupRow:
    """One group; `scores` is None where they are held back, and `held_back` then says why, alike for every row."""

    group: str
    scores: SubgroupScores | None
    held_back: str | None


@dataclass(frozen=True)
class DetectionRow:
    """One cause of the outcome; `detected` counts the positive cases that were found, None where it is held back."""

    cause: str
    detected: Share | None
    held_back: str | None


def subgroup_table(
    probabilities: ArrayLike,
    labels: ArrayLike,
    groups: Sequence[str | None],
    *,
    threshold: Threshold,
    min_cases_per_class: int,
) -> tuple[SubgroupRow, ...]:
    """AUC with DeLong's interval, sensitivity and specificity with Wilson's, by group in alphabetical order.

    Args:
        probabilities: `(N,)` float in [0, 1].
        labels: `(N,)` 0 or 1.
        groups: N names, for example sex or age band; None where it is not known, which is a row of its own.
        threshold: chosen before, on validation cases.
        min_cases_per_class: groups with fewer positive or negative cases are held back, and as many others as keep
            them from being told by subtraction (`rows_to_suppress`). From 2 on; an AUC has an interval from
            `FEWEST_FOR_DELONG` on.

    Raises:
        NotEnoughCases: a class has no case at all.
        ValueError: lengths differ, or `min_cases_per_class` is below 2.
    """
    cases = cases_of_both_classes(probabilities, labels)
    if min_cases_per_class < 2:
        raise ValueError(f"min_cases_per_class should be at least 2, got {min_cases_per_class}")
    names, place = _grouped(groups, len(cases.labels))
    counts = np.stack([np.bincount(place[cases.labels == label], minlength=len(names)) for label in (True, False)], 1)
    hidden = rows_to_suppress(counts, minimum=min_cases_per_class)
    reason = _reason(min_cases_per_class, "of a class")
    return tuple(
        SubgroupRow(name, None, reason)
        if hidden[i]
        else SubgroupRow(name, _scores(cases.probabilities[place == i], cases.labels[place == i], threshold), None)
        for i, name in enumerate(names)
    )


def detection_by_cause(
    called_positive: ArrayLike, labels: ArrayLike, causes: Sequence[str | None], *, min_cases: int
) -> tuple[DetectionRow, ...]:
    """The share of positive cases found, by what caused the outcome: refractory occlusion by ICAD or other, say.

    Negative cases have no cause, so there is neither AUC nor specificity by cause.

    Args:
        called_positive: `(N,)` bool or 0 and 1.
        labels: `(N,)` 0 or 1.
        causes: N names; None where it is not known. Those of negative cases are not looked at.
        min_cases: causes of fewer cases are held back, and others with them as in `subgroup_table`.

    Raises:
        ValueError: lengths differ.
    """
    called, y = binary_labels(called_positive), binary_labels(labels)
    if called.shape != y.shape or len(causes) != len(y):
        raise ValueError(f"expected as many calls and causes as labels {len(y)}, got {len(called)} and {len(causes)}")
    names, place = _grouped([cause for cause, label in zip(causes, y, strict=True) if label], int(y.sum()))
    found = called[y]
    totals = np.bincount(place, minlength=len(names))
    hidden = rows_to_suppress(totals[:, None], minimum=min_cases)
    reason = _reason(min_cases, "with the outcome")
    return tuple(
        DetectionRow(name, None, reason)
        if hidden[i]
        else DetectionRow(name, share_of(int(found[place == i].sum()), int(totals[i])), None)
        for i, name in enumerate(names)
    )


def _grouped(groups: Sequence[str | None], num_cases: int) -> tuple[list[str], NDArray[np.intp]]:
    """The groups' names in order, and for each case the place of its group among them."""
    if len(groups) != num_cases:
        raise ValueError(f"groups should be as many as the cases, {num_cases}, got {len(groups)}")
    named = [UNKNOWN if group is None else group for group in groups]
    names = sorted(set(named))
    position = {name: i for i, name in enumerate(names)}
    return names, np.array([position[name] for name in named], dtype=np.intp)


def _scores(probabilities: ArrayLike, labels: ArrayLike, threshold: Threshold) -> SubgroupScores:
    confusion = confusion_of(classify(probabilities, threshold=threshold), labels)
    sensitivity, specificity = confusion.sensitivity_interval(), confusion.specificity_interval()
    auc = delong_interval(probabilities, labels)
    return SubgroupScores(confusion.num_cases, sensitivity.total, auc, sensitivity, specificity)


def _reason(minimum: int, of_what: str) -> str:
    return f"fewer than {minimum} cases {of_what}, or held back to protect such a group"

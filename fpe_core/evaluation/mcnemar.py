"""Whether two models err on different cases: McNemar's test on their right and wrong calls."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from statsmodels.stats.contingency_tables import mcnemar

from fpe_core.evaluation.cases import binary_labels

EXACT_BELOW = 25
"""With fewer discordant pairs the test is exact: the χ² approximation wants about as many."""


@dataclass(frozen=True)
class McNemar:
    """McNemar's test of two classifiers on the same cases.

    Attributes:
        only_first_right: cases that the first calls rightly and the second wrongly.
        only_second_right: the other way round.
        statistic: (|difference| − 1)² / sum of both counts, χ² with one degree of freedom; None where the test is
            exact.
        uncorrected_statistic: difference² / sum of both counts, for comparison with papers that leave out the
            continuity correction; None where both counts are 0.
        p_value: two-sided: from `statistic`, or binomial where the test is exact.
    """

    only_first_right: int
    only_second_right: int
    statistic: float | None
    uncorrected_statistic: float | None
    p_value: float

    @property
    def exact(self) -> bool:
        """Whether the p-value is binomial: fewer than `EXACT_BELOW` discordant pairs."""
        return self.statistic is None


def mcnemar_test(*, first_called: ArrayLike, second_called: ArrayLike, labels: ArrayLike) -> McNemar:
    """McNemar's test (Psychometrika 1947), with Edwards' continuity correction, exact for few discordant pairs.

    Args:
        first_called: `(N,)` bool or 0 and 1: what the first model calls positive.
        second_called: `(N,)`: the second model's calls, of the same cases in the same order.
        labels: `(N,)` 0 or 1.

    Raises:
        ValueError: shapes differ, or a value is neither 0 nor 1.
    """
    first, second, y = binary_labels(first_called), binary_labels(second_called), binary_labels(labels)
    if not first.shape == second.shape == y.shape:
        raise ValueError(f"calls should be as many as the labels {y.shape}, got {first.shape} and {second.shape}")
    first_right, second_right = first == y, second == y
    table = np.array([[(a & b).sum() for b in (second_right, ~second_right)] for a in (first_right, ~first_right)])
    only_first, only_second = int(table[0, 1]), int(table[1, 0])
    discordant = only_first + only_second
    exact = discordant < EXACT_BELOW
    result = mcnemar(table, exact=exact, correction=True)
    return McNemar(
        only_first_right=only_first,
        only_second_right=only_second,
        statistic=None if exact else float(result.statistic),
        uncorrected_statistic=(only_first - only_second) ** 2 / discordant if discordant else None,
        p_value=float(result.pvalue),
    )

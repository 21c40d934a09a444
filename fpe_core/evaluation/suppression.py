"""Which rows of a table have to be held back so that no small count can be read off it, or off its total."""

import numpy as np
from numpy.typing import ArrayLike

from fpe_core.evaluation.cases import BoolArray


def rows_to_suppress(counts: ArrayLike, *, minimum: int) -> BoolArray:
    """Primary and complementary suppression of a table whose column totals are known.

    A row with a count below `minimum` is held back whole; zero counts too, which tell something about everybody in the
    row. The smallest row that could be shown goes with such rows, and any other of its size, so that subtraction from
    the total gives a sum over rows of which one reaches the minimum. Nothing in the table says which: a reader who
    knows this rule can swap any two of the rows held back, and a small count may always be the large one. For that,
    rows must not be marked by why they were held back.

    It protects one table. Two groupings of the same cases of which one refines the other give more away together.

    Args:
        counts: `(R, C)` cases of each group in each class; every case in one row.
        minimum: smallest count that may be shown, at least 1.

    Returns:
        `(R,)` bool, True for a row to hold back.

    Raises:
        ValueError: `counts` is not two-dimensional or has a negative entry, or `minimum` is below 1.
    """
    table = np.asarray(counts, dtype=np.int64)
    if table.ndim != 2 or (table < 0).any() or minimum < 1:
        raise ValueError(f"expected (R, C) counts from 0 and a minimum from 1, got {table.shape} and {minimum}")
    small: BoolArray = np.any(table < minimum, axis=1)
    if not small.any() or small.all():
        return small
    sizes = table.sum(axis=1)
    hidden: BoolArray = small | (sizes == sizes[~small].min())
    return hidden

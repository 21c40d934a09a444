"""A share of cases, such as a sensitivity, with its confidence interval."""

from dataclasses import dataclass

from statsmodels.stats.proportion import proportion_confint

from fpe_core.errors import NotEnoughCases


@dataclass(frozen=True)
class Share:
    """`count` of `total` cases, with Wilson's score interval; `value`, `low` and `high` are in [0, 1]."""

    count: int
    total: int
    value: float
    low: float
    high: float


def share_of(count: int, total: int, *, level: float = 0.95) -> Share:
    """A share with Wilson's score interval (Wilson, J Am Stat Assoc 1927), which stays sensible at 0 and at `total`.

    Args:
        count: cases that have the property.
        total: cases in all.
        level: coverage, in (0, 1).

    Raises:
        NotEnoughCases: `total` is 0.
        ValueError: `count` is not between 0 and `total`.
    """
    if total == 0:
        raise NotEnoughCases("a share needs at least one case, got none")
    if not 0 <= count <= total:
        raise ValueError(f"count should be between 0 and {total}, got {count}")
    low, high = proportion_confint(count, total, alpha=1 - level, method="wilson")
    value = count / total
    # At 0 and at `total` an end of the interval is the value itself, but for rounding.
    return Share(int(count), int(total), value, min(float(low), value), max(float(high), value))

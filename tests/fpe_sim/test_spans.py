"""Times and sizes in words."""

import pytest

from fpe_sim.spans import size, span


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0.04, "0.0 s"), (9.9, "9.9 s"), (9.96, "10 s"), (99, "99 s"), (99.6, "2 min"), (5940, "99 min"),
        (5975, "1 h 40 min"), (7200, "2 h"), (86_399, "24 h"), (86_400, "1 d"), (100_000, "1 d 4 h"),
        (float("nan"), "not measured"),
    ],
)  # fmt: skip
def test_span(seconds: float, said: str) -> None:
    assert span(seconds) == said


@pytest.mark.parametrize(("num_bytes", "said"), [(1, "1 MB"), (35e6, "35 MB"), (994e6, "994 MB"), (4.14e9, "4.1 GB")])
def test_size(num_bytes: float, said: str) -> None:
    assert size(num_bytes) == said

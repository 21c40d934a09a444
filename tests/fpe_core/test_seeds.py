"""Seeds: the same everywhere, and independent of each other."""

from hypothesis import given
from hypothesis import strategies as st

from fpe_core.seeds import derive_seed

PURPOSES = st.lists(st.text(alphabet="ab1-", max_size=4) | st.integers(0, 99), max_size=4)


def test_a_seed_is_the_same_on_every_machine() -> None:
    assert derive_seed(7, "round", "north", 3) == 1742258763232242448


@given(PURPOSES, PURPOSES)
def test_different_purposes_give_different_seeds(one: list[str | int], other: list[str | int]) -> None:
    same = [str(part) for part in one] == [str(part) for part in other]
    assert (derive_seed(1, *one) == derive_seed(1, *other)) == same


@given(st.integers(0, 2**32 - 1), PURPOSES)
def test_a_seed_fits_every_generator(study_seed: int, purpose: list[str | int]) -> None:
    assert 0 <= derive_seed(study_seed, *purpose) < 2**63


def test_the_studys_seed_matters() -> None:
    assert len({derive_seed(seed, "split", "north") for seed in range(100)}) == 100

"""The reference case: the same everywhere, close to its record, and far from it when something is wrong."""

from pathlib import Path

import numpy as np
import pytest

from fpe_core.config.recipe import RECIPE_NAMES, PreprocessingRecipe, recipe_named
from fpe_core.errors import DataError
from fpe_core.imaging.content import file_sha256
from fpe_core.preprocessing.case import preprocess_case
from fpe_core.preprocessing.conformance import (
    Compared,
    compared,
    measured,
    recorded_numbers,
    reference_case,
    statistics,
)
from fpe_core.preprocessing.processed import ProcessedCase

SMALL = recipe_named("mnt-dl-mr-small")


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> ProcessedCase:
    return preprocess_case(reference_case(tmp_path_factory.mktemp("reference"), SMALL), SMALL)


def off(case: ProcessedCase, **changes: object) -> list[Compared]:
    """Numbers that do not agree once fields of the case are changed."""
    changed = ProcessedCase(**{**vars(case), **changes})  # type: ignore[arg-type]
    return [number for number in compared(statistics(changed), statistics(case), SMALL) if not number.agrees]


@pytest.mark.parametrize("name", RECIPE_NAMES)
def test_every_recipe_has_a_record(name: str) -> None:
    numbers = recorded_numbers(recipe_named(name))
    assert {key.split()[0] for key in numbers} == {"input", "mask", "overlap", "place", "value"}


def test_a_recipe_that_is_not_the_recorded_one_has_none() -> None:
    with pytest.raises(DataError, match="no recorded numbers"):
        recorded_numbers(SMALL.model_copy(update={"working_spacing_mm": 5.0}))


def test_the_reference_case_has_the_same_bytes_every_time(tmp_path: Path) -> None:
    once, again = (reference_case(tmp_path / name, SMALL) for name in ("once", "again"))
    assert once.images.keys() == again.images.keys()
    assert all(file_sha256(once.images[name]) == file_sha256(again.images[name]) for name in once.images)


@pytest.mark.parametrize("name", ["mnt-dl-mr-small", "mnt-dl-ct-small"])
def test_this_installation_preprocesses_as_recorded(name: str, tmp_path: Path) -> None:
    recipe = recipe_named(name)
    numbers = compared(measured(tmp_path, recipe), recorded_numbers(recipe), recipe)
    assert [number for number in numbers if not number.agrees] == []


def test_another_seed_of_the_registration_stays_within_the_tolerances(tmp_path: Path, case: ProcessedCase) -> None:
    """A tolerance that it broke would tell two good installations apart."""
    other: PreprocessingRecipe = SMALL.model_copy(
        update={"registration": SMALL.registration.model_copy(update={"seed": 1})}
    )
    again = preprocess_case(reference_case(tmp_path, other), other)
    numbers = compared(statistics(again), statistics(case), other)
    assert [number for number in numbers if not number.agrees] == []


def test_what_is_wrong_is_found(case: ProcessedCase) -> None:
    assert off(case) == []
    moved = {name: np.roll(volume, 2, axis=2) for name, volume in case.volumes.items()}
    assert {number.name.split()[0] for number in off(case, volumes=moved)} == {"value"}
    mirrored = {name: volume[:, :, ::-1] for name, volume in case.volumes.items()}
    assert off(case, volumes=mirrored)
    brighter = {name: volume * np.float32(1.1) for name, volume in case.volumes.items()}
    assert off(case, volumes=brighter)
    step = np.eye(4)
    step[0, 3] = 3.0
    places = {name: step @ matrix for name, matrix in case.mni_from_native.items()}
    assert all(number.name.startswith("place") for number in off(case, mni_from_native=places))
    assert len(off(case, mni_from_native=places)) == 6 * len(places)


def test_a_number_that_is_missing_or_not_finite_does_not_agree(case: ProcessedCase) -> None:
    recorded = statistics(case)
    assert not compared({}, recorded, SMALL)[0].agrees
    assert not compared(recorded | {"mask ml": float("nan")}, {"mask ml": 1500.0}, SMALL)[0].agrees

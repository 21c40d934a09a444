"""Recipes: named, closed, and told apart by their fingerprint."""

import subprocess
import sys

import pytest
from pydantic import ValidationError

from fpe_core.config import recipe as recipe_module
from fpe_core.config.recipe import MrIntensities, PreprocessingRecipe, RegistrationSettings, recipe_named

NAMES = ["mnt-dl-mr", "mnt-dl-ct", "mnt-dl-mr-small", "mnt-dl-ct-small"]


@pytest.mark.parametrize("name", NAMES)
def test_built_in_recipes_cover_the_same_field_of_view(name):
    grid = recipe_named(name).grid
    fields_mm = [n * mm for n, mm in zip(grid.shape_zyx, grid.spacing_zyx_mm, strict=True)]
    assert fields_mm == [156.0, 224.0, 224.0]
    assert recipe_named(name).modality == name.split("-")[2]


def test_an_unknown_name_lists_the_valid_ones():
    from fpe_core.errors import ConfigValueInvalid

    with pytest.raises(ConfigValueInvalid) as caught:
        recipe_named("mnt-dl-pet")
    assert all(name in str(caught.value) for name in NAMES)


def test_fingerprints_differ_and_stay():
    prints = [recipe_named(name).fingerprint() for name in NAMES]
    assert len(set(prints)) == len(NAMES)
    again = PreprocessingRecipe.model_validate_json(recipe_named("mnt-dl-mr").model_dump_json())
    assert again.fingerprint() == prints[0]


@pytest.mark.parametrize("constant", ["RECIPE_CODE_VERSION", "TEMPLATE_SHA256"])
def test_code_and_template_are_part_of_the_fingerprint(monkeypatch, constant):
    before = recipe_named("mnt-dl-mr").fingerprint()
    monkeypatch.setattr(recipe_module, constant, "other")
    assert recipe_named("mnt-dl-mr").fingerprint() != before


def test_levels_and_landmarks_must_agree():
    with pytest.raises(ValidationError, match="same number of levels"):
        RegistrationSettings(iterations=(10, 10), shrink_factors=(1,))
    with pytest.raises(ValidationError, match="should have 4 values"):
        MrIntensities(reference_dwi=(1.0, 2.0))


def test_asking_for_a_recipe_loads_no_imaging_library():
    code = "import sys, fpe_core.config.recipe, fpe_core.preprocessing.cohort as c; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"SimpleITK", "ants", "nibabel", "scipy", "torch", "matplotlib", "nilearn"} & set(loaded)

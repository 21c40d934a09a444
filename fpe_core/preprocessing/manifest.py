"""The two lists of a preprocessed cohort: which file holds which case, and which cases were set aside and why."""

from pathlib import Path
from typing import Literal, TypeVar

from pydantic import Field, ValidationError

from fpe_core.config.base import FrozenModel
from fpe_core.config.recipe import PreprocessingRecipe
from fpe_core.errors import DataError
from fpe_core.preprocessing.processed import write_private

MANIFEST = "manifest.json"
QUARANTINE = "quarantine.json"


class ManifestEntry(FrozenModel):
    """One case that is ready."""

    file: str
    """File relative to the cohort's folder."""
    sha256: str
    """Of that file."""
    recipe_fingerprint: str
    """Of the recipe that made it."""
    inputs: dict[str, str] = Field(default_factory=dict)
    """sha256 of the image of each sequence that it was made from."""
    qc: dict[str, float]
    """Quality numbers, the same as in the file."""
    seconds: dict[str, float]
    """Time per step when it was made."""


class Manifest(FrozenModel):
    """All cases that are ready, by case id."""

    schema_version: Literal[1] = 1
    """Version of this file's format."""
    recipe: str = ""
    """Name of the recipe."""
    cases: dict[str, ManifestEntry] = Field(default_factory=dict)
    """By the site's case id."""


class QuarantineEntry(FrozenModel):
    """One case that was set aside."""

    code: str
    """Code of the error, see `fpe_core.errors`."""
    message: str
    """For the site's own eyes."""
    key: str
    """Content address of the case's files, empty when they could not be read."""


class Quarantine(FrozenModel):
    """All cases that were set aside, by case id."""

    schema_version: Literal[1] = 1
    """Version of this file's format."""
    cases: dict[str, QuarantineEntry] = Field(default_factory=dict)
    """By the site's case id."""


M = TypeVar("M", Manifest, Quarantine)


def load_manifest(folder: Path) -> Manifest:
    """The manifest of a preprocessed cohort; an empty one where there is none.

    Raises:
        DataError: the file is damaged.
    """
    return _load(folder / MANIFEST, Manifest, "a manifest of preprocessed cases")


def load_quarantine(folder: Path) -> Quarantine:
    """The list of cases set aside; an empty one where there is none.

    Raises:
        DataError: the file is damaged.
    """
    return _load(folder / QUARANTINE, Quarantine, "a list of quarantined cases")


def _load(path: Path, model: type[M], what: str) -> M:
    try:
        return model.model_validate_json(path.read_bytes()) if path.is_file() else model()
    except (OSError, ValidationError) as error:
        raise DataError(f"{path}: not {what}", hint="delete it and preprocess again") from error


def read_manifest(folder: Path, recipe: PreprocessingRecipe) -> dict[str, Path]:
    """File of each case that is ready and was made by exactly this recipe.

    Raises:
        DataError: the manifest is damaged.
    """
    fingerprint = recipe.fingerprint()
    cases = load_manifest(folder).cases
    return {
        case_id: folder / entry.file
        for case_id, entry in cases.items()
        if entry.recipe_fingerprint == fingerprint and (folder / entry.file).is_file()
    }


def read_quarantine(folder: Path) -> dict[str, str]:
    """Error code of each case that was set aside."""
    return {case_id: entry.code for case_id, entry in load_quarantine(folder).cases.items()}


def write_lists(folder: Path, manifest: Manifest, quarantine: Quarantine) -> None:
    """Write both, each atomically."""
    write_private(folder / MANIFEST, (manifest.model_dump_json(indent=1) + "\n").encode())
    write_private(folder / QUARANTINE, (quarantine.model_dump_json(indent=1) + "\n").encode())

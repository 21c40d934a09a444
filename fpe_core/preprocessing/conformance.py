"""Whether this installation preprocesses as the others do: a phantom case, measured against numbers kept in the wheel.

Two hospitals whose processors, libraries or builds differ get voxels that differ a little. How far they may is stated
here: about as far as another seed of the registration's sampling moves them, which no study would call a difference.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Final

import numpy as np

from fpe_core.config.recipe import PreprocessingRecipe
from fpe_core.data.phantoms.generate import draw_cases, render_case
from fpe_core.data.phantoms.spec import PhantomSite, Scanner
from fpe_core.errors import DataError
from fpe_core.imaging.nifti import read_volume
from fpe_core.imaging.volume import Array, Mask, Matrix
from fpe_core.preprocessing.case import CaseFiles, preprocess_case
from fpe_core.preprocessing.processed import ProcessedCase

_SEED: Final = 20260101
_SCANNER: Final = Scanner(
    spacing_mm=1.0, thickness_mm=5.0, orientation="LPS", tilt_deg=6, snr=28, bias=0.15, noise_hu=4.0,
    cta_thickness_mm=1.5,
)  # fmt: skip
_POINTS_MM: Final = np.array([[0.0, 0, 0], [50, -20, 20], [-50, -20, 20], [0, 50, 10], [0, -85, 5], [0, -20, 70]])
"""Middle, both sides, front, back and top of the brain, in the scanner's RAS+ mm."""

_PERCENTILES: Final = (10, 25, 50, 75, 90)

TOLERANCES: Final[Mapping[str, float]] = {"input": 0.001, "place": 0.4, "mask": 0.01, "overlap": 0.005, "value": 0.12}
"""By the first word of a number's name. input: share of the phantom's own mean or deviation, before any step. place:
of points of the head in MNI space, as a share of the voxel size of the registration, 3 mm in the full recipes. mask:
share of the mask's volume. overlap: Dice. value: mean, deviation, percentiles and octants' means of the volumes, as a
share of the brain's standard deviation."""


@dataclass(frozen=True)
class Compared:
    """One number of the reference case.

    Attributes:
        name: what it is.
        found: on this installation.
        recorded: in the wheel.
        off: their difference in the unit of `tolerance`.
        tolerance: the most that is fine.
    """

    name: str
    found: float
    recorded: float
    off: float
    tolerance: float

    @property
    def agrees(self) -> bool:
        """False also for a number that is not finite."""
        return bool(self.off <= self.tolerance)


def reference_case(folder: Path, recipe: PreprocessingRecipe) -> CaseFiles:
    """Write the phantom case of the recipe's modality into `folder`; the same everywhere."""
    site = PhantomSite(name="reference", num_cases=1, modality=recipe.modality, scanner=_SCANNER)
    folder.mkdir(parents=True, exist_ok=True)
    (case,) = draw_cases(site, seed=_SEED)
    names = render_case(folder, site, case)
    return CaseFiles(case.case_id, {name: folder / file for name, file in names.items()})


def measured(folder: Path, recipe: PreprocessingRecipe) -> dict[str, float]:
    """Preprocess the reference case in `folder` and describe what came out.

    Raises:
        CaseError: this installation cannot preprocess it at all.
    """
    case_files = reference_case(folder, recipe)
    return _of_input(case_files) | statistics(preprocess_case(case_files, recipe))


def statistics(case: ProcessedCase) -> dict[str, float]:
    """The numbers of one case; the first word of each name says which tolerance it has."""
    qc, inside = case.provenance.qc, case.mask > 0
    numbers = {"mask ml": float(qc["mask_native_ml"]), "overlap with template": float(qc["template_dice"])}
    for name, volume in case.volumes.items():
        numbers |= {f"place {name} {what}": value for what, value in _places(case.mni_from_native[name]).items()}
        numbers |= {f"value {name} {what}": value for what, value in _values(volume, inside).items()}
    return {name: round(value, 6) for name, value in numbers.items()}


def compared(found: Mapping[str, float], recorded: Mapping[str, float], recipe: PreprocessingRecipe) -> list[Compared]:
    """Every recorded number beside the one found here; one that is missing here counts as not finite."""
    numbers = []
    for name, here in recorded.items():
        there = found.get(name, float("nan"))
        numbers.append(Compared(name, there, here, *_off(name, abs(there - here), recorded, recipe)))
    return numbers


def recorded_numbers(recipe: PreprocessingRecipe) -> dict[str, float]:
    """What the makers' installation found for this recipe.

    Raises:
        DataError: there is no record of this recipe as it is now.
    """
    record = json.loads(_record().read_text(encoding="utf-8")).get(recipe.name)
    if record is None or record["recipe"] != described(recipe):
        raise DataError(f"there are no recorded numbers for recipe {recipe.name} of this version")
    numbers: dict[str, float] = record["numbers"]
    return numbers


def described(recipe: PreprocessingRecipe) -> str:
    """The recipe as the record names it: its data, without what is installed here."""
    return recipe.content_sha256()


def _record() -> Path:
    return Path(str(files("fpe_core.preprocessing").joinpath("conformance.json")))


def _of_input(case_files: CaseFiles) -> dict[str, float]:
    numbers: dict[str, float] = {}
    for name, path in case_files.images.items():
        data = read_volume(path).data_xyz.astype(np.float64)
        numbers |= {f"input {name} mean": float(data.mean()), f"input {name} deviation": float(data.std())}
    return numbers


def _places(mni_from_native: Matrix) -> dict[str, float]:
    points = np.c_[_POINTS_MM, np.ones(len(_POINTS_MM))] @ mni_from_native.T
    axes = zip("xyz", points[:, :3].T, strict=True)
    return {f"{axis}{number}": float(mm) for axis, column in axes for number, mm in enumerate(column)}


def _values(volume: Array, inside: Mask) -> dict[str, float]:
    brain = volume[inside].astype(np.float64)
    levels = np.percentile(brain, _PERCENTILES)
    numbers = {"mean": float(brain.mean()), "deviation": float(brain.std())}
    numbers |= {f"p{share}": float(level) for share, level in zip(_PERCENTILES, levels, strict=True)}
    halves = [(slice(0, size // 2), slice(size // 2, size)) for size in volume.shape]
    octants = [(z, h, w) for z in halves[0] for h in halves[1] for w in halves[2]]
    return numbers | {f"octant{i}": float(volume[box].mean(dtype=np.float64)) for i, box in enumerate(octants)}


def _off(
    name: str, difference: float, recorded: Mapping[str, float], recipe: PreprocessingRecipe
) -> tuple[float, float]:
    """A difference in the unit of its tolerance, and the tolerance."""
    kind, *rest = name.split()
    unit = {
        "input": abs(recorded[name]),
        "place": float(recipe.registration.spacing_mm),
        "mask": recorded[name],
        "overlap": 1.0,
        "value": recorded[f"value {rest[0]} deviation"] if kind == "value" else 1.0,
    }[kind]
    return difference / unit, TOLERANCES[kind]


def record(recipes: list[PreprocessingRecipe], folder: Path) -> None:
    """Write the numbers of this installation as the record; for the makers, after a change of the steps."""
    content = {
        recipe.name: {"recipe": described(recipe), "numbers": measured(folder / recipe.name, recipe)}
        for recipe in recipes
    }
    _record().write_text(json.dumps(content, indent=1, sort_keys=True) + "\n", encoding="utf-8")

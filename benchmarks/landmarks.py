"""How far from their place in MNI space landmarks end, on phantom heads whose affine is known.

    python benchmarks/landmarks.py --recipe mnt-dl-mr --draws 50 --json landmarks.json

Each draw has a head size, a rotation about each axis and a shift of its own, and a scanner of its own; the phantom's
smooth deformation, which no affine can follow, is left out. Every case goes through the whole pipeline as a hospital's
would. Printed are the median over all landmarks and draws, the largest median of a draw, the worst landmark of all, and
the seconds that each step took.
"""

import argparse
import json
import statistics
import tempfile
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from fpe_core.config.recipe import PreprocessingRecipe, recipe_named
from fpe_core.data.phantoms.acquisition import Pose
from fpe_core.data.phantoms.anatomy import Warp, build_head
from fpe_core.data.phantoms.ct import CtFindings, write_ct
from fpe_core.data.phantoms.mr import MrFindings, write_mr
from fpe_core.data.phantoms.smooth import SmoothField
from fpe_core.data.phantoms.spec import Scanner
from fpe_core.data.phantoms.vessels import Occlusion
from fpe_core.errors import CaseError
from fpe_core.imaging.volume import Matrix
from fpe_core.preprocessing.case import CaseFiles, preprocess_case

LANDMARKS_MNI_MM = {
    "anterior commissure": (0, 2, -4),
    "posterior commissure": (0, -24, -2),
    "right frontal horn": (14, 26, 4),
    "left frontal horn": (-14, 26, 4),
    "right atrium": (25, -46, 10),
    "left atrium": (-25, -46, 10),
    "right insula": (38, 4, 0),
    "left insula": (-38, 4, 0),
    "frontal pole": (0, 66, 4),
    "right occipital pole": (14, -100, 2),
    "left occipital pole": (-14, -100, 2),
    "right temporal pole": (42, 16, -34),
    "left temporal pole": (-42, 16, -34),
    "pons": (0, -26, -34),
    "right cerebellar pole": (36, -66, -46),
    "left cerebellar pole": (-36, -66, -46),
    "vertex": (0, -26, 78),
}
RECIPES = ("mnt-dl-mr", "mnt-dl-ct", "mnt-dl-mr-small", "mnt-dl-ct-small")
MAX_ROTATION_DEG, MAX_SHIFT_MM, SIZE = 20.0, 20.0, 0.08
_REFERENCE = {"mr": "dwi", "ct": "ncct"}
_USED = {"mr": ("dwi", "adc"), "ct": ("ncct",)}
_ORIENTATIONS = ("LAS", "RAS", "LPS", "RPI", "ASL", "PSR", "LSA", "RIP")


@dataclass(frozen=True)
class Result:
    """One recipe: distances in mm, mean seconds by step."""

    recipe: str
    draws: int
    refused: int
    median_mm: float
    worst_draw_median_mm: float
    worst_mm: float
    worst_landmark: str
    seconds: dict[str, float]


def measure(recipe: PreprocessingRecipe, draws: int) -> Result:
    """Run `draws` phantoms through a recipe."""
    names = list(LANDMARKS_MNI_MM)
    errors, seconds, refused = [], [], 0
    with tempfile.TemporaryDirectory(prefix="fpe-landmarks-") as folder:
        for number in range(draws):
            files, native_mm = phantom(number, recipe.modality, Path(folder))
            try:
                case = preprocess_case(CaseFiles(str(number), files), recipe)
            except CaseError as error:
                print(f"draw {number}: {error}")
                refused += 1
                continue
            errors.append(distances_mm(case.mni_from_native[_REFERENCE[recipe.modality]], native_mm))
            seconds.append(case.seconds)
    table = np.array(errors)
    return Result(
        recipe=recipe.name,
        draws=draws,
        refused=refused,
        median_mm=float(np.median(table)),
        worst_draw_median_mm=float(np.median(table, axis=1).max()),
        worst_mm=float(table.max()),
        worst_landmark=names[int(table.max(axis=0).argmax())],
        seconds={step: round(statistics.mean(one.get(step, 0.0) for one in seconds), 3) for step in seconds[0]},
    )


def phantom(number: int, modality: str, folder: Path) -> tuple[dict[str, Path], Matrix]:
    """Scans of one draw by sequence, and where its landmarks lie, `(N, 3)` RAS+ mm of the scanner."""
    rng = np.random.default_rng([20241121, number])
    angles_deg = rng.uniform(-MAX_ROTATION_DEG, MAX_ROTATION_DEG, 3)
    rotation = Rotation.from_euler("xyz", angles_deg, degrees=True).as_matrix()
    pose = Pose(rotation, rng.uniform(-MAX_SHIFT_MM, MAX_SHIFT_MM, 3))
    side, site = str(rng.choice(["left", "right"])), str(rng.choice(["m1", "ica", "m2_inferior"]))
    scanner = Scanner(
        spacing_mm=float(rng.choice([0.9, 1.2, 1.7] if modality == "mr" else [0.5, 0.8])),
        thickness_mm=float(rng.choice([4.0, 5.0, 6.5])),
        orientation=_ORIENTATIONS[number % len(_ORIENTATIONS)],
        tilt_deg=float(rng.choice([-10.0, 0.0, 0.0, 15.0])),
        motion_mm=0.0,
        bias=0.2,
    )
    size = rng.uniform(1 - SIZE, 1 + SIZE) * rng.uniform(0.98, 1.02, 3)
    head = build_head(
        rng,
        age_years=float(rng.uniform(40, 90)),
        core_ml=float(rng.uniform(5, 120)),
        side=side,
        site=site,
        patchiness=float(rng.uniform(0, 1)),
        warp=Warp(size, SmoothField(np.zeros((3, 4, 4, 4)), np.zeros((3, 4)), 60.0)),
    )
    occlusion = Occlusion(side, site, 10.0, 0.5)
    if modality == "ct":
        names = write_ct(folder, f"{number}", head, CtFindings(60.0, 5.0), occlusion, scanner, rng, pose)
    else:
        names = write_mr(folder, f"{number}", head, MrFindings(0.45, 1.2, 0.5), occlusion, scanner, rng, pose)
    native_mm = pose.to_scanner(head.warp.to_patient(np.array(list(LANDMARKS_MNI_MM.values()), dtype=np.float64)))
    return {name: folder / names[name] for name in _USED[modality]}, native_mm


def distances_mm(mni_from_native: Matrix, native_mm: Matrix) -> Matrix:
    """`(N,)` from where each landmark ended to where it belongs."""
    ended = native_mm @ mni_from_native[:3, :3].T + mni_from_native[:3, 3]
    found: Matrix = np.linalg.norm(ended - np.array(list(LANDMARKS_MNI_MM.values())), axis=1)
    return found


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipe", choices=RECIPES, action="append", help="may be given several times; default: all")
    parser.add_argument("--draws", type=int, default=50)
    parser.add_argument("--json", type=Path, help="where to write the results")
    options = parser.parse_args()
    results = []
    for name in options.recipe or RECIPES:
        results.append(measure(recipe_named(name), options.draws))
        one = results[-1]
        print(
            f"{one.recipe:18s} {one.draws} draws, {one.refused} refused   median {one.median_mm:.2f} mm   "
            f"worst draw's median {one.worst_draw_median_mm:.2f} mm   "
            f"worst {one.worst_mm:.2f} mm ({one.worst_landmark})   {sum(one.seconds.values()):.1f} s"
        )
    if options.json:
        content = {"date": date.today().isoformat(), "results": [asdict(one) for one in results]}
        options.json.write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()

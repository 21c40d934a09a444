"""Cases per minute from raw scans to network input: a plain antspyx script against ours, on the same phantom cases.

    python benchmarks/preprocess.py --cases 4 --json preprocess.json

The plain script is what a tutorial would write: N4 at full resolution, ANTs' `Affine` to MNI152, `Rigid` between the
sequences, every step on the whole image, one case after the other, on all threads that ANTs takes. Ours is
`preprocess_cohort`, with one worker and with one for each CPU. Overlap is the Dice coefficient of the brain with that
of MNI152 at 2 mm: of the phantom's own brain, moved by the transform that each way found. Compare the ratios, not the
times: these belong to one machine.
"""

import argparse
import importlib
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fpe_core.config.recipe import Grid, PreprocessingRecipe, recipe_named
from fpe_core.data.phantoms.acquisition import Pose
from fpe_core.data.phantoms.anatomy import Head
from fpe_core.data.phantoms.demo_sites import demo_sites
from fpe_core.data.phantoms.generate import draw_cases, patient, render_case
from fpe_core.data.phantoms.spec import Modality
from fpe_core.data.phantoms.template import FIRST_MM, STEP_MM
from fpe_core.imaging.geometry import inverted, matrix_from_itk
from fpe_core.imaging.template import load_template, template_path
from fpe_core.imaging.volume import Matrix, Volume
from fpe_core.preprocessing.case import CaseFiles
from fpe_core.preprocessing.cohort import preprocess_cohort, read_manifest
from fpe_core.preprocessing.processed import ProcessedCase
from fpe_core.preprocessing.quality import dice
from fpe_core.preprocessing.resample import mask_to_grid, to_grid

PLAIN = "plain antspyx"
SEED = 11
CT_WINDOW_HU = (0.0, 100.0)


@dataclass(frozen=True)
class Measured:
    """One way: wall time of all cases in seconds, peak memory of a process in MiB, overlap of each case."""

    seconds: float
    peak_mib: float
    overlap: list[float]


@dataclass(frozen=True)
class Drawn:
    """A phantom case: its files and the place of its own brain."""

    files: CaseFiles
    brain: Volume
    """Share of brain and CSF on the head's own voxels, in the scanner's RAS+ mm."""


def make_cases(folder: Path, modality: Modality, num_cases: int) -> list[Drawn]:
    """Phantoms of three hospitals, in turn; their scans go into `folder`."""
    drawn = []
    for number, site in enumerate(demo_sites(num_cases, modality)):
        scans = folder / site.name
        scans.mkdir(parents=True, exist_ok=True)
        for case in draw_cases(site, seed=SEED)[number:num_cases:3]:
            names = render_case(scans, site, case)
            files = CaseFiles(case.case_id, {name: scans / file for name, file in names.items()})
            rng = np.random.default_rng(case.seed)
            head, _ = patient(site, case, rng)
            drawn.append(Drawn(files, _true_brain(head, Pose.draw(site.scanner, rng))))
    return drawn


def _true_brain(head: Head, pose: Pose) -> Volume:
    affine = np.diag([*STEP_MM, 1.0])
    affine[:3, 3] = FIRST_MM
    turn = np.eye(4)
    turn[:3, :3] = pose.rotation
    turn[:3, 3] = pose.to_scanner(np.zeros((1, 3)))[0]
    return Volume(head.grey + head.white + head.csf, turn @ affine)


def plain(cases: list[CaseFiles], modality: str, out: Path) -> list[Matrix]:
    """The script; gives the transform of each case's first sequence, `(4, 4)` native to MNI RAS+ mm."""
    # Our own modules pin ITK to one thread; the plain script gets all, as ANTs would take them.
    os.environ["ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"] = str(os.cpu_count())
    ants: Any = importlib.import_module("ants")
    template = ants.image_read(str(template_path()))
    template = template / template.max()
    prepare: Callable[..., Any] = _plain_mr if modality == "mr" else _plain_ct
    return [prepare(ants, template, case, out) for case in cases]


def _plain_mr(ants: Any, template: Any, case: CaseFiles, out: Path) -> Matrix:
    images = {name: ants.image_read(str(path)) for name, path in case.images.items()}
    for name in ("dwi", "flair"):
        images[name] = ants.n4_bias_field_correction(
            images[name], shrink_factor=1, convergence={"iters": [50, 50, 30, 20], "tol": 1e-7}, spline_param=300
        )
    mask = ants.get_mask(images["dwi"])
    found = ants.registration(template, images["dwi"] * mask, type_of_transform="Affine")
    rigid = ants.registration(images["dwi"], images["flair"], type_of_transform="Rigid")
    chains = {"dwi": found["fwdtransforms"], "adc": found["fwdtransforms"]}
    chains["flair"] = found["fwdtransforms"] + rigid["fwdtransforms"]
    inside = ants.apply_transforms(template, mask, found["fwdtransforms"], interpolator="nearestNeighbor").numpy() > 0
    for name, chain in chains.items():
        landed = ants.apply_transforms(template, images[name], chain).numpy()
        np.save(out / f"{case.case_id}-{name}.npy", np.where(inside, landed - landed[inside].mean(), 0))
    return _matrix(ants, found)


def _plain_ct(ants: Any, template: Any, case: CaseFiles, out: Path) -> Matrix:
    images = {name: ants.image_read(str(path)) for name, path in case.images.items()}
    soft = ants.threshold_image(images["ncct"], *CT_WINDOW_HU)
    mask = ants.get_mask(images["ncct"] * soft, 1, CT_WINDOW_HU[1], cleanup=3)
    found = ants.registration(template, images["ncct"] * mask, type_of_transform="Affine")
    rigid = ants.registration(images["ncct"], images["cta"], type_of_transform="Rigid")
    chains = {"ncct": found["fwdtransforms"], "cta": found["fwdtransforms"] + rigid["fwdtransforms"]}
    for name, chain in chains.items():
        landed = ants.apply_transforms(template, images[name], chain).numpy()
        np.save(out / f"{case.case_id}-{name}.npy", np.clip(landed, 0, 400))
    return _matrix(ants, found)


def _matrix(ants: Any, found: dict[str, Any]) -> Matrix:
    transform = ants.read_transform(found["fwdtransforms"][-1])
    return inverted(matrix_from_itk(np.asarray(transform.parameters), np.asarray(transform.fixed_parameters)))


def ours(cases: list[CaseFiles], recipe: PreprocessingRecipe, out: Path, jobs: int) -> list[Matrix]:
    """The platform's run; gives the same transforms."""
    preprocess_cohort(cases, recipe, out, jobs=jobs, progress=None)
    files = read_manifest(out, recipe)
    first = "dwi" if recipe.modality == "mr" else "ncct"
    return [ProcessedCase.load(files[case.case_id]).mni_from_native[first] for case in cases]


def overlap(brain: Volume, mni_from_native: Matrix) -> float:
    """Dice at 2 mm of a phantom's own brain, moved to MNI by a transform that was found, with the template's brain."""
    grid = Grid(shape_zyx=(95, 115, 95), spacing_zyx_mm=(2.0, 2.0, 2.0), centre_ras_mm=(0.0, -18.0, 8.0))
    template = load_template(2)
    there = mask_to_grid(template.brain_xyz, template.t1, grid, np.eye(4))
    return dice(to_grid(brain, grid, mni_from_native, outside=0.0) >= 0.5, there)


def run_one(options: argparse.Namespace) -> Measured:
    """One way in this process."""
    drawn = make_cases(Path(options.folder), options.modality, options.cases)
    cases = [one.files for one in drawn]
    with tempfile.TemporaryDirectory() as out:
        started = time.perf_counter()
        if options.only == PLAIN:
            transforms = plain(cases, options.modality, Path(out))
        else:
            transforms = ours(
                cases, recipe_named(f"mnt-dl-{options.modality}"), Path(out), int(options.only.split()[1])
            )
        seconds = time.perf_counter() - started
    who = resource.RUSAGE_SELF if options.only == PLAIN else resource.RUSAGE_CHILDREN
    found = [overlap(one.brain, matrix) for one, matrix in zip(drawn, transforms, strict=True)]
    return Measured(seconds, resource.getrusage(who).ru_maxrss / 1024, found)


def in_own_process(options: argparse.Namespace, modality: str, way: str, folder: Path) -> Measured:
    """What this script measures of one way, in a process whose peak memory is its own."""
    arguments = ["--only", way, "--modality", modality, "--cases", str(options.cases), "--folder", str(folder)]
    done = subprocess.run([sys.executable, __file__, *arguments], stdout=subprocess.PIPE, text=True, check=True)
    return Measured(**json.loads(done.stdout.splitlines()[-1]))


def main() -> None:
    """Every way in turn, and the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=3)
    parser.add_argument("--modality", choices=("mr", "ct"), help="default both")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--only", help=argparse.SUPPRESS)
    parser.add_argument("--folder", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.only:
        print(json.dumps(asdict(run_one(options))))
        return
    results = {}
    with tempfile.TemporaryDirectory() as folder:
        for modality in (options.modality,) if options.modality else ("mr", "ct"):
            ways = (PLAIN, "ours 1", f"ours {os.cpu_count()}")
            measured = {way: in_own_process(options, modality, way, Path(folder) / modality) for way in ways}
            _print_table(modality, measured, options.cases)
            results[modality] = {way: asdict(one) for way, one in measured.items()}
    if options.json:
        options.json.write_text(json.dumps({"cpus": os.cpu_count(), "cases": options.cases, **results}, indent=1))


def _print_table(modality: str, measured: dict[str, Measured], num_cases: int) -> None:
    headings = f"{'cases/min':>10s} {'faster':>8s} {'peak of a process':>18s} {'overlap':>8s} {'least':>6s}"
    print(f"{modality}: {'way':14s} {headings}")
    for way, one in measured.items():
        faster = measured[PLAIN].seconds / one.seconds
        print(
            f"    {way:14s} {60 * num_cases / one.seconds:10.1f} {faster:6.2f} x {one.peak_mib:14.0f} MiB"
            f" {statistics.mean(one.overlap):8.3f} {min(one.overlap):6.3f}"
        )


if __name__ == "__main__":
    main()

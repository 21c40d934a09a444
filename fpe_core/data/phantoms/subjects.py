"""Renders patients one by one, each on a scanner of its own: a cohort of several scanners.

`generate_site` has one scanner and one task for a whole hospital. Here the picture depends on latents and table alone,
never on a label or on a task: a stenosis shows in every CT.
"""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Annotated, Final, Literal

import numpy as np
from pydantic import Field
from scipy.spatial.transform import Rotation
from scipy.special import ndtr

from fpe_core.data.phantoms import latents as latent_space
from fpe_core.data.phantoms.acquisition import Grid, Pose, save_image
from fpe_core.data.phantoms.anatomy import Head, build_head
from fpe_core.data.phantoms.clinic import Cell
from fpe_core.data.phantoms.ct import CtFindings, write_ct
from fpe_core.data.phantoms.mr import MrFindings, write_mr
from fpe_core.data.phantoms.spec import Modality, Scanner, Share
from fpe_core.data.phantoms.vessels import Occlusion

SEQUENCES: Final[dict[Modality, tuple[str, ...]]] = {"mr": ("dwi", "adc", "flair"), "ct": ("ncct", "cta")}
Picture = Literal["head", "placeholder", "off the atlas"]
"""A head; a few voxels in the place of a scan that nobody may use; a head that cannot be registered."""
_NO_CORE_ML: Final = 1.5
"""Core of a patient without an occlusion: a lacune."""


class FleetScanner(Scanner):
    """One of a hospital's scanners."""

    name: str
    """As the paper calls it."""
    share: Share
    """Share of the patients that are scanned on it."""
    flair_spacing_mm: Annotated[float, Field(gt=0.3, lt=4)] | None = None
    """MR: in-plane voxel size of FLAIR, in mm; None for that of DWI."""
    arterial_sd_hu: Annotated[float, Field(ge=0, le=120)] = 0.0
    """CT: standard deviation of the arterial enhancement between patients, in HU."""


@dataclass(frozen=True)
class Subject:
    """One patient in front of the scanner.

    Attributes:
        case_id: first part of the file names.
        seed: of everything random in the pictures.
        modality: what is scanned.
        scanner: on which.
        latents: value by name; those of `LATENTS` that are rendered.
        cells: age, side, site and time from onset of the case table.
        picture: what is made.
        occluded: whether there is a clot at all.
    """

    case_id: str
    seed: int
    modality: Modality
    scanner: FleetScanner
    latents: Mapping[str, float]
    cells: Mapping[str, Cell]
    picture: Picture = "head"
    occluded: bool = True

    @property
    def files(self) -> dict[str, str]:
        """File name by sequence."""
        return {name: f"{self.case_id}_{name}.nii.gz" for name in SEQUENCES[self.modality]}


def render_subjects(scans: Path, subjects: Sequence[Subject], *, jobs: int) -> Iterator[None]:
    """Write each subject's scans; yields after every one.

    Args:
        scans: folder that exists.
        subjects: whom.
        jobs: processes side by side. The files do not depend on it.
    """
    if jobs == 1 or len(subjects) < 2:
        for subject in subjects:
            render_subject(scans, subject)
            yield
        return
    with ProcessPoolExecutor(min(jobs, len(subjects)), mp_context=get_context("spawn")) as pool:
        for finished in as_completed([pool.submit(render_subject, scans, subject) for subject in subjects]):
            finished.result()
            yield


def render_subject(scans: Path, subject: Subject) -> None:
    """Write one subject's scans."""
    rng = np.random.default_rng(subject.seed)
    if subject.picture == "placeholder":
        _write_placeholders(scans, subject, rng)
        return
    latent = subject.latents
    head, occlusion = _patient(subject, rng)
    pose = _off_the_atlas(rng) if subject.picture == "off the atlas" else None
    collaterals = latent_space.collateral_grade(latent["collaterals"])
    if subject.modality == "ct":
        density = latent_space.clot_density_hu(latent["clot_density"])
        drop_hu = 2.0 + 6.0 * (1 - collaterals)
        scanner = _with_bolus(subject.scanner, rng)
        write_ct(scans, subject.case_id, head, CtFindings(density, drop_hu), occlusion, scanner, rng, pose)
        return
    findings = MrFindings(
        core_adc=0.35 + 0.23 * collaterals,
        core_flair=latent_space.core_flair(subject.cells["onset_to_image_min"], rng),
        slow_flow=0.1 + 0.9 * float(ndtr(latent["clot_length"])) if subject.occluded else 0.0,
    )
    write_mr(
        scans, subject.case_id, head, findings, occlusion, subject.scanner, rng, pose,
        flair_spacing_mm=subject.scanner.flair_spacing_mm,
    )  # fmt: skip


def _patient(subject: Subject, rng: np.random.Generator) -> tuple[Head, Occlusion]:
    latent, cells = subject.latents, subject.cells
    side, site = str(cells["occlusion_side"]) or "left", str(cells["occlusion_site"]) or "m1"
    if site == "m2":
        site = str(rng.choice(["m2_superior", "m2_inferior"]))
    collaterals = latent_space.collateral_grade(latent["collaterals"])
    head = build_head(
        rng,
        age_years=float(cells["age_years"]),
        core_ml=latent_space.core_volume_ml(latent["core"]) if subject.occluded else _NO_CORE_ML,
        side=side,
        site=site,
        patchiness=collaterals,
    )
    if not subject.occluded:
        return head, Occlusion(side, site, 0.0, 1.0, 0.0)
    length_mm, stenosis = latent_space.clot_length_mm(latent["clot_length"]), float(ndtr(latent["stenosis"]))
    return head, Occlusion(side, site, length_mm, collaterals, stenosis)


def _with_bolus(scanner: FleetScanner, rng: np.random.Generator) -> FleetScanner:
    """The scanner with this patient's arterial enhancement: bolus and circulation differ."""
    arterial_hu = float(np.clip(scanner.arterial_hu + scanner.arterial_sd_hu * rng.standard_normal(), 180, 480))
    return scanner.model_copy(update={"arterial_hu": arterial_hu})


def _off_the_atlas(rng: np.random.Generator) -> Pose:
    """A patient who lies across the scanner: further turned than any registration looks for."""
    turn = Rotation.from_euler("xz", [float(rng.uniform(95, 125)), float(rng.uniform(50, 80))], degrees=True)
    return Pose(turn.as_matrix(), np.zeros(3))


def _write_placeholders(scans: Path, subject: Subject, rng: np.random.Generator) -> None:
    """Noise of a few voxels, no two files alike: a file is there, and no program takes it for a scan."""
    grid = Grid((8, 8, 4), np.diag([20.0, 20.0, 30.0, 1.0]))
    for name in subject.files.values():
        save_image(scans / name, rng.integers(0, 200, grid.shape).astype(np.int16), grid)

"""Makes a phantom hospital: scans, cases.csv and truth.json in one folder."""

import csv
import hashlib
import io
import json
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Final

import numpy as np
from scipy.special import ndtr

from fpe_core.data.phantoms import latents as latent_space
from fpe_core.data.phantoms.anatomy import Head, build_head
from fpe_core.data.phantoms.clinic import Cell, clinical_cells, outcome_cells
from fpe_core.data.phantoms.ct import CtFindings, write_ct
from fpe_core.data.phantoms.latents import LATENTS, LINKS, FloatArray, draw_latents
from fpe_core.data.phantoms.mr import MrFindings, write_mr
from fpe_core.data.phantoms.spec import Modality, PhantomSite
from fpe_core.data.phantoms.truth import STATEMENT, reachable_auc
from fpe_core.data.phantoms.vessels import Occlusion
from fpe_core.files import write_atomic
from fpe_core.seeds import derive_seed

GENERATOR_VERSION: Final = 1
"""Goes up when the same spec and seed give other voxels."""
SEQUENCES: Final[dict[Modality, tuple[str, ...]]] = {"mr": ("dwi", "adc", "flair"), "ct": ("ncct", "cta")}
Progress = Callable[[int, int], None]
"""Called with the number of cases done and the number of all cases."""


@dataclass(frozen=True)
class PhantomCase:
    """One patient before the scan.

    Attributes:
        case_id, seed: name, and source of everything random in the pictures.
        latents: `(len(LATENTS),)`.
        log_odds: of a positive label.
        cells: clinical and outcome columns of the case table.
    """

    case_id: str
    seed: int
    latents: FloatArray
    log_odds: float
    label: int
    cells: dict[str, Cell]


def generate_site(
    folder: Path, spec: PhantomSite, *, seed: int, progress: Progress | None = None, jobs: int = 1
) -> Path:
    """Write a phantom hospital's raw scans, `cases.csv` and `truth.json`.

    A second call with the same spec and seed makes only the scans that are missing; with another spec or seed it
    makes all of them anew. The same spec and seed give the same bytes, whatever `jobs` is.

    Args:
        folder: made if it does not exist; scans go to `scans/` in it.
        spec: the hospital.
        seed: decides every random draw.
        progress: told about every finished case.
        jobs: processes that work side by side.

    Returns:
        Path of `cases.csv`.
    """
    scans = folder / "scans"
    scans.mkdir(parents=True, exist_ok=True)
    cases = draw_cases(spec, seed=seed)
    missing = _missing(folder, spec, seed, cases)
    for done, _ in enumerate(_rendered(scans, spec, missing, jobs), start=len(cases) - len(missing) + 1):
        if progress:
            progress(done, len(cases))
    write_atomic(folder / "truth.json", _truth(spec, seed, cases).encode())
    write_atomic(folder / "cases.csv", _table(spec, cases).encode())
    return folder / "cases.csv"


def draw_cases(spec: PhantomSite, *, seed: int) -> list[PhantomCase]:
    """The hospital's patients: latents, label, clinical and outcome columns. No pictures yet."""
    rng = np.random.default_rng(derive_seed(seed, spec.name, "patients"))
    latents = draw_latents(spec.num_cases, spec.case_mix, spec.task, rng)
    link = LINKS[spec.task, spec.modality]
    log_odds = link.log_odds(latents, shift=spec.case_mix.log_odds_shift)
    labels = rng.random(spec.num_cases) < 1 / (1 + np.exp(-log_odds))
    return [_case(spec, seed, i, latents[i], float(log_odds[i]), int(labels[i])) for i in range(spec.num_cases)]


def _case(spec: PhantomSite, seed: int, number: int, latents: FloatArray, log_odds: float, label: int) -> PhantomCase:
    case_id = f"{spec.name}-{number + 1:04}"
    rng = np.random.default_rng(derive_seed(seed, spec.name, "table", number))
    cells = {
        **clinical_cells(latents, spec.task, spec.modality, spec.case_mix, rng),
        **outcome_cells(label, spec.task, spec.modality, rng),
    }
    return PhantomCase(case_id, derive_seed(seed, spec.name, "scan", number), latents, log_odds, label, cells)


def render_case(scans: Path, spec: PhantomSite, case: PhantomCase) -> dict[str, str]:
    """Write one patient's scans. Nothing here looks at the label.

    Returns:
        File name by sequence.
    """
    rng = np.random.default_rng(case.seed)
    latent = dict(zip(LATENTS, case.latents.tolist(), strict=True))
    head, occlusion = patient(spec, case, rng)
    collaterals = occlusion.collaterals
    if spec.modality == "ct":
        ct = CtFindings(latent_space.clot_density_hu(latent["clot_density"]), 2.0 + 6.0 * (1 - collaterals))
        return write_ct(scans, case.case_id, head, ct, occlusion, spec.scanner, rng)
    mr = MrFindings(
        core_adc=0.35 + 0.23 * collaterals,
        core_flair=latent_space.core_flair(case.cells["onset_to_image_min"], rng),
        slow_flow=0.1 + 0.9 * float(ndtr(latent["clot_length"])),
    )
    return write_mr(scans, case.case_id, head, mr, occlusion, spec.scanner, rng)


def patient(spec: PhantomSite, case: PhantomCase, rng: np.random.Generator) -> tuple[Head, Occlusion]:
    """A patient's head and occlusion.

    Args:
        spec: the hospital.
        case: the patient.
        rng: new from `case.seed`; the scan draws from it next.
    """
    latent = dict(zip(LATENTS, case.latents.tolist(), strict=True))
    site = str(case.cells["occlusion_site"])
    if site == "m2":
        site = str(rng.choice(["m2_superior", "m2_inferior"]))
    collaterals = latent_space.collateral_grade(latent["collaterals"])
    side = str(case.cells["occlusion_side"])
    head = build_head(
        rng,
        age_years=float(case.cells["age_years"]),
        core_ml=latent_space.core_volume_ml(latent["core"]),
        side=side,
        site=site,
        patchiness=collaterals,
    )
    stenosis = float(ndtr(latent["stenosis"])) if spec.task == "rlvo" else 0.0
    return head, Occlusion(side, site, latent_space.clot_length_mm(latent["clot_length"]), collaterals, stenosis)


def _rendered(scans: Path, spec: PhantomSite, cases: list[PhantomCase], jobs: int) -> Iterator[None]:
    if jobs == 1 or len(cases) < 2:
        for case in cases:
            render_case(scans, spec, case)
            yield
        return
    with ProcessPoolExecutor(min(jobs, len(cases)), mp_context=get_context("spawn")) as pool:
        for finished in as_completed([pool.submit(render_case, scans, spec, case) for case in cases]):
            finished.result()
            yield


def _missing(folder: Path, spec: PhantomSite, seed: int, cases: list[PhantomCase]) -> list[PhantomCase]:
    """Cases whose scans are not there yet; all of them when the scans are of another spec, seed or generator."""
    mark = hashlib.sha256(f"{GENERATOR_VERSION} {seed} {spec.model_dump_json()}".encode()).hexdigest()
    stamp = folder / "scans" / "made-from.sha256"
    if not stamp.exists() or stamp.read_text() != mark:
        for old in (folder / "scans").glob("*.nii.gz"):
            old.unlink()
        write_atomic(stamp, mark.encode())
    return [case for case in cases if not all((folder / path).exists() for path in _images(spec, case).values())]


def _images(spec: PhantomSite, case: PhantomCase) -> dict[str, str]:
    return {name: f"scans/{case.case_id}_{name}.nii.gz" for name in SEQUENCES[spec.modality]}


def _table(spec: PhantomSite, cases: list[PhantomCase]) -> str:
    rows = [
        {
            "case_id": case.case_id,
            "patient_id": case.case_id.replace(spec.name, f"{spec.name}-p"),
            **_images(spec, case),
            **case.cells,
            "synthetic": 1,
        }
        for case in cases
    ]
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _truth(spec: PhantomSite, seed: int, cases: list[PhantomCase]) -> str:
    link = LINKS[spec.task, spec.modality]
    content = {
        "synthetic": True,
        "generator_version": GENERATOR_VERSION,
        "seed": seed,
        "site": spec.model_dump(),
        "link": {
            "form": "log odds = intercept + log_odds_shift + sum of coefficient * latent",
            "intercept": link.intercept,
            "log_odds_shift": spec.case_mix.log_odds_shift,
            "coefficients": link.coefficients,
        },
        "reachable_auc": reachable_auc(spec.task, spec.modality, spec.case_mix),
        "reachable_auc_means": STATEMENT,
        "cases": [
            {
                "case_id": case.case_id,
                "label": case.label,
                "log_odds": round(case.log_odds, 6),
                "latents": dict(zip(LATENTS, np.round(case.latents, 6).tolist(), strict=True)),
            }
            for case in cases
        ],
    }
    return json.dumps(content, indent=1) + "\n"

"""A refractory-occlusion cohort small enough to train on in seconds: noise in a few voxels, and a table."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from fpe_core.config.recipe import recipe_named
from fpe_core.data.case_row import CaseRow
from fpe_core.preprocessing.processed import ProcessedCase, Provenance
from fpe_sim.cohorts.ready import ReadyCohort
from fpe_sim.protocol import load_protocol, protocol_file
from fpe_sim.vdh_rlvo.protocol import VdhProtocol

SHAPE = (64, 33, 33)
"""Two cells in the last stage: batch normalisation of a batch of one needs more than one value."""
MakeCohort = Callable[..., ReadyCohort]


@pytest.fixture
def protocol() -> VdhProtocol:
    """The built-in protocol, narrowed to what a test can train."""
    return load_protocol(
        protocol_file("vdh-rlvo"),
        VdhProtocol,
        [
            "dials.scale=0.05", "dials.images=small", "num_folds=2", "encoders=[efficientnet-b0]",
            "configurations=[plain, daft]", "inputs=[cta]", "small.training.local_epochs=1",
            "subgroups.min_cases_per_class=2",
        ],
    )  # fmt: skip


def a_row(number: int, *, refractory: bool, without_perfusion: bool = False) -> CaseRow:
    """A patient; every second refractory one has a stenosis."""
    rng = np.random.default_rng(number)
    over_6 = float(rng.uniform(20, 200))
    perfusion = {
        "cbf_under_30_ml": float(rng.uniform(0, 20)),
        "tmax_over_4_s_ml": round(over_6 * float(rng.uniform(1.2, 2.5)), 1),
        "tmax_over_6_s_ml": over_6,
        "tmax_over_10_s_ml": round(over_6 * float(rng.uniform(0.1, 0.9)), 1),
    }
    yes_or_no = ("hypertension", "dyslipidaemia", "diabetes", "smoker", "atrial_fibrillation", "iv_thrombolysis")
    return CaseRow(
        case_id=f"c{number}",
        patient_id=f"p{number}",
        images={"ncct": Path("n.nii"), "cta": Path("a.nii")},
        synthetic=True,
        age_years=float(rng.integers(60, 95)),
        sex="F" if rng.random() < 0.5 else "M",
        nihss=int(rng.integers(4, 25)),
        aspects=int(rng.integers(6, 11)),
        unwitnessed_onset=bool(rng.random() < 0.4),
        **{name: bool(rng.random() < 0.4) for name in yes_or_no},
        occlusion_side="left" if rng.random() < 0.5 else "right",
        occlusion_site="m1" if rng.random() < 0.7 else "ica",
        **({} if without_perfusion else perfusion),
        num_passes=2,
        final_mtici="0" if refractory and number % 2 else "3",
        stenosis_percent=70.0 if refractory and not number % 2 else 10.0,
        rescue_treatment=False,
    )


@pytest.fixture
def make_cohort(tmp_path: Path) -> MakeCohort:
    """14 development cases (6 refractory), 8 test cases (4) and 2 that lack perfusion; their volumes if asked for."""

    def make(*, volumes: bool = False) -> ReadyCohort:
        rows = [a_row(i, refractory=i < 6) for i in range(14)]
        rows += [a_row(20 + i, refractory=i < 4) for i in range(8)]
        rows += [a_row(40 + i, refractory=i < 1, without_perfusion=True) for i in range(2)]
        files = {row.case_id: tmp_path / "preprocessed" / f"{row.case_id}.safetensors" for row in rows}
        if volumes:
            for number, row in enumerate(rows):
                _write_case(files[row.case_id], number)
        return ReadyCohort(
            name="vdh",
            site_file=tmp_path / "site.yaml",
            rows=tuple(rows),
            files=files,
            set_aside={},
            synthetic=True,
            reachable_auc={"images": 0.7, "table": 0.65, "both": 0.75},
            groups={row.case_id: "test" if 14 <= place < 22 else "development" for place, row in enumerate(rows)},
        )

    return make


def _write_case(path: Path, number: int) -> None:
    rng = np.random.default_rng(number)
    volumes = {name: rng.random(SHAPE).astype(np.float32) for name in ("ncct", "cta")}
    volumes["vessels"] = (rng.random(SHAPE) < 0.02).astype(np.float32)
    provenance = Provenance(
        recipe="daft-ct-small", recipe_fingerprint=recipe_named("daft-ct-small").fingerprint(), inputs={}, versions={},
        history=(), qc={},
    )  # fmt: skip
    ProcessedCase(volumes, np.ones(SHAPE, np.uint8), np.eye(4), {}, provenance).save(path)

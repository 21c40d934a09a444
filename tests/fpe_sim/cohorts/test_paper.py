import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from fpe_core.config.study import Task
from fpe_core.data.case_table import read_case_table
from fpe_core.data.clinical_columns import RLVO_COLUMNS
from fpe_core.data.inclusion import Arm, inclusion_flow
from fpe_core.data.phantoms.subjects import Subject
from fpe_sim.cohorts import paper
from fpe_sim.cohorts.flows import FLOWS, PaperCohort
from fpe_sim.cohorts.paper import make_phantom_cohort, num_cases
from fpe_sim.cohorts.populations import UCLA_CT, UCLA_MR, UCLA_SCANET, VDH_DEVELOPMENT, Population
from fpe_sim.cohorts.scanners import SCANNERS
from fpe_sim.cohorts.truth import reachable


@pytest.fixture
def rendered(monkeypatch: pytest.MonkeyPatch) -> list[Subject]:
    """Empty files in the place of scans; who was in front of the scanner."""
    seen: list[Subject] = []

    def render(scans: Path, subjects: Sequence[Subject], *, jobs: int) -> Iterator[None]:
        for subject in subjects:
            seen.append(subject)
            for file in subject.files.values():
                (scans / file).touch()
            yield

    monkeypatch.setattr(paper, "render_subjects", render)
    return seen


def make(folder: Path, name: PaperCohort, *, seed: int = 1, scale: float = 1.0) -> list[tuple[int, int]]:
    calls: list[tuple[int, int]] = []
    make_phantom_cohort(
        name, folder, seed=seed, scale=scale, jobs=1, progress=lambda done, total: calls.append((done, total))
    )
    return calls


@pytest.mark.parametrize(
    ("name", "task", "sequences", "excluded"),
    [
        ("ucla-mr", "fpe", ("dwi", "adc", "flair"), {"missing series": 24, "degraded image quality": 11}),
        ("ucla-scanet", "recanalization", ("ncct", "cta"), {"missing series": 69, "side of the stroke unclear": 8}),
        (
            "vdh", "rlvo", ("ncct", "cta"),
            {
                "no occlusion on baseline angiography": 34, "several synchronous occlusions": 21,
                "severe artefacts": 29, "NCCT, CTA or CTP missing": 72, "registration failed": 23,
                "more than 3 CTP parameters missing": 61,
            },
        ),
    ],
)  # fmt: skip
def test_the_inclusion_flow_is_the_papers(
    tmp_path: Path,
    rendered: list[Subject],
    name: PaperCohort,
    task: Task,
    sequences: tuple[str, ...],
    excluded: dict[str, int],
) -> None:
    make(tmp_path, name)
    table = read_case_table(tmp_path / "cases.csv")
    assert not table.problems
    unregistered = {subject.case_id: "FPE-219" for subject in rendered if subject.picture == "off the atlas"}
    columns = RLVO_COLUMNS if task == "rlvo" else ()
    flow = inclusion_flow(table.rows, task=task, arms=[Arm(name, sequences, unregistered)], columns=columns)
    assert {reason: count for reason, count in flow.excluded if count} == excluded
    assert len(flow.included) == sum(sum(part.strata.values()) for part in FLOWS[name].parts)
    assert flow.eligible == num_cases(name)


def test_model_c_recovers_61_patients_for_training(tmp_path: Path, rendered: list[Subject]) -> None:
    make(tmp_path, "vdh")
    rows = read_case_table(tmp_path / "cases.csv").rows
    groups = json.loads((tmp_path / "truth.json").read_text())["groups"]
    unregistered = {subject.case_id: "FPE-219" for subject in rendered if subject.picture == "off the atlas"}
    arm = Arm("vdh", ("ncct", "cta"), unregistered)
    fewer = tuple(name for name in RLVO_COLUMNS if not name.startswith(("tmax", "cbf", "hypoperfusion")))
    usual, more = (set(inclusion_flow(rows, task="rlvo", arms=[arm], columns=seen).included) for seen in (None, fewer))
    assert usual < more
    assert [groups[case] for case in more - usual] == ["development"] * 61


def test_a_second_call_makes_only_what_is_missing(tmp_path: Path, rendered: list[Subject]) -> None:
    first = make(tmp_path, "ucla-ct", scale=0.02)
    total = first[-1][1]
    (tmp_path / "scans" / rendered[2].files["cta"]).unlink()
    assert make(tmp_path, "ucla-ct", scale=0.02) == [(total, total)]
    assert len(make(tmp_path, "ucla-ct", scale=0.02, seed=2)) == total


def test_truth_states_groups_links_and_what_can_be_reached(tmp_path: Path, rendered: list[Subject]) -> None:
    make(tmp_path, "vdh", scale=0.02)
    truth = json.loads((tmp_path / "truth.json").read_text())
    rows = {row.case_id for row in read_case_table(tmp_path / "cases.csv").rows}
    assert set(truth["groups"]) == rows == {case["case_id"] for case in truth["cases"]}
    assert set(truth["groups"].values()) == {"development", "test"}
    assert truth["reachable_auc"] == truth["reachable_auc_by_task"]["rlvo"]
    assert set(truth["reachable_auc_by_task"]) == {"fpe", "recanalization", "rlvo"}


def test_patients_of_a_cohort_are_scanned_on_all_its_scanners(tmp_path: Path, rendered: list[Subject]) -> None:
    make(tmp_path, "ucla-mr", scale=0.3)
    scanners = Counter(subject.scanner.name for subject in rendered)
    assert set(scanners) == {"Siemens Avanto, 1.5 T", "Siemens Trio, 3 T"}
    assert min(scanners.values()) > 0.35 * scanners.total()


def test_hospitals_scan_differently() -> None:
    ucla, vdh = SCANNERS["ucla-ct"], SCANNERS["vdh"][0]
    for scanner in ucla:
        assert scanner.arterial_hu - vdh.arterial_hu > 50
        assert vdh.venous_hu - scanner.venous_hu > 50
        assert scanner.noise_hu < vdh.noise_hu
        assert scanner.orientation != vdh.orientation
        assert scanner.thickness_mm > vdh.thickness_mm


@pytest.mark.parametrize(
    ("population", "task", "images", "table", "both"),
    [
        (UCLA_MR, "fpe", (0.85, 0.90), (0.6, 0.85), (0.85, 0.92)),
        (UCLA_CT, "fpe", (0.85, 0.90), (0.6, 0.70), (0.85, 0.92)),
        (UCLA_SCANET, "recanalization", (0.77, 0.80), (0.55, 0.70), (0.77, 0.82)),
        (VDH_DEVELOPMENT, "rlvo", (0.65, 0.71), (0.60, 0.67), (0.73, 0.77)),
        (VDH_DEVELOPMENT, "fpe", (0.85, 0.90), (0.6, 0.70), (0.85, 0.92)),
        (UCLA_CT, "rlvo", (0.65, 0.71), (0.60, 0.67), (0.72, 0.77)),
    ],
)
def test_reachable_aucs_bracket_the_papers_figures(
    population: Population,
    task: Task,
    images: tuple[float, float],
    table: tuple[float, float],
    both: tuple[float, float],
) -> None:
    found = reachable(population)[task]
    for source, (low, high) in {"images": images, "table": table, "both": both}.items():
        assert low <= found[source] <= high
    assert np.all(np.diff([max(found["images"], found["table"]), found["both"], found["all_latents"]]) >= 0)

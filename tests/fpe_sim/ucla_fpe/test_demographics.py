"""Table 1 beside the paper's, the other modality drawn as its own protocol has it."""

from collections.abc import Callable
from math import sqrt
from pathlib import Path

import pytest

from fpe_core.data.case_row import CaseRow
from fpe_core.data.case_table import read_case_table
from fpe_core.data.inclusion import Arm, inclusion_flow
from fpe_sim.protocol import with_overrides
from fpe_sim.run_context import RunContext
from fpe_sim.ucla_fpe.cohorts import ready_cohorts
from fpe_sim.ucla_fpe.demographics import demographics, drawn_patients
from fpe_sim.ucla_fpe.paper import CROSS_VALIDATION
from fpe_sim.ucla_fpe.participants import Participants
from fpe_sim.ucla_fpe.protocol import UclaFpe


@pytest.fixture
def who(make_row: Callable[..., CaseRow]) -> Participants:
    known = {"iv_thrombolysis": True, "onset_to_image_min": 120.0, "final_mtici": "2b"}
    rows = [make_row(i, label=i % 2, age_years=60 + i, sex="FM"[i % 2], nihss=5 + i, **known) for i in range(12)]
    return Participants(inclusion_flow(rows, task="fpe", arms=[Arm("mr", ("dwi",))]), tuple(rows), ())


def test_the_other_modality_is_the_cohort_of_its_own_protocol(
    protocol: UclaFpe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The patients in the table that ucla-fpe-ct writes; its scans are not made."""
    monkeypatch.setattr("fpe_sim.cohorts.paper.render_subjects", lambda *_, **__: iter(()))
    monkeypatch.setattr("fpe_sim.cohorts.ready.prepare", _stop)
    tenth = with_overrides(protocol, ["dials.scale=0.1"])
    with pytest.raises(_Stopped):
        ready_cohorts(tenth.model_copy(update={"modality": "ct"}), RunContext(tmp_path, 1))
    own = read_case_table(tmp_path / "cohorts" / "ucla-ct" / "data" / "cases.csv").rows
    drawn = drawn_patients(tenth)
    assert drawn
    assert {row.case_id: row.age_years for row in drawn}.items() <= {row.case_id: row.age_years for row in own}.items()


class _Stopped(Exception):
    pass


def _stop(*_: object, **__: object) -> None:
    raise _Stopped


def test_phantoms_have_both_modalities_and_a_hospital_its_own(protocol: UclaFpe, who: Participants) -> None:
    phantoms = demographics(with_overrides(protocol, ["dials.scale=0.1"]), who)
    own = demographics(protocol.model_copy(update={"site": Path("site.yaml")}), who)
    for table, both in ((phantoms, True), (own, False)):
        total, mr, ct, p = table.rows[0].entries
        assert (total.paper, mr.paper, ct.paper, p.paper) == (
            "180 (54.22 %)", "86 (56.58 %)", "96 (53.33 %)", ".6303",
        )  # fmt: skip
        assert mr.here == "6 (50.0 %)"
        assert [bool(entry.here) for entry in (total, ct, p)] == [both] * 3


def test_the_printed_sd_of_flair_is_larger_than_five_aucs_can_have() -> None:
    mean, sd = (float(text.strip("()")) for text in CROSS_VALIDATION["mr"]["FLAIR-DL"][0].split())
    # The widest five numbers of this mean in [0, 1] are ones, zeros and one in between.
    widest = (1.0, 1.0, 1.0, 5 * mean - 3, 0.0)
    assert sqrt(sum((value - mean) ** 2 for value in widest) / 4) == pytest.approx(0.4497, abs=1e-4)
    assert sd > 0.4497

"""Table 1: the included patients of the modality that is run, and of the other one where phantoms can be drawn."""

from collections.abc import Sequence

from fpe_core.data.case_row import CaseRow
from fpe_sim.cohorts.draw import Patient, draw_cohort
from fpe_sim.cohorts.table_one import ucla_table_one
from fpe_sim.protocol_results import ResultTable
from fpe_sim.ucla_fpe.cohorts import LABELLED
from fpe_sim.ucla_fpe.participants import Participants
from fpe_sim.ucla_fpe.protocol import UclaFpe


def demographics(protocol: UclaFpe, who: Participants) -> ResultTable:
    """Paper beside here; with a hospital's own cohort the other modality is the paper's alone."""
    other = [] if protocol.site else drawn_patients(protocol)
    own = who.included
    table = ucla_table_one(mr=own, ct=other) if protocol.modality == "mr" else ucla_table_one(mr=other, ct=own)
    if protocol.site:
        return table
    drawn = "CT" if protocol.modality == "mr" else "MR"
    return table.model_copy(update={"note": f"{table.note} {drawn}: the table alone was drawn, without scans."})


def drawn_patients(protocol: UclaFpe) -> Sequence[CaseRow]:
    """The included phantoms of the other modality at the same seed and scale, as its own protocol has them before any
    case is set aside for its pictures."""
    cohort = LABELLED["ct" if protocol.modality == "mr" else "mr"]
    drawn = draw_cohort(cohort, seed=protocol.seed, scale=protocol.dials.scale)
    return [_row(one) for one in drawn if one.exclusion is None]


def _row(patient: Patient) -> CaseRow:
    known = {name: value for name, value in patient.cells.items() if value != ""}
    return CaseRow.model_validate({"case_id": patient.case_id, "patient_id": patient.case_id, "images": {}, **known})

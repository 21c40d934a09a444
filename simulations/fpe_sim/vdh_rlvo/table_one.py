"""Table 1: placeholder until cohorts.table_one."""

from fpe_sim.protocol_results import ResultTable
from fpe_sim.vdh_rlvo.cohort import Division


def table_one_parts(_division: Division) -> tuple[ResultTable, tuple[str, ...]]:
    """The table, and where the paper's own contradicts itself."""
    return ResultTable(id="table-1", title="Table 1", columns=(), rows=()), ()

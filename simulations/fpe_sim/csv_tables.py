"""The tables of a run as CSV files, for other programs: a line for each cell."""

import csv
import io
from pathlib import Path

from fpe_core.files import write_atomic
from fpe_sim.protocol_results import Entry, ProtocolResults, ResultTable

COLUMNS = ("row", "column", "paper", "here", "value", "sd", "low", "high")
"""Headings of every file. `paper` and `here` are as printed; the others are the measured numbers, empty where there are
none."""


def write_tables(results: ProtocolResults, folder: Path) -> None:
    """Write `folder/ID.csv` for each table, and take away those of tables that the results do not have."""
    folder.mkdir(parents=True, exist_ok=True)
    for table in results.tables:
        write_atomic(folder / f"{table.id}.csv", csv_text(table).encode())
    for path in set(folder.glob("*.csv")) - {folder / f"{table.id}.csv" for table in results.tables}:
        path.unlink()


def csv_text(table: ResultTable) -> str:
    """The table in long form, so that a column that is added to it moves no other."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in table.rows:
        for column, entry in zip(table.columns, row.entries, strict=True):
            writer.writerow((row.name, column, entry.paper, entry.here, *_numbers(entry)))
    return text.getvalue()


def _numbers(entry: Entry) -> tuple[str, ...]:
    return tuple("" if number is None else repr(number) for number in (entry.value, entry.sd, entry.low, entry.high))

"""`fpe-client import bids` and `isles24`: public layouts to a case table, and words about what was left out."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from fpe_client.console import told, words

if TYPE_CHECKING:
    from fpe_core.data.layouts.imported import Imported

_SHOWN = 20
"""Lines of one kind that are shown before the rest is counted."""
Finder = Callable[[Callable[[int, int], None]], "Imported"]

FolderArgument = Annotated[Path, typer.Argument(help="The data set. It is only read.", show_default=False)]
OutOption = Annotated[Path, typer.Option(help="Where cases.csv, converted images and the report go.")]
ReplaceOption = Annotated[bool, typer.Option("--replace", help="Overwrite a cases.csv that was edited.")]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON document on stdout, words on stderr.")]


def bids(
    folder: FolderArgument,
    out: OutOption = Path("imported"),
    session: Annotated[
        str | None, typer.Option(help="The session before treatment, where subjects have several.")
    ] = None,
    replace: ReplaceOption = False,
    as_json: JsonOption = False,
) -> None:
    """Bring a BIDS tree into a case table: CT, CTA, DWI with its b-values, ADC, FLAIR, participants.tsv and phenotype.

    Images stay where they are; only diffusion series in one file are split into volumes. docs/cohort.md has the names.

    Example: fpe-client import bids /data/stroke-bids --out /data/stroke
    """
    from fpe_core.data.layouts.bids import import_bids

    _import(folder, out, lambda tell: import_bids(folder, out, session=session, progress=tell), replace, as_json)


def isles24(
    folder: FolderArgument,
    out: OutOption = Path("imported"),
    replace: ReplaceOption = False,
    as_json: JsonOption = False,
) -> None:
    """Bring the ISLES'24 data set into a case table: NCCT, CTA, volumes of the Tmax and CBF maps, and phenotype.

    Images stay where they are. Those of the second session are after treatment and are left alone.

    Example: fpe-client import isles24 /data/isles24/train --out /data/isles24-cases
    """
    from fpe_core.data.layouts.isles24 import import_isles24

    _import(folder, out, lambda tell: import_isles24(folder, progress=tell), replace, as_json)


def _import(folder: Path, out: Path, find: Finder, replace: bool, as_json: bool) -> None:
    from fpe_core.data.layouts.imported import REPORT, check_out, check_table, write_import
    from fpe_core.preprocessing.storage import storage_errors_told

    console = words()
    with told(as_json=as_json) as data, storage_errors_told(out):
        check_out(folder, out)
        check_table(out, replace=replace)
        with _bar(console) as bar:
            task = bar.add_task("subjects", total=None)
            imported = find(lambda done, total: bar.update(task, completed=done, total=total))
        _say(imported, console)
        table = write_import(imported, out, replace=replace)
        console.print(f"{table} is ready for fpe-client preprocess", markup=False, highlight=False, soft_wrap=True)
        data.update(
            cases=len(imported.cases),
            left_out={subject.subject: subject.code for subject in imported.left_out},
            notes=sum(len(case.notes) for case in imported.cases) + len(imported.notes),
            table=table,
            report=out / REPORT,
        )


def _bar(console: Console) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=console, transient=True)


def _say(imported: "Imported", console: Console) -> None:
    def line(text: str) -> None:
        console.print(text, markup=False, highlight=False, soft_wrap=True)

    def some(title: str, texts: list[str]) -> None:
        if texts:
            line(f"{len(texts)} {title}:")
        for text in texts[:_SHOWN]:
            line(f"  {text}")
        if len(texts) > _SHOWN:
            line(f"  and {len(texts) - _SHOWN} more; the report has all")

    line(f"{len(imported.cases)} cases found, {len(imported.left_out)} subjects left out")
    images = sorted({name for case in imported.cases for name in case.images})
    if images:
        counts = (f"{name} {sum(name in case.images for case in imported.cases)}" for name in images)
        line(f"images: {', '.join(counts)}")
    some("subjects left out", [f"{one.subject} [{one.code}] {one.message}" for one in imported.left_out])
    for hint in sorted({one.hint for one in imported.left_out if one.hint}):
        line(f"hint: {hint}")
    some("notes on the data set", list(imported.notes))
    some("cells or images left empty", [f"{case.case_id} {note}" for case in imported.cases for note in case.notes])

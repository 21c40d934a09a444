"""`fpe-client table`: what the site's case table holds, what is wrong with it, and what becomes of each case."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, get_args

import typer

from fpe_client.console import told, words
from fpe_core.errors import NotEnoughCases
from fpe_core.spoken import envelope, error_text

if TYPE_CHECKING:
    from rich.table import Table

    from fpe_core.config.study import Task
    from fpe_core.data.case_table import CaseTable, RowProblem

MOST_LISTED: Final = 100
"""Problems that are listed on the screen; --json has all."""
WIDTH_WITHOUT_TERMINAL: Final = 160
"""Columns of text where the output goes to a file or another program."""


def table(
    site: Annotated[
        Path | None, typer.Option("--site", help="The site's configuration file.", show_default=False)
    ] = None,
    dictionary: Annotated[
        bool, typer.Option("--dictionary", help="Print every column that a table may have, and leave.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout, words on stderr.")] = False,
) -> None:
    """Read the site's case table and say what is wrong with it, line by line.

    A case that cannot be used is set aside with a reason and the others go on. Nothing is written and nothing sent.

    Example: fpe-client table --site mr-site.yaml
    """
    with told(as_json=as_json) as data:
        if dictionary:
            data.update(_dictionary(as_json=as_json))
        elif site is None:
            raise typer.BadParameter("--site FILE, or --dictionary")
        else:
            data.update(_check(site, as_json=as_json))


def _check(site: Path, *, as_json: bool) -> dict[str, object]:
    from fpe_core.config.loader import load_site
    from fpe_core.data.case_table import read_site_table

    config = load_site(site)
    read = read_site_table(config.data)
    found: dict[str, object] = {
        "table": config.data.cases,
        "bad_values": config.data.bad_values,
        "rows": read.num_rows,
        "usable": len(read.rows),
        "set_aside_by_code": read.set_aside_by_code(),
        "labels": labels_by_task(read),
        "problems": [asdict(problem) for problem in read.problems],
    }
    if not as_json:
        _print(read, config.data.cases)
    if read.rows:
        return found
    if as_json:
        typer.echo(envelope(found, exit_code=NotEnoughCases.exit_code))
    error = NotEnoughCases(
        f"{config.data.cases}: none of {read.num_rows} rows can be used", hint="the reasons are listed"
    )
    words().print(error_text(error), markup=False, highlight=False, soft_wrap=True)
    raise typer.Exit(error.exit_code)


def labels_by_task(read: "CaseTable") -> "dict[Task, dict[str, int]]":
    """How many usable cases are positive, negative and undecided for each task."""
    from fpe_core.config.study import Task
    from fpe_core.data.labels import label_of

    names = {1: "positive", 0: "negative", None: "undecided"}
    counts: dict[Task, dict[str, int]] = {}
    for task in get_args(Task):
        labels = Counter(label_of(task, row) for row in read.rows)
        counts[task] = {name: labels[label] for label, name in names.items()}
    return counts


def _print(read: "CaseTable", path: Path) -> None:
    from fpe_client.preparation import HINTS

    aside = read.num_rows - len(read.rows)
    typer.echo(f"{path}: {read.num_rows} rows, {len(read.rows)} usable, {aside} set aside")
    if read.problems:
        _show(_listed(read.problems[:MOST_LISTED]))
        if len(read.problems) > MOST_LISTED:
            typer.echo(f"and {len(read.problems) - MOST_LISTED} more problems; --json lists all")
        _show(_counted(read))
    _show(_labels(labels_by_task(read)))
    for code in sorted({problem.code for problem in read.problems} & set(HINTS)):
        words().print(f"hint for {code}: {HINTS[code]}", markup=False, highlight=False, soft_wrap=True)


def _listed(problems: "Iterable[RowProblem]") -> "Table":
    rows = [(str(p.line), p.case_id or "", p.column, p.code, p.message, p.effect) for p in problems]
    return _table("problems", ("line", "case", "column", "code", "what", "effect"), rows)


def _counted(read: "CaseTable") -> "Table":
    counts = Counter((problem.code, problem.column, problem.effect) for problem in read.problems)
    rows = [(code, column, effect, str(number)) for (code, column, effect), number in counts.most_common()]
    return _table("problems by code", ("code", "column", "effect", "number"), rows)


def _labels(counts: "Mapping[Task, Mapping[str, int]]") -> "Table":
    rows = [(str(task), *(str(number) for number in of_task.values())) for task, of_task in counts.items()]
    return _table("labels of the usable cases", ("task", "positive", "negative", "undecided"), rows)


def _dictionary(*, as_json: bool) -> dict[str, object]:
    from fpe_core.data.dictionary import DICTIONARY

    if not as_json:
        rows = [(c.name, c.group, c.expected, c.meaning, "yes" if c.required else "") for c in DICTIONARY.values()]
        _show(_table("columns of a case table", ("column", "group", "values", "meaning", "required"), rows))
    return {"columns": [asdict(column) for column in DICTIONARY.values()]}


def _table(title: str, headers: Sequence[str], rows: Iterable[Sequence[str]]) -> "Table":
    from rich import box
    from rich.table import Table
    from rich.text import Text

    found = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD)
    for header in headers:
        found.add_column(header, overflow="fold")
    for row in rows:
        # As Text: what stands in a hospital's table is not rich's markup.
        found.add_row(*(Text(cell) for cell in row))
    return found


def _show(found: "Table") -> None:
    from rich.console import Console

    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = WIDTH_WITHOUT_TERMINAL
    console.print(found)

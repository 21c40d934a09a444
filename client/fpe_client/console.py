"""How the program speaks: data on stdout, words on stderr, one envelope for machines."""

from collections.abc import Iterator
from contextlib import contextmanager

import typer
from rich.console import Console

from fpe_core.errors import FpeError
from fpe_core.spoken import envelope, error_envelope, error_text


def words() -> Console:
    """The console for people: stderr."""
    return Console(stderr=True)


@contextmanager
def told(*, as_json: bool) -> Iterator[dict[str, object]]:
    """Run a command; say its error and leave with the error's code, or print the data that it left in the dict.

    Args:
        as_json: print the envelope `{schema_version, status, exit_code, data}` on stdout, also for an error.
    """
    data: dict[str, object] = {}
    try:
        yield data
    except FpeError as error:
        words().print(error_text(error), markup=False, highlight=False, soft_wrap=True)
        if as_json:
            typer.echo(error_envelope(error))
        raise typer.Exit(error.exit_code) from None
    if as_json:
        typer.echo(envelope(data))

"""How the program speaks: data on stdout, words on stderr, one envelope for machines."""

import json
from collections.abc import Iterator
from contextlib import contextmanager

import typer
from rich.console import Console

from fpe_core.errors import FpeError

ENVELOPE_VERSION = 1


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
        say_error(error)
        if as_json:
            print_envelope("error", error.exit_code, {"code": error.code, "message": str(error), "hint": error.hint})
        raise typer.Exit(error.exit_code) from None
    if as_json:
        print_envelope("ok", 0, data)


def say_error(error: FpeError) -> None:
    """`error [FPE-xxx]: …` and, where there is one, `hint: …`."""
    console = words()
    console.print(f"error [{error.code}]: {error}", markup=False, highlight=False, soft_wrap=True)
    if error.hint:
        console.print(f"hint: {error.hint}", markup=False, highlight=False, soft_wrap=True)


def print_envelope(status: str, exit_code: int, data: object) -> None:
    """One JSON document on stdout."""
    envelope = {"schema_version": ENVELOPE_VERSION, "status": status, "exit_code": exit_code, "data": data}
    typer.echo(json.dumps(envelope, default=str))

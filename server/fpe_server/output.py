"""What the command line says: words on stderr, data on stdout, one JSON envelope for machines."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import typer

from fpe_core.errors import FpeError
from fpe_core.spoken import envelope, error_envelope, error_text


def say(text: str = "") -> None:
    """Words for a person, on stderr."""
    typer.echo(text, err=True)


def emit(data: dict[str, Any], *, as_json: bool, text: str = "", exit_code: int = 0) -> None:
    """A command's result on stdout: the envelope for a machine, or `text` for a person."""
    if as_json:
        typer.echo(envelope(data, exit_code=exit_code))
    elif text:
        typer.echo(text)


@contextmanager
def reported_errors(*, as_json: bool = False) -> Iterator[None]:
    """Turn an error of ours into its message, its hint and its exit code."""
    try:
        yield
    except FpeError as error:
        say(error_text(error))
        if as_json:
            typer.echo(error_envelope(error))
        sys.exit(error.exit_code)

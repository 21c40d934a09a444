"""What the command line says: words on stderr, data on stdout, one JSON envelope for machines."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import typer

from fpe_core.errors import FpeError

SCHEMA_VERSION = 1


def say(text: str = "") -> None:
    """Words for a person, on stderr."""
    typer.echo(text, err=True)


def emit(data: dict[str, Any], *, as_json: bool, text: str = "", exit_code: int = 0) -> None:
    """A command's result on stdout: the envelope for a machine, or `text` for a person."""
    if as_json:
        envelope = {
            "schema_version": SCHEMA_VERSION,
            "status": "ok" if exit_code == 0 else "error",
            "exit_code": exit_code,
            "data": data,
        }
        typer.echo(json.dumps(envelope))
    elif text:
        typer.echo(text)


@contextmanager
def reported_errors(*, as_json: bool = False) -> Iterator[None]:
    """Turn an error of ours into its message, its hint and its exit code."""
    try:
        yield
    except FpeError as error:
        say(f"error [{error.code}]: {error}")
        if error.hint:
            say(f"hint: {error.hint}")
        if as_json:
            data = {"code": error.code, "message": str(error), "hint": error.hint}
            emit(data, as_json=True, exit_code=error.exit_code)
        sys.exit(error.exit_code)

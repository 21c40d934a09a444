"""What the three programs say alike: the words of an error, and the envelope around data for machines."""

import json

from fpe_core.errors import FpeError

ENVELOPE_VERSION = 1


def error_text(error: FpeError) -> str:
    """`error [FPE-xxx]: …` and, where there is one, a line `hint: …`."""
    said = f"error [{error.code}]: {error}"
    return f"{said}\nhint: {error.hint}" if error.hint else said


def envelope(data: object, *, exit_code: int = 0) -> str:
    """One JSON document `{schema_version, status, exit_code, data}`."""
    status = "ok" if exit_code == 0 else "error"
    document = {"schema_version": ENVELOPE_VERSION, "status": status, "exit_code": exit_code, "data": data}
    return json.dumps(document, default=str)


def error_envelope(error: FpeError) -> str:
    """The envelope of a command that `error` ended."""
    data = {"code": error.code, "message": str(error), "hint": error.hint}
    return envelope(data, exit_code=error.exit_code)

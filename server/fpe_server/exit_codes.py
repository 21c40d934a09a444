"""The page of exit codes and error codes: `python -m fpe_server.exit_codes > docs/exit-codes.md`."""

from fpe_core import errors
from fpe_core.errors import ConnectionRefused, FpeError

_HEAD = """\
# Exit codes and error codes

All three programs (`fpe-server`, `fpe-client`, `fpe-sim`) end with one of these exit codes. With `--json` the code is
also `exit_code` in the envelope on stdout; the words are on stderr, as `error [FPE-…]: …` and, where there is something
to do about it, a `hint: …`.

This page is generated from `fpe_core/errors.py` by `python -m fpe_server.exit_codes > docs/exit-codes.md`.

## Exit codes

| exit code | meaning |
|---|---|
"""

_MIDDLE = """
## Error codes

A site tells the server no more about an error than its code and this sentence. Both are constants.

| code | name | sentence | exit code |
|---|---|---|---|
"""

_NO_ERROR = {
    0: "Done.",
    2: "The command line was wrong; the command's `--help` says how it goes.",
    130: "Stopped before a study was finished; it goes on from its last round when it is started again.",
}

# Ends that are no error of the program, but share an error's exit code.
_ALSO = {1: "`fpe-sim reproduce-check`: a number is outside its band, or a run failed."}


def page() -> str:
    """The whole page as Markdown."""
    exits = [f"| {number} | {meaning} |" for number, meaning in sorted(_exit_meanings().items())]
    codes = [
        f"| {kind.code} | `{kind.__name__}` | {kind.safe_sentence} | {kind.exit_code} |"
        for kind in sorted(_kinds(), key=lambda kind: kind.code)
    ]
    return _HEAD + "\n".join(exits) + "\n" + _MIDDLE + "\n".join(codes) + "\n"


def _exit_meanings() -> dict[int, str]:
    """Exit code to the sentences of the errors that stand for it: the heads of groups, and each refused connection."""
    heads = [kind for kind in _kinds() if kind.__base__ in (FpeError, ConnectionRefused) or kind is FpeError]
    meanings: dict[int, list[str]] = {}
    for kind in heads:
        if kind is not ConnectionRefused:
            meanings.setdefault(kind.exit_code, []).append(kind.safe_sentence)
    for number, meaning in _ALSO.items():
        meanings[number].append(meaning)
    return _NO_ERROR | {number: " Or: ".join(sentences) for number, sentences in meanings.items()}


def _kinds() -> list[type[FpeError]]:
    return [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, FpeError)]


if __name__ == "__main__":
    print(page(), end="")

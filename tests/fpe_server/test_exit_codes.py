"""The page of exit codes is fresh, and the codes are what machines can rely on."""

from collections import Counter
from pathlib import Path

from fpe_core import errors
from fpe_core.errors import FpeError
from fpe_server.exit_codes import page

PAGE = Path(__file__).parents[2] / "docs" / "exit-codes.md"


def kinds() -> list[type[FpeError]]:
    return [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, FpeError)]


def test_page_is_fresh() -> None:
    assert PAGE.read_text() == page(), "run `python -m fpe_server.exit_codes > docs/exit-codes.md`"


def test_every_error_has_a_code_and_a_sentence_of_its_own() -> None:
    assert Counter(kind.code for kind in kinds()).most_common(1)[0][1] == 1
    assert Counter(kind.safe_sentence for kind in kinds()).most_common(1)[0][1] == 1


def test_every_error_is_on_the_page() -> None:
    for kind in kinds():
        assert f"| {kind.code} | `{kind.__name__}` |" in page()

"""What docs/evaluation.md shows runs as written, and its table names modules that exist."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "evaluation.md").read_text()


def test_the_example_runs(capsys: pytest.CaptureFixture[str]) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
    exec(code, {})  # noqa: S102 - our own page
    # By hand: the threshold is .65 (J = ½, as at .25, and the upper of the two); of .5 and .9 it finds one.
    assert capsys.readouterr().out == "1.0 0.5 1.0 AucInterval(auc=1.0, low=0.0, high=1.0)\n"


def test_every_module_exists() -> None:
    rows = [line.split("|")[1] for line in PAGE.splitlines() if line.startswith("| `")]
    names = [name for row in rows for name in re.findall(r"`(\w+)`", row)]
    assert len(names) > 15
    for name in names:
        assert (ROOT / "fpe_core" / "evaluation" / f"{name}.py").exists()

"""What the README says can be done, can be done."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from fpe_core.config.study import StudyPlan

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
BIN = Path(sys.executable).parent


GROUPS = ("import", "qc")
"""Commands that have commands of their own."""


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


def commands(program: str) -> list[list[str]]:
    lines = [line.split("#")[0].split() for block in blocks("bash") for line in block.splitlines()]
    return [words for words in lines if words and words[0] == program]


def test_the_two_commands_come_first_and_exist() -> None:
    first = blocks("bash")[0]
    assert [line.split("#")[0].strip() for line in first.splitlines()] == ["make demo", "make test"]
    for target in ("demo", "test"):
        dry = subprocess.run(["make", "-n", target], cwd=ROOT, capture_output=True, text=True, check=True)
        assert dry.stdout


@pytest.mark.parametrize("program", ["fpe-server", "fpe-client", "fpe-sim"])
def test_every_command_and_option_is_one_that_the_program_has(program: str) -> None:
    assert commands(program)
    for words in commands(program):
        depth = 3 if words[1] in GROUPS else 2
        sub = words[1:depth] if not words[1].startswith("-") else []
        shown = subprocess.run([BIN / program, *sub, "--help"], capture_output=True, text=True, check=True).stdout
        for option in (word for word in words if word.startswith("--")):
            assert option in re.sub(r"\x1b\[[0-9;]*m", "", shown), f"{' '.join(words)}: no {option}"


def test_a_first_federation_as_written(tmp_path: Path) -> None:
    shutil.copy(ROOT / "site_configs" / "mr-site.yaml", tmp_path)
    steps = {words[1]: words for program in ("fpe-client", "fpe-server") for words in commands(program)}
    for name in ("keygen", "init", "admit"):
        words = steps[name]
        subprocess.run([BIN / words[0], *words[1:]], cwd=tmp_path, capture_output=True, check=True)
    assert (tmp_path / "fed" / "federation.yaml").exists()


def test_the_plan_is_valid() -> None:
    plans = blocks("yaml")
    assert plans
    for text in plans:
        StudyPlan.model_validate(yaml.safe_load(text))


def test_every_link_leads_somewhere() -> None:
    for page in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]:
        for target in re.findall(r"\]\((?!https?://|#)([^)#]+)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"

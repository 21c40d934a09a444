"""The page on private training says what the program does."""

import re
from pathlib import Path

import pytest
import yaml

from fpe_core.config.study import PrivacyPlan, StudyPlan
from fpe_core.errors import PrivacyBudgetSpent
from fpe_core.training.accountant import noise_multiplier

PAGE = (Path(__file__).parents[3] / "docs" / "private-training.md").read_text(encoding="utf-8")


def test_the_plan_on_the_page_is_valid() -> None:
    (section,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    plan = StudyPlan.model_validate({"name": "private", "task": "fpe", "seed": 1, **yaml.safe_load(section)})
    assert plan.training.privacy == PrivacyPlan(target_epsilon=8.0)


@pytest.mark.parametrize("num_cases", [60, 120, 400])
def test_the_noise_on_the_page_is_what_sites_work_out(num_cases: int) -> None:
    (row,) = re.findall(rf"^\| {num_cases} \| (.*) \|$", PAGE, re.MULTILINE)
    sampling = {"sample_rate": 12 / num_cases, "num_steps": 10 * (num_cases // 12)}
    worked_out = [noise_multiplier(PrivacyPlan(target_epsilon=target), **sampling) for target in (1, 3, 8)]
    assert [float(cell) for cell in row.split(" | ")] == pytest.approx(worked_out, abs=0.051)


def test_the_code_on_the_page_is_the_refusals() -> None:
    assert f"refused with {PrivacyBudgetSpent.code}." in PAGE

"""The example on the page about clinical models runs as it stands."""

import re
from pathlib import Path

import numpy as np
import pytest

from fpe_core.models.clinical import LogisticModel

PAGE = Path(__file__).parents[2] / "docs" / "clinical-models.md"


def test_the_pages_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    lines = ["case_id,patient_id,nihss,aspects,num_passes,mtici_after_first_pass"]
    for i in range(40):
        grade = ("1", "3", "")[min(int(rng.integers(0, 5)) // 2, 2)]
        lines.append(f"c{i},p{i},{rng.integers(0, 43)},{rng.integers(0, 11)},{'1' if grade else ''},{grade}")
    (tmp_path / "cases.csv").write_text("\n".join(lines) + "\n")
    monkeypatch.chdir(tmp_path)
    (example,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)
    names: dict[str, object] = {}
    exec(example, names)  # noqa: S102 - the page's own code is what is tested
    model = LogisticModel.model_validate_json((tmp_path / "nihss-aspects.json").read_text())
    assert model == names["model"]
    assert np.shape(names["probabilities"]) == np.shape(names["test"])[:1]

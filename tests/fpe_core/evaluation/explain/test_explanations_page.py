"""docs/explanations.md says what is so."""

import re
from pathlib import Path
from typing import get_args

import pytest
import torch

from fpe_core.config.study import ModelName
from fpe_core.data.dataset import Sample
from fpe_core.evaluation.explain.grad_cam import grad_cam
from fpe_core.evaluation.explain.layers import find_layer
from fpe_core.models import build_model

PAGE = Path(__file__).parents[4] / "docs" / "explanations.md"
ROWS = [
    (network, default, finer, int(cell))
    for names, default, finer, cell in re.findall(
        r"^\| (`.+?) \| `(.+?)` \| .+? \| `(.+?)`, (\d+) ×.* \|$", PAGE.read_text(), re.MULTILINE
    )
    for network in re.findall("`(.+?)`", names)
]


def test_the_example_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    columns = ("age_years", "nihss", "atrial_fibrillation")
    model = build_model("efficientnet-b0", in_channels=2, daft=True, num_tabular=3)
    batch = Sample(torch.rand(2, 2, 32, 48, 40), torch.zeros(2), torch.rand(2, 3))
    found = {"model": model, "batch": batch, "columns": columns}
    for block in re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.DOTALL | re.MULTILINE):
        exec(block, found)  # noqa: S102 (the page's own example)
    assert found["attention"].shape == (2, 32, 48, 40)
    assert sorted(path.name for path in (tmp_path / "explained").iterdir()) == ["case.png", "columns.png"]


def test_the_page_knows_every_network():
    assert sorted(row[0] for row in ROWS) == sorted(get_args(ModelName))


@pytest.mark.parametrize(("network", "default", "finer", "cell"), ROWS)
def test_the_layers_of_the_page_are_there(network, default, finer, cell):
    volumes = network in ("densenet169", "efficientnet-b0")
    model = build_model(network, in_channels=1, **({} if volumes else {"base_width": 8}))
    assert find_layer(model, None) is find_layer(model, default)
    sizes: list[int] = []
    handle = find_layer(model, finer).register_forward_hook(lambda _, __, output: sizes.append(output.shape[-1]))
    grad_cam(model, torch.rand(1, 1, 32, 32, 64), layer=finer)
    handle.remove()
    assert sizes == [64 // cell]

"""What docs/networks.md and docs/pretraining.md show runs as written, and their numbers are the networks'."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import pytest
import torch
import yaml

from fpe_core.config.study import ModelName, ModelPlan
from fpe_core.data.dataset import CaseDataset, LabelledCase
from fpe_core.models import build_model

DOCS = Path(__file__).parents[2] / "docs"
NETWORKS, PRETRAINING = (DOCS / "networks.md").read_text(), (DOCS / "pretraining.md").read_text()


def code_blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", page, flags=re.DOTALL)


def test_the_example_runs(capsys: pytest.CaptureFixture[str]) -> None:
    (code,) = code_blocks(NETWORKS, "python")
    exec(code, {})  # noqa: S102 - our own page
    shown = re.findall(r"# (\[.*?\])", code)
    said = [line.removeprefix("torch.Size(").removesuffix(")") for line in capsys.readouterr().out.splitlines()]
    assert said == shown


def test_the_plans_are_plans() -> None:
    first, second = (ModelPlan.model_validate(yaml.safe_load(text)["model"]) for text in code_blocks(NETWORKS, "yaml"))
    assert first == ModelPlan(name="mnt-dl")
    assert len(second.clinical) == 4


def test_every_network_is_listed_with_its_size() -> None:
    rows = dict(re.findall(r"^\| `([a-z0-9-]+)` \|.*\| ([^|]+) \|$", NETWORKS, flags=re.MULTILINE))
    assert rows.keys() == set(get_args(ModelName))
    for name, said in rows.items():
        channels = 2 if name in ("scanet", "resnet34", "densenet169", "efficientnet-b0") else 3
        with torch.device("meta"):
            size = sum(p.numel() for p in build_model(name, in_channels=channels).parameters())
        assert said.startswith(f"{size / 1e6:.1f} M"), name


def test_the_pretraining_example_runs(make_site: Callable[..., Path], capsys: pytest.CaptureFixture[str]) -> None:
    """As written, but for the size of the network and the number of epochs."""
    folder = make_site(shape=(25, 32, 32)).parent / "state" / "preprocessed" / "mnt-dl-mr-small"
    cases = [LabelledCase(folder / f"c{i}.safetensors", 0) for i in range(4)]
    code = code_blocks(PRETRAINING, "python")[0]
    for written, small in (
        ("in_channels=3)", "in_channels=3, base_width=8, num_slices=25)"),
        ("local_epochs=100", "local_epochs=1"),
        ("num_workers=4", "num_workers=0"),
    ):
        assert written in code
        code = code.replace(written, small)
    exec(code, {"scans": CaseDataset(cases, ("dwi", "flair", "adc"))})  # noqa: S102 - our own page
    shown = re.search(r"moved (\d+) tensors", PRETRAINING)
    assert shown
    assert capsys.readouterr().out.startswith(f"moved {shown[1]} tensors")

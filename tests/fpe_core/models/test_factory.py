import subprocess
import sys
from typing import Any

import pytest
import torch
from torch.func import functional_call, grad, vmap

from fpe_core.errors import ModelError, ModelUnknown
from fpe_core.models import build_model
from fpe_core.models.mnt_dl import MntDl
from fpe_core.models.mnt_dl_released import MntDlReleased
from fpe_core.models.scanet import ScaNet


def test_builds_the_network_of_that_name() -> None:
    model = build_model("mnt-dl-released", in_channels=2, base_width=8, non_local=True)
    assert isinstance(model, MntDlReleased)
    assert model.conv1.weight.shape == (8, 2, 7, 7)


@pytest.mark.parametrize(("name", "network"), [("mnt-dl", MntDl), ("scanet", ScaNet)])
def test_options_reach_the_networks_over_slices(name: str, network: type) -> None:
    model = build_model(name, in_channels=2, base_width=8, num_slices=7, num_neighbourhoods=3)
    assert type(model) is network
    assert model.encoder.conv1.weight.shape == (8, 2, 7, 7)
    assert (model.num_slices, model.embedding_size) == (7, 3 * 64)


@pytest.mark.parametrize("name", ["mnt-dl", "scanet"])
def test_an_option_of_another_network_is_refused_and_the_own_ones_named(name: str) -> None:
    with pytest.raises(ModelError, match=f"{name} has no option non_local") as caught:
        build_model(name, in_channels=3, non_local=True)
    assert caught.value.hint == "its options: base_width, num_neighbourhoods, num_slices"


@pytest.mark.parametrize("name", ["mnt-dl", "mnt-dl-released", "scanet", "resnet34"])
def test_a_network_over_slices_is_one_graph_to_the_compiler(name: str) -> None:
    model = build_model(name, in_channels=2, base_width=8).eval()
    x = torch.randn(1, 2, 26, 32, 32, generator=torch.Generator().manual_seed(0))
    compiled = torch.compile(model, fullgraph=True, backend="eager")
    torch.testing.assert_close(compiled(x).logits, model(x).logits)


@pytest.mark.parametrize("name", ["mnt-dl", "mnt-dl-released", "scanet", "resnet34"])
def test_each_cases_gradient_can_be_had_at_once(name: str) -> None:
    """As private training needs it."""
    torch.manual_seed(0)
    model = build_model(name, in_channels=2, norm="group", base_width=8).eval()
    x = torch.randn(2, 2, 26, 32, 32)

    def logit(weights: dict[str, torch.Tensor], case: torch.Tensor) -> torch.Tensor:
        return functional_call(model, weights, (case.unsqueeze(0),)).logits.sum()

    together = vmap(grad(logit), in_dims=(None, 0))(dict(model.named_parameters()), x)
    model(x[1:]).logits.sum().backward()
    for weight, parameter in model.named_parameters():
        alone = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
        torch.testing.assert_close(together[weight][1], alone, rtol=1e-3, atol=1e-4)


def test_unknown_name_is_refused_and_the_valid_ones_named() -> None:
    with pytest.raises(ModelUnknown, match="'mnt-dl-3'") as caught:
        build_model("mnt-dl-3", in_channels=3)
    assert "mnt-dl-released" in caught.value.hint


def test_importing_the_models_does_not_import_monai() -> None:
    code = "import sys, fpe_core.models; sys.exit('monai' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("options", [{"norm": "layer"}, {"in_channels": 0}])
def test_impossible_values_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ModelError, match="norm should be batch or group and in_channels at least 1"):
        build_model("mnt-dl", **{"in_channels": 2, **options})

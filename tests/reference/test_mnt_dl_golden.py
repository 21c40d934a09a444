"""MNT-DL against numbers computed with the authors' public code, weights and input from a stated recipe."""

import json
from collections.abc import Iterator
from math import prod, sqrt
from pathlib import Path
from zlib import crc32

import numpy as np
import pytest
import torch
from torch import Tensor

from fpe_core.models import build_model
from fpe_core.models.mnt_dl import load_released_state_dict

HERE = Path(__file__).parent
GOLDEN = json.loads((HERE / "mnt_dl_golden.json").read_text())
KEYS = json.loads((HERE / "mnt_dl_state_keys.json").read_text())


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def golden_tensor(name: str, shape: list[int], seed: int) -> Tensor:
    """The recipe's tensor of that name."""
    normal = np.random.Generator(np.random.PCG64([crc32(name.encode()), seed])).standard_normal(shape)
    n = np.asarray(normal, dtype=np.float32)
    kind = name.rsplit(".", maxsplit=1)[-1]
    if kind == "num_batches_tracked":
        return torch.tensor(0)
    if kind == "running_mean":
        return torch.from_numpy(0.1 * n)
    if kind == "running_var":
        return torch.from_numpy(1 + 0.1 * np.abs(n))
    if kind == "bias":
        return torch.from_numpy(0.05 * n)
    return torch.from_numpy(0.5 + 0.05 * n if len(shape) == 1 else n * np.float32(sqrt(1 / prod(shape[1:]))))


def golden_input(channels: int, seed: int) -> Tensor:
    """The recipe's batch of two."""
    x = np.random.Generator(np.random.PCG64([999, seed])).standard_normal((2, channels, 26, 64, 64))
    return torch.from_numpy(x.astype(np.float32))


@pytest.mark.parametrize("channels_last", [False, True], ids=["plain", "channels_last"])
@pytest.mark.parametrize("name", sorted(GOLDEN))
@torch.no_grad()
def test_reproduces_the_released_network(name: str, channels_last: bool) -> None:
    variant, channels, seed = name.split("-")[0], int(name.split("-c")[1][0]), int(name.split("-s")[1])
    shapes = KEYS[variant] | {"conv1.weight": [64, channels, 7, 7]}
    model = build_model("mnt-dl-released", in_channels=channels, non_local=variant == "nonlocal").eval()
    load_released_state_dict(model, {key: golden_tensor(key, shape, seed) for key, shape in shapes.items()})
    if channels_last:
        model = model.to(memory_format=torch.channels_last)

    output = model(golden_input(channels, seed))

    for ours, published in ((output.fusion, [GOLDEN[name]["fusion"]]), (output.subnets, GOLDEN[name]["subnets"])):
        expected = torch.tensor(published).T
        # One logit lies three orders of magnitude below the others, a difference of terms that cancel: beside the
        # relative tolerance it gets one in the size of float32 rounding of those terms.
        torch.testing.assert_close(ours, expected, rtol=1e-4, atol=3e-7)
        assert (ours - expected).abs().max() < 1e-5 * expected.abs().max()

"""The encoders against MONAI's own forward pass; DAFT in its place; recomputation that changes nothing."""

import copy
from collections.abc import Callable
from typing import Literal

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score
from torch import Tensor, nn

from fpe_core.errors import ModelError
from fpe_core.models import build_model
from fpe_core.models.blocks import block_map
from fpe_core.models.encoders3d import ConditionedEncoder
from fpe_core.training.device import place
from fpe_core.training.losses import outcome_loss

NAMES = ("densenet169", "efficientnet-b0")
both = pytest.mark.parametrize("name", NAMES)


def network(
    name: str,
    *,
    num_tabular: int = 0,
    stage: int | None = None,
    channels: int = 2,
    norm: Literal["batch", "group"] = "batch",
) -> ConditionedEncoder:
    torch.manual_seed(3)
    daft = num_tabular > 0
    model = build_model(name, in_channels=channels, norm=norm, daft=daft, num_tabular=num_tabular, daft_stage=stage)
    assert isinstance(model, ConditionedEncoder)
    return model


def batch(size: int = 2, channels: int = 2, sides: tuple[int, int, int] = (64, 40, 34)) -> Tensor:
    return torch.randn(size, channels, *sides, generator=torch.Generator().manual_seed(1))


def table(size: int = 2, columns: int = 4) -> Tensor:
    return torch.rand(size, columns, generator=torch.Generator().manual_seed(2))


@both
@pytest.mark.parametrize("training", [False, True])
def test_without_daft_it_is_monai_itself(name: str, training: bool) -> None:
    model, x = network(name).train(training), batch()
    theirs = copy.deepcopy(model.network)
    torch.manual_seed(11)  # drop-connect and dropout draw the same numbers in the same order
    logits = model(x, torch.empty(2, 0)).logits
    torch.manual_seed(11)
    expected = theirs(x)
    assert torch.equal(logits, expected)
    assert logits.shape == (2, 1)
    assert {k: v.shape for k, v in theirs.state_dict().items()} == {
        k.removeprefix("network."): v.shape for k, v in model.state_dict().items()
    }


@both
@pytest.mark.parametrize("norm", ["batch", "group"])
def test_recomputation_changes_neither_results_nor_gradients_nor_running_statistics(
    name: str, norm: Literal["batch", "group"]
) -> None:
    lean, x, tabular = network(name, num_tabular=4, norm=norm).train(), batch(), table()
    plain = copy.deepcopy(lean)
    plain.num_recomputed_stages = 0
    lean.num_recomputed_stages = 7
    results = []
    for model in (lean, plain):
        torch.manual_seed(11)
        logits = model(x, tabular).logits
        logits.square().sum().backward()
        results.append(logits)
    assert torch.equal(*results)
    for (key, mine), theirs in zip(lean.named_parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(mine.grad, theirs.grad, rtol=1e-4, atol=1e-5, msg=lambda m, k=key: f"{k}: {m}")
    for (key, mine), theirs in zip(lean.named_buffers(), plain.buffers(), strict=True):
        assert torch.equal(mine, theirs), key
    assert norm == "group" or all(n.num_batches_tracked == 1 for n in lean.modules() if isinstance(n, nn.BatchNorm3d))


@both
def test_recomputation_keeps_less_for_the_backward_pass(name: str) -> None:
    kept = {}
    for stages in (0, 2):
        model = network(name).train()
        model.num_recomputed_stages = stages
        seen: dict[int, int] = {}

        def count(tensor: Tensor, seen: dict[int, int] = seen) -> Tensor:
            seen[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
            logits = model(batch(sides=(64, 64, 64))).logits
        weights = {weight.untyped_storage().data_ptr() for weight in model.parameters()}
        kept[stages] = sum(size for pointer, size in seen.items() if pointer not in weights)
        del logits
    assert kept[2] < 0.6 * kept[0]


def test_a_hooked_layer_runs_once() -> None:
    model, calls = network("densenet169").train(), []
    layer = model.network.get_submodule("features.denseblock1.denselayer1.layers.conv1")
    layer.register_forward_hook(lambda *_: calls.append(1))
    model(batch()).logits.sum().backward()
    assert len(calls) == 1


@both
def test_daft_stands_behind_the_last_normalisation(name: str) -> None:
    model, x, tabular = network(name, num_tabular=4).eval(), batch(), table()
    seen: list[Tensor] = []
    last = "features.norm5" if name == "densenet169" else "_bn1"
    model.network.get_submodule(last).register_forward_hook(lambda _m, _i, output: seen.append(output))
    explained = model.explain(x, tabular)
    assert torch.equal(explained.before, seen[0])
    assert explained.before.shape[:2] == (2, model.embedding_size)
    rendered = explained.before * explained.scale[:, :, None, None, None] + explained.shift[:, :, None, None, None]
    torch.testing.assert_close(explained.after, rendered)
    activation: Callable[[Tensor], Tensor] = torch.relu if name == "densenet169" else nn.functional.silu
    head = model.network.get_submodule("class_layers.out" if name == "densenet169" else "_fc")
    torch.testing.assert_close(explained.logits, head(activation(rendered).mean(dim=(2, 3, 4))))
    assert torch.equal(model(x, tabular).logits, explained.logits)


STAGES = [
    ("densenet169", {1: (256, 16, 10, 9), 2: (512, 8, 5, 4), 3: (1280, 4, 2, 2), 4: (1664, 2, 1, 1)}),
    (
        "efficientnet-b0",
        {
            1: (16, 32, 20, 17),
            2: (24, 16, 10, 8),
            3: (40, 8, 5, 4),
            4: (80, 4, 2, 2),
            5: (112, 4, 2, 2),
            6: (192, 2, 1, 1),
            7: (320, 2, 1, 1),
        },
    ),
]


@pytest.mark.parametrize(("name", "maps"), STAGES)
def test_daft_at_a_stage(name: str, maps: dict[int, tuple[int, ...]]) -> None:
    x, tabular = batch(), table()
    for stage, shape in maps.items():
        model = network(name, num_tabular=4, stage=stage).eval()
        explained = model.explain(x, tabular)
        assert explained.before.shape == (2, *shape)
        assert explained.scale.shape == explained.shift.shape == (2, shape[0])
        assert not torch.equal(explained.logits, model(x, 1 - tabular).logits)


def test_stage_four_of_densenet_is_the_default() -> None:
    default, fourth = network("densenet169", num_tabular=4), network("densenet169", num_tabular=4, stage=4)
    assert torch.equal(default.eval()(batch(), table()).logits, fourth.eval()(batch(), table()).logits)


@both
def test_the_table_counts_in_training_on_single_cases(name: str) -> None:
    """Before its normalisation, DAFT would be undone there."""
    model, x = network(name, num_tabular=4).train(), batch(1)
    logits = []
    for tabular in (table(1), 1 - table(1)):
        torch.manual_seed(0)
        logits.append(model(x, tabular).logits.item())
    assert abs(logits[0] - logits[1]) > 1e-3


@both
def test_gradients_of_an_explanation(name: str) -> None:
    model, tabular = network(name, num_tabular=4).eval(), table().requires_grad_()
    explained = model.explain(batch(), tabular)
    before, after = torch.autograd.grad(explained.logits.sum(), [explained.before, explained.after], retain_graph=True)
    assert before.any()
    assert after.any()
    (by_column,) = torch.autograd.grad(explained.scale[0, 7], tabular, retain_graph=True)
    assert by_column[0].any()
    assert not by_column[1].any()
    hidden = model.daft.w1(torch.cat([explained.before.mean(dim=(2, 3, 4)), tabular], dim=1))[0] > 0
    by_hand = (model.daft.w2.weight[7] * hidden) @ model.daft.w1.weight[:, -4:]
    torch.testing.assert_close(by_column[0], by_hand)


@both
def test_the_embedding_does_not_know_daft(name: str) -> None:
    conditioned, plain, x = network(name, num_tabular=4).eval(), network(name).eval(), batch()
    plain.network.load_state_dict(conditioned.network.state_dict())
    embedded = conditioned.embed(x)
    assert embedded.shape == (2, conditioned.embedding_size)
    assert torch.equal(embedded, plain.embed(x))
    head = plain.network.get_submodule("class_layers.out" if name == "densenet169" else "_fc")
    torch.testing.assert_close(head(embedded), plain(x).logits)


def test_dropout_belongs_to_the_head() -> None:
    assert network("efficientnet-b0").train().embed(batch()).all()


@both
@pytest.mark.parametrize("norm", ["batch", "group"])
def test_every_weight_is_trained_and_in_one_block(name: str, norm: Literal["batch", "group"]) -> None:
    model = network(name, num_tabular=4, norm=norm).train()
    blocks = block_map(model)
    assert set(blocks.values()) == {"stem", "encoder", "norm", "head", "daft"}
    assert {key for key, block in blocks.items() if block == "daft"} == {"daft.w1.weight", "daft.w2.weight"}
    assert sum(block == "stem" for block in blocks.values()) == 1
    assert sum(block == "head" for block in blocks.values()) == 2
    # Away from its initial zeros, B hands on what W1 sees.
    nn.init.normal_(model.daft.w2.weight)
    model(batch(), table()).logits.sum().backward()
    assert [key for key, weight in model.named_parameters() if weight.grad is None] == []
    assert model.daft.w1.weight.grad.any()
    assert any(isinstance(module, nn.GroupNorm) for module in model.modules()) == (norm == "group")


@both
def test_the_same_seed_gives_the_same_network(name: str) -> None:
    x, tabular = batch(), table()
    first, second = network(name, num_tabular=4).eval(), network(name, num_tabular=4).eval()
    assert torch.equal(first(x, tabular).logits, second(x, tabular).logits)


@both
def test_bfloat16_in_the_layout_of_sites_is_close(name: str) -> None:
    # Where the first axis ends in 2 voxels, torch 2.13 on a CPU leaves bfloat16 weight gradients of 3³ convolutions
    # unset; here it ends in 3.
    model, x, tabular = network(name, num_tabular=4, norm="group").train(), batch(sides=(96, 40, 34)), table()
    results = []
    for reduced in (False, True):
        ours = copy.deepcopy(model)
        if reduced:
            place(ours, torch.device("cpu"))
            x = x.contiguous(memory_format=torch.channels_last_3d)
        torch.manual_seed(4)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=reduced):
            output = ours(x, tabular)
        outcome_loss(output, torch.tensor([0.0, 1.0]), subnet_weight=0.5, pos_weight=None).backward()
        assert all(weight.grad.abs().max() < 1e3 for weight in ours.parameters())
        results.append((output.logits.float(), ours.daft.w1.weight.grad, first_convolution(ours).weight.grad))
    torch.testing.assert_close(results[1][0], results[0][0], rtol=0.05, atol=0.05)
    for reduced_gradient, exact in zip(results[1][1:], results[0][1:], strict=True):
        cosine = torch.cosine_similarity(reduced_gradient.flatten(), exact.flatten(), dim=0)
        assert cosine > 0.8  # through 169 layers; a wrong gradient is near 0


@both
def test_fresh_logits_are_small(name: str) -> None:
    assert network(name).train()(batch(4)).logits.abs().max() < 4


WRONG_INPUTS = [
    (0, (2, 2, 40, 40, 40), (2, 4), r"tabular should be None for a network without DAFT, got \[2, 4\]"),
    (4, (2, 2, 40, 40, 40), None, r"tabular should be \[B, 4\] for a network with DAFT, got None"),
    (4, (2, 2, 40, 40, 40), (2, 3), r"tabular should be \[2, 4\], got \[2, 3\]"),
    (4, (2, 1, 40, 40, 40), (2, 4), r"image should be \[B, 2, D, H, W\].*got \[2, 1, 40, 40, 40\]"),
    (0, (2, 2, 40, 31, 40), None, r"D, H and W >= 32, got \[2, 2, 40, 31, 40\]"),
    (0, (2, 40, 40, 40), None, r"image should be \[B, 2, D, H, W\].*got \[2, 40, 40, 40\]"),
]


@both
@pytest.mark.parametrize(("num_tabular", "image", "columns", "message"), WRONG_INPUTS)
def test_wrong_inputs_are_refused(
    name: str, num_tabular: int, image: tuple[int, ...], columns: tuple[int, ...] | None, message: str
) -> None:
    model = network(name, num_tabular=num_tabular)
    with pytest.raises(ModelError, match=message):
        model(torch.zeros(image), None if columns is None else torch.zeros(columns))


def test_explaining_without_daft_is_refused() -> None:
    with pytest.raises(ModelError, match="explain needs a network with DAFT"):
        network("efficientnet-b0").explain(batch(), table())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"in_channels": 4}, "in_channels should be 1 to 3, got 4"),
        ({"in_channels": 2, "daft": True}, "num_tabular should be at least 1 with daft=True, got 0"),
        ({"in_channels": 2, "num_tabular": 3}, "num_tabular should be 0 .* with daft=False, got 3"),
        ({"in_channels": 2, "daft_stage": 3}, "daft_stage None with daft=False, got 0 and 3"),
        ({"in_channels": 2, "daft": True, "num_tabular": 3, "daft_stage": 8}, "daft_stage should be None or 1 to 7"),
    ],
)
def test_wrong_options_are_refused(options: dict[str, int], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        build_model("efficientnet-b0", **options)


@both
def test_the_smallest_image_works(name: str) -> None:
    assert network(name, channels=1).eval()(batch(1, 1, (32, 32, 32))).logits.isfinite().all()


@both
def test_learns_what_the_image_tells(name: str) -> None:
    images, tabular, labels = phantoms(seed=1)
    images[labels == 1, :, 8:24, 8:24, 8:24] += 2
    model = trained(name, images, tabular, labels, num_epochs=5)
    assert auc(model, images, tabular, labels) > 0.99


@both
def test_learns_what_the_table_alone_tells(name: str) -> None:
    """All cases have the same image, so that a network without DAFT says the same of all of them."""
    images, tabular, labels = phantoms(seed=1)
    images = images[:1].expand_as(images)
    tabular[:, 1] = labels
    model = trained(name, images, tabular, labels, num_epochs=2)
    fresh, new_labels = phantoms(seed=2)[1:]
    fresh[:, 1] = new_labels
    assert auc(model, images, fresh, new_labels) > 0.99
    with torch.no_grad():
        alone = network(name, channels=1, norm="group").eval()(images[:4]).logits
    torch.testing.assert_close(alone, alone[:1].expand(4, 1))


def first_convolution(model: nn.Module) -> nn.Conv3d:
    return next(module for module in model.modules() if isinstance(module, nn.Conv3d))


def phantoms(*, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Noise that tells nothing: 32 images, tables of 4 columns in 0-1, and labels, half of them 1."""
    generator = torch.Generator().manual_seed(seed)
    images, tabular = torch.randn(32, 1, 32, 32, 32, generator=generator), torch.rand(32, 4, generator=generator)
    return images, tabular, (torch.arange(32) % 2).float()


def trained(name: str, images: Tensor, tabular: Tensor, labels: Tensor, *, num_epochs: int) -> ConditionedEncoder:
    model = network(name, num_tabular=4, channels=1, norm="group").train()
    optimiser = torch.optim.AdamW(model.parameters(), lr=3e-4)
    shuffle = torch.Generator().manual_seed(2)
    for _ in range(num_epochs):
        for chosen in torch.randperm(32, generator=shuffle).split(8):
            optimiser.zero_grad()
            output = model(images[chosen], tabular[chosen])
            outcome_loss(output, labels[chosen], subnet_weight=0.5, pos_weight=None).backward()
            optimiser.step()
    return model


@torch.no_grad()
def auc(model: ConditionedEncoder, images: Tensor, tabular: Tensor, labels: Tensor) -> float:
    return float(roc_auc_score(np.asarray(labels), np.asarray(model.eval()(images, tabular).logits[:, 0])))


@torch.no_grad()
def test_running_statistics_follow_within_a_small_hospital_s_epoch() -> None:
    """A shift of the image reaches what evaluation normalises with in 40 steps; with MONAI's own momentum a third."""
    network = build_model("efficientnet-b0", in_channels=1).train()
    image = 5 + torch.randn(2, 1, 32, 32, 32, generator=torch.Generator().manual_seed(0))
    seen: list[Tensor] = []
    norm = network.get_submodule("network._bn0")
    norm.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    for _ in range(40):
        network(image)
    torch.testing.assert_close(norm.running_mean, seen[0].mean(dim=(0, 2, 3, 4)), rtol=0.05, atol=0.01)

"""MONAI's three-dimensional DenseNet169 and EfficientNet-B0, plain or conditioned on the clinical table by DAFT.

The networks of the Vall d'Hebron study of refractory occlusions, EJR 2025.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from functools import partial
from typing import cast

import torch
from monai.networks.nets.densenet import DenseNet169 as MonaiDenseNet169
from monai.networks.nets.efficientnet import EfficientNetBN, MBConvBlock
from torch import Tensor, nn

from fpe_core.errors import ModelError
from fpe_core.models.blocks import Block
from fpe_core.models.daft import Daft, DaftExplanation
from fpe_core.models.lean_blocks import dense_block, inverted_bottleneck
from fpe_core.models.output import VolumeOutput
from fpe_core.models.pooling import use_repeatable_pooling

MAX_CHANNELS = 3
"""NCCT, CTA and the vessel prior."""
MIN_SIDE = 32
"""Voxels: each network halves an image five times."""

_MOMENTUM = 0.1
"""Of running statistics, torch's own. MONAI's EfficientNet has 0.01: with the few steps of a hospital's epoch the
statistics then lag behind the weights for a hundred steps, in which evaluation says nothing and early stopping ends
all."""

_HEAD = ("dropout", "out")
"""Steps behind the pooled features."""

Step = Callable[[Tensor], Tensor]


class ConditionedEncoder(nn.Module, ABC):
    """A MONAI network as a chain of steps: encoder, pooling, head; DAFT, where asked for, stands between two of them.

    Without DAFT the result is MONAI's own, in training too, whatever is recomputed. Without `daft_stage`, DAFT stands
    behind the network's last normalisation and before the activation and the pooling that follow it. Before the
    normalisation it would do nothing: with the published batches of one, batch normalisation takes out of each channel
    just the scale and the shift that DAFT puts in. For the same reason P is constant behind a batch normalisation while
    it trains on batches of one; with norm="group" it is not.

    Args:
        in_channels: 1 to 3.
        daft: whether the table conditions the network.
        num_tabular: T, columns of the table; 0 without DAFT.
        daft_stage: condition the map of this stage, from 1, rather than the last.

    Attributes:
        network: MONAI's, with its names.
        embedding_size: length of what `embed` gives for a case.
        num_recomputed_stages: of so many stages, from the first, the backward pass computes again what is cheap
            (`lean_blocks`). The first ones see the most voxels: they hold most of the memory.
    """

    network: nn.Module
    embedding_size: int
    blocks: dict[str, Block]
    stage_channels: tuple[int, ...]
    num_recomputed_stages = 2

    def __init__(self, *, in_channels: int, daft: bool, num_tabular: int, daft_stage: int | None) -> None:
        super().__init__()
        _check_options(in_channels, daft, num_tabular, daft_stage, len(self.stage_channels))
        self.in_channels = in_channels
        self.daft_stage = daft_stage
        self.network = use_repeatable_pooling(self._monai_network(in_channels))
        channels = self.embedding_size if daft_stage is None else self.stage_channels[daft_stage - 1]
        self.daft = Daft(channels, num_tabular) if daft else None

    def forward(self, image: Tensor, tabular: Tensor | None = None) -> VolumeOutput:
        """Logits of a batch.

        Args:
            image: `[B, C, D, H, W]` float, each side at least 32.
            tabular: `[B, T]` float, scaled clinical columns; with DAFT only. `[B, 0]` is none.

        Raises:
            ModelError: a shape is wrong, the table is missing, or there is one and no DAFT to take it.
        """
        if self.daft is not None:
            return VolumeOutput(self.explain(image, tabular).logits)
        if tabular is not None and tabular.shape[1:] != (0,):
            raise ModelError(
                f"tabular should be None for a network without DAFT, got {list(tabular.shape)}",
                hint="build the network with daft=True and num_tabular",
            )
        self._check_image(image)
        return VolumeOutput(_run(self._steps().values(), image))

    def explain(self, image: Tensor, tabular: Tensor | None) -> DaftExplanation:
        """As `forward`, with what DAFT takes and gives; the gradient of any of these can be had from autograd.

        Raises:
            ModelError: as `forward`, or the network has no DAFT.
        """
        if self.daft is None:
            raise ModelError("explain needs a network with DAFT", hint="build the network with daft=True")
        if tabular is None:
            raise ModelError(
                f"tabular should be [B, {self.daft.num_tabular}] for a network with DAFT, got None",
                hint="the plan's clinical columns decide this shape",
            )
        self._check_image(image)
        steps = self._steps()
        place = 1 + list(steps).index(self._step_before_daft())
        before = _run(list(steps.values())[:place], image)
        after, scale, shift = self.daft(before, tabular)
        return DaftExplanation(_run(list(steps.values())[place:], after), before, after, scale, shift)

    def embed(self, image: Tensor) -> Tensor:
        """The encoder's features, pooled, as if there were no DAFT: `[B, C, D, H, W]` to `[B, embedding_size]`."""
        self._check_image(image)
        steps = self._steps()
        return _run([step for name, step in steps.items() if name not in _HEAD], image)

    @abstractmethod
    def _monai_network(self, in_channels: int) -> nn.Module:
        """With fresh weights."""

    @abstractmethod
    def _steps(self) -> dict[str, Step]:
        """The whole network in order, looked up anew each time: its layers may have been replaced since."""

    @abstractmethod
    def _step_before_daft(self) -> str:
        """Name of the step whose result DAFT conditions."""

    def _is_recomputed(self, stage: int) -> bool:
        return self.training and stage <= self.num_recomputed_stages

    def _check_image(self, image: Tensor) -> None:
        if image.ndim != 5 or image.shape[1] != self.in_channels or min(image.shape[2:]) < MIN_SIDE:
            raise ModelError(
                f"image should be [B, {self.in_channels}, D, H, W] with D, H and W >= {MIN_SIDE}, "
                f"got {list(image.shape)}",
                hint="the recipe's grid and the plan's sequences decide this shape",
            )


class DenseNet169(ConditionedEncoder):
    """A stage is a dense block with the normalisation behind it; DAFT at stage 4 is DAFT at the last map."""

    embedding_size = 1664
    stage_channels = (256, 512, 1280, 1664)

    def __init__(
        self, *, in_channels: int, daft: bool = False, num_tabular: int = 0, daft_stage: int | None = None
    ) -> None:
        super().__init__(in_channels=in_channels, daft=daft, num_tabular=num_tabular, daft_stage=daft_stage)
        self.blocks = {
            "network.features.": "encoder",
            "network.features.conv0.": "stem",
            "network.class_layers.": "head",
            "daft.": "daft",
        }

    def _monai_network(self, in_channels: int) -> nn.Module:
        network = MonaiDenseNet169(spatial_dims=3, in_channels=in_channels, out_channels=1)
        # What may follow DAFT must leave its result as it is, for `explain`.
        for relu in ("class_layers.relu", *(f"features.transition{stage}.relu" for stage in (1, 2, 3))):
            cast(nn.ReLU, network.get_submodule(relu)).inplace = False
        return network

    def _steps(self) -> dict[str, Step]:
        features, classifier = self.network.get_submodule("features"), self.network.get_submodule("class_layers")
        steps: dict[str, Step] = {}
        for name, module in features.named_children():
            if name.startswith("transition"):
                steps |= {f"{name}.{part}": child for part, child in module.named_children()}
            else:
                lean = name.startswith("denseblock") and self._is_recomputed(int(name.removeprefix("denseblock")))
                steps[name] = partial(dense_block, module) if lean else module
        return steps | dict(classifier.named_children())

    def _step_before_daft(self) -> str:
        return "norm5" if self.daft_stage in (None, 4) else f"transition{self.daft_stage}.norm"


class EfficientNetB0(ConditionedEncoder):
    """A stage is one of the seven groups of inverted bottlenecks; the last map is that of the 1×1 convolution."""

    embedding_size = 1280
    stage_channels = (16, 24, 40, 80, 112, 192, 320)

    def __init__(
        self, *, in_channels: int, daft: bool = False, num_tabular: int = 0, daft_stage: int | None = None
    ) -> None:
        super().__init__(in_channels=in_channels, daft=daft, num_tabular=num_tabular, daft_stage=daft_stage)
        self.blocks = {
            "network._conv_stem.": "stem",
            "network._blocks.": "encoder",
            "network._conv_head.": "encoder",
            "network._fc.": "head",
            "daft.": "daft",
        }

    def _monai_network(self, in_channels: int) -> nn.Module:
        network = EfficientNetBN(
            "efficientnet-b0", pretrained=False, spatial_dims=3, in_channels=in_channels, num_classes=1
        )
        # MONAI's own bound is one over the root of the number of classes: with a single one, logits of tens.
        bound = self.embedding_size**-0.5
        nn.init.uniform_(network._fc.weight, -bound, bound)
        for module in network.modules():
            if isinstance(module, nn.BatchNorm3d):
                module.momentum = _MOMENTUM
        return network

    def _steps(self) -> dict[str, Step]:
        part = self.network.get_submodule
        return {
            "stem": _chain(part("_conv_stem_padding"), part("_conv_stem"), part("_bn0"), part("_swish")),
            **{f"stage{i}": self._stage(i, stage) for i, stage in enumerate(part("_blocks").children(), start=1)},
            "last": _chain(part("_conv_head_padding"), part("_conv_head"), part("_bn1")),
            "swish": part("_swish"),
            "pool": part("_avg_pooling"),
            "flatten": partial(torch.flatten, start_dim=1),
            "dropout": part("_dropout"),
            "out": part("_fc"),
        }

    def _stage(self, number: int, stage: nn.Module) -> Step:
        if not self._is_recomputed(number):
            return stage
        return _chain(*(partial(inverted_bottleneck, cast(MBConvBlock, block)) for block in stage.children()))

    def _step_before_daft(self) -> str:
        return "last" if self.daft_stage is None else f"stage{self.daft_stage}"


def _chain(*steps: Step) -> Step:
    """One step of several. Unlike `nn.Sequential` it owns no layers, and costs nothing to make."""
    return partial(_run, steps)


def _run(steps: Iterable[Step], x: Tensor) -> Tensor:
    for step in steps:
        x = step(x)
    return x


def _check_options(in_channels: int, daft: bool, num_tabular: int, daft_stage: int | None, num_stages: int) -> None:
    if not 1 <= in_channels <= MAX_CHANNELS:
        raise ModelError(f"in_channels should be 1 to {MAX_CHANNELS}, got {in_channels}")
    if daft and num_tabular < 1:
        raise ModelError(f"num_tabular should be at least 1 with daft=True, got {num_tabular}")
    if not daft and (num_tabular or daft_stage is not None):
        raise ModelError(
            f"num_tabular should be 0 and daft_stage None with daft=False, got {num_tabular} and {daft_stage}"
        )
    if daft_stage is not None and not 1 <= daft_stage <= num_stages:
        raise ModelError(f"daft_stage should be None or 1 to {num_stages}, got {daft_stage}")

"""MONAI's blocks with less kept for the backward pass, and the same result.

Spatial convolutions are computed once and keep their inputs. All else is memory traffic or a 1×1 convolution, cheap
beside them, and computed again: concatenation, normalisation, activation, padding, squeeze and excitation. Per voxel, a
dense layer on C channels then keeps 160 numbers rather than 2·C + 256 (Pleiss et al., Memory-efficient implementation
of DenseNets, 2017), a mobile inverted bottleneck two wide maps rather than seven.
"""

import torch
from monai.networks.nets.efficientnet import MBConvBlock, drop_connect
from torch import Tensor, nn

from fpe_core.models.recompute import recomputed


def dense_block(block: nn.Module, x: Tensor) -> Tensor:
    """`block(x)` of a MONAI dense block without dropout: `[B, C, D, H, W]` to `[B, C + layers · growth, D, H, W]`."""
    features = [x]
    for layer in block.children():
        *bottleneck, convolution = layer.get_submodule("layers").children()

        def narrowed(*parts: Tensor, modules: list[nn.Module] = bottleneck) -> Tensor:
            y = torch.cat(parts, dim=1)
            for module in modules:
                y = module(y)
            return y

        features.append(convolution(recomputed(narrowed, bottleneck, *features)))
    return torch.cat(features, dim=1)


def inverted_bottleneck(block: MBConvBlock, x: Tensor) -> Tensor:
    """`block(x)` of a MONAI mobile inverted bottleneck, `[B, C, D, H, W]`; draws from torch's generator as it does."""

    def widened(y: Tensor) -> Tensor:
        if block.expand_ratio != 1:
            y = block._swish(block._bn0(block._expand_conv(block._expand_conv_padding(y))))
        padded: Tensor = block._depthwise_conv_padding(y)
        return padded

    def narrowed(y: Tensor) -> Tensor:
        y = block._swish(block._bn1(y))
        squeezed = block._se_reduce(block._se_reduce_padding(block._se_adaptpool(y)))
        squeezed = block._se_expand(block._se_expand_padding(block._swish(squeezed)))
        y = block._project_conv(block._project_conv_padding(torch.sigmoid(squeezed) * y))
        projected: Tensor = block._bn2(y)
        return projected

    layers = list(block.children())
    y = block._depthwise_conv(recomputed(widened, layers, x))
    y = recomputed(narrowed, layers, y)
    if block.id_skip and block.stride == 1 and block.in_channels == block.out_channels:
        if block.drop_connect_rate:
            y = drop_connect(y, p=block.drop_connect_rate, training=block.training)
        y = y + x
    return y

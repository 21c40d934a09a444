"""Group normalisation in place of batch normalisation: no statistic of one case depends on another."""

from math import gcd

from torch import nn

_BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
_MOST_GROUPS = 32
"""Wu and He, ECCV 2018, section 4.1."""
_FEWEST_CHANNELS = 4


def use_group_norm(model: nn.Module) -> nn.Module:
    """Replace every batch normalisation of `model`, keeping its weight and bias.

    The number of groups is the largest power of two up to 32 that divides the channels and leaves a group four of
    them. Opacus' own replacement takes 32 or fails: EfficientNet has layers of 24 and 40 channels, and in a narrow
    network a group of one channel of one pixel would always be zero.

    Returns:
        `model` itself.
    """
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, _BATCH_NORMS):
                setattr(parent, name, _group_norm(child))
    return model


def _group_norm(batch_norm: nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d) -> nn.GroupNorm:
    channels = batch_norm.num_features
    groups = gcd(_MOST_GROUPS, channels)
    while groups > 1 and channels // groups < _FEWEST_CHANNELS:
        groups //= 2
    norm = nn.GroupNorm(groups, channels, eps=batch_norm.eps, affine=batch_norm.affine)
    if batch_norm.affine:
        norm.weight.data.copy_(batch_norm.weight.data)
        norm.bias.data.copy_(batch_norm.bias.data)
    return norm

"""Group normalisation in place of batch normalisation: no statistic of one case depends on another."""

from math import gcd

from torch import nn

_BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
_MOST_GROUPS = 32
"""Wu and He, ECCV 2018, section 4.1."""


def use_group_norm(model: nn.Module) -> nn.Module:
    """Replace every batch normalisation of `model`, keeping its weight and bias.

    The number of groups is the largest power of two up to 32 that divides the channels. Opacus' own replacement takes
    32 or fails, and EfficientNet has layers of 24 and 40 channels.

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
    norm = nn.GroupNorm(gcd(_MOST_GROUPS, channels), channels, eps=batch_norm.eps, affine=batch_norm.affine)
    if batch_norm.affine:
        norm.weight.data.copy_(batch_norm.weight.data)
        norm.bias.data.copy_(batch_norm.bias.data)
    return norm

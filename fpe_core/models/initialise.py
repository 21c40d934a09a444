"""First weights of the networks that have no published ones."""

from torch import nn

from fpe_core.models.attention import CrossAttention, FeedForward, SelfAttention


def initialise(module: nn.Module) -> None:
    """For `nn.Module.apply`, which comes to a module after its parts.

    Convolutions Kaiming-normal by fan-out (He et al., ICCV 2015), linear layers Xavier-uniform (Glorot and Bengio,
    AISTATS 2010), every bias zero. The last layer of attention and feed-forward is zero: beside a shortcut, the
    untrained network is then the shallow one. Norms see to themselves.
    """
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    elif isinstance(module, nn.Linear):
        nn.init.xavier_uniform_(module.weight)
    elif isinstance(module, SelfAttention | CrossAttention | FeedForward):
        nn.init.zeros_(module.proj.weight)
    if isinstance(module, nn.Conv2d | nn.Linear) and module.bias is not None:
        nn.init.zeros_(module.bias)


def initialise_outputs(*, logits: tuple[nn.Linear, ...], shares: tuple[nn.Linear, ...]) -> None:
    """Start with logits near zero, and with shares (what a softmax is taken of) that are all the same."""
    for layer in logits:
        nn.init.normal_(layer.weight, std=0.02)
    for layer in shares:
        nn.init.zeros_(layer.weight)

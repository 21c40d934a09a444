"""Activation checkpointing that leaves a network's results alone, batch normalisation's running statistics included."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint


def recomputed(function: Callable[..., Tensor], modules: Sequence[nn.Module], *inputs: Tensor) -> Tensor:
    """`function(*inputs)`, whose intermediate results are not kept for the backward pass but computed again there.

    It is simply called where nothing would be kept, where torch.compile decides by itself what to compute again, and
    where a module has hooks: these would see a second forward pass, which Opacus counts.

    Args:
        function: draws no random number.
        modules: all layers that `function` runs.
        inputs: what the gradients flow back to.
    """
    hooked = any(module._forward_hooks or module._forward_pre_hooks for module in modules)
    if hooked or not torch.is_grad_enabled() or torch.compiler.is_compiling():
        return function(*inputs)
    norms = [module for module in modules if isinstance(module, _BatchNorm)]

    def contexts() -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
        return nullcontext(), _untracked(norms)

    result: Tensor = checkpoint(function, *inputs, use_reentrant=False, preserve_rng_state=False, context_fn=contexts)
    return result


@contextmanager
def _untracked(norms: list[_BatchNorm]) -> Iterator[None]:
    """The second pass normalises as the first did, but the running statistics have seen this batch already.

    A momentum of 0 leaves them as they are. They cannot be taken away: autograd wants to see the same tensors again.
    """
    before = [(norm.momentum, norm.num_batches_tracked) for norm in norms]
    for norm in norms:
        norm.momentum, norm.num_batches_tracked = 0.0, None
    try:
        yield
    finally:
        for norm, (momentum, num_batches_tracked) in zip(norms, before, strict=True):
            norm.momentum, norm.num_batches_tracked = momentum, num_batches_tracked

"""Takes a pre-trained encoder into a supervised network, and says tensor by tensor what happened."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from fpe_core.errors import StateMismatch
from fpe_core.models.blocks import block_map
from fpe_core.state import FlatState, FloatArray

_ENCODER = "encoder."


@dataclass(frozen=True)
class TransferReport:
    """Every tensor of the target is in `moved` or `kept`; every tensor of the source is moved or in `unused`.

    Attributes:
        moved: names in the target that now have the source's values.
        kept: names in the target that stay as they were: heads, whatever the source does not have, other shapes.
        reshaped: those of `kept` which the source has in another shape, such as the stem of other sequences.
        unused: names in the source that went nowhere: projector, predictor, untrained heads.
        num_moved: numbers moved.
        num_kept: numbers kept.
    """

    moved: tuple[str, ...]
    kept: tuple[str, ...]
    reshaped: tuple[str, ...]
    unused: tuple[str, ...]
    num_moved: int
    num_kept: int

    def __str__(self) -> str:
        """For a person: counts, and the names that did not fit."""
        total = self.num_moved + self.num_kept
        said = (
            f"moved {len(self.moved)} tensors with {self.num_moved:,} of {total:,} numbers; "
            f"kept {len(self.kept)}; {len(self.unused)} of the source went nowhere"
        )
        return f"{said}; of another shape: {', '.join(self.reshaped)}" if self.reshaped else said


def transfer_encoder(source: FlatState, target: nn.Module) -> TransferReport:
    """Copy what `SimSiam` has learned into a network of the factory.

    All that `embed` uses moves; heads, DAFT and what else self-supervision has not trained (`beyond_embedding` of the
    network) stay. A tensor of another shape, such as the stem where the sequences differ, stays too and is reported.

    Args:
        source: weights of a `SimSiam`, as `read_state` gives them.
        target: the network to begin supervised training with; changed in place.

    Raises:
        StateMismatch: nothing fits.
    """
    blocks = block_map(target)
    given = {
        entry.name.removeprefix(_ENCODER): source[entry.name]
        for entry in source.layout.entries
        if entry.name.startswith(_ENCODER) and entry.block not in ("head", "daft", "projector")
    }
    tensors = target.state_dict()
    fitting = {name for name, values in given.items() if name in tensors and tensors[name].shape == values.shape}
    untrained: tuple[str, ...] = getattr(target, "beyond_embedding", ())
    moved = tuple(
        name
        for name in tensors
        if name in fitting and blocks[name] not in ("head", "daft") and not name.startswith(untrained)
    )
    if not moved:
        raise StateMismatch(
            "no tensor of the pre-trained encoder fits the network",
            hint="pre-train the same network as the study's plan trains, with the same width",
        )
    _copy(given, tensors, moved)
    kept = tuple(name for name in tensors if name not in moved)
    return TransferReport(
        moved=moved,
        kept=kept,
        reshaped=tuple(n for n in kept if n in given and n not in fitting and not n.startswith(untrained)),
        unused=tuple(e.name for e in source.layout.entries if e.name.removeprefix(_ENCODER) not in moved),
        num_moved=sum(tensors[name].numel() for name in moved),
        num_kept=sum(tensors[name].numel() for name in kept),
    )


@torch.no_grad()
def _copy(given: Mapping[str, FloatArray], tensors: Mapping[str, Tensor], moved: tuple[str, ...]) -> None:
    for name in moved:
        values = torch.tensor(given[name], device=tensors[name].device)
        tensors[name].copy_(values.round() if not tensors[name].is_floating_point() else values)

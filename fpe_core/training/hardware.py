"""What a round runs on. A site decides this, the study plan does not."""

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Hardware:
    """The machine's part of a round.

    Attributes:
        device: where the model is.
        micro_batch_size: cases on the device at once; None begins with the plan's whole batch. Batch normalisation
            takes its statistics over these.
        compile: whether torch compiles the network first: minutes once, then faster steps.
        num_workers: processes that read cases ahead; 0 reads between steps.
    """

    device: torch.device
    micro_batch_size: int | None = None
    compile: bool = False
    num_workers: int = 0

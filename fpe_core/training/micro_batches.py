"""How many cases are on the device at once, and fewer when its memory does not suffice."""

import logging
from collections.abc import Iterator
from math import ceil

import torch

from fpe_core.data.dataset import Sample
from fpe_core.errors import TrainingError

log = logging.getLogger(__name__)

_SIGNS = ("CUBLAS_STATUS_ALLOC_FAILED", "CUDNN_STATUS_ALLOC_FAILED", "CUDA error: out of memory")


class MicroBatches:
    """Cuts batches into equal parts, and remembers how large a part may be.

    Args:
        size: most cases of a part to begin with; None for the whole batch.
        smallest: fewest cases of a part, for networks whose statistics need more than one. Only a batch that is itself
            smaller gives a smaller part; where a batch cannot be cut both ways, this wins over `size`.
    """

    def __init__(self, size: int | None, *, smallest: int = 1) -> None:
        self.size = size
        self.smallest = smallest

    def split(self, batch: Sample) -> Iterator[Sample]:
        """The batch in parts whose sizes differ by one at most, so that none has far fewer cases than the others."""
        num_parts = self._num_parts(len(batch.label))
        return (Sample(*part) for part in zip(*(tensor.tensor_split(num_parts) for tensor in batch), strict=True))

    def halve(self, num_cases: int) -> None:
        """Half as many cases at once from now on, after a batch of `num_cases` did not fit.

        Raises:
            TrainingError: the parts were of the smallest size already.
        """
        before = self._largest_part(num_cases)
        self.size = max(before // 2, self.smallest)
        if self._largest_part(num_cases) >= before:
            raise TrainingError(
                f"the device's memory should hold {before} case(s) at once, but does not",
                hint="use a device with more memory, let nothing else run on it, or plan a smaller network",
            )
        log.warning("%d cases do not fit on the device: %d at once from now on", before, self.size)

    def _num_parts(self, num_cases: int) -> int:
        wanted = ceil(num_cases / self.size) if self.size else 1
        return max(1, min(wanted, num_cases // self.smallest))

    def _largest_part(self, num_cases: int) -> int:
        return ceil(num_cases / self._num_parts(num_cases))


def is_out_of_memory(error: RuntimeError) -> bool:
    """Whether a computation failed for lack of the device's memory; the libraries below torch say it in their words."""
    return isinstance(error, torch.OutOfMemoryError) or any(sign in str(error) for sign in _SIGNS)


def release_memory(device: torch.device) -> None:
    """Give what the failed computation held back to the device."""
    if device.type == "cuda":
        torch.cuda.empty_cache()

"""Preprocessed cases as a torch dataset."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from fpe_core.preprocessing.processed import ProcessedCase


@dataclass(frozen=True)
class LabelledCase:
    """A preprocessed file and its label, 0 or 1."""

    file: Path
    label: int


class CaseDataset(Dataset[tuple[Tensor, Tensor]]):
    """Cases in a fixed order, read from disk when they are asked for.

    Each item is an image `(C, Z, H, W)` float32 on the recipe's grid, channels in the order of `sequences`, and its
    label, a float32 scalar.
    """

    def __init__(self, cases: Sequence[LabelledCase], sequences: Sequence[str]) -> None:
        self.cases = tuple(cases)
        self.sequences = tuple(sequences)

    def __len__(self) -> int:
        return len(self.cases)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        case = self.cases[index]
        volumes = ProcessedCase.load(case.file).volumes
        image = np.stack([volumes[name] for name in self.sequences])
        return torch.from_numpy(image), torch.tensor(float(case.label))

    @property
    def num_positive(self) -> int:
        """Cases with label 1."""
        return sum(case.label for case in self.cases)

    @property
    def num_negative(self) -> int:
        """Cases with label 0."""
        return len(self.cases) - self.num_positive


@dataclass(frozen=True)
class SplitCases:
    """One site's cases for one study, split by patient."""

    train: CaseDataset
    validation: CaseDataset
    test: CaseDataset

"""Preprocessed cases as a torch dataset."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from fpe_core.data.case_row import OcclusionSite
from fpe_core.data.regional import RegionMasks, restrict
from fpe_core.errors import CaseNonFinite
from fpe_core.preprocessing.processed import load_volumes


@dataclass(frozen=True)
class LabelledCase:
    """A preprocessed file, its label, 0 or 1, what the network sees of its clinical table, and the occluded vessel."""

    file: Path
    label: int
    tabular: tuple[float, ...] = ()
    occlusion_site: OcclusionSite | None = None

    def __post_init__(self) -> None:
        if self.label not in (0, 1) or not all(isfinite(value) for value in self.tabular):
            raise ValueError(
                f"{self.file.name}: label should be 0 or 1 and clinical columns finite, "
                f"got {self.label} and {self.tabular}"
            )


class Sample(NamedTuple):
    """One case, or, after collation, a batch of B of them: each field then has B as its first axis."""

    image: Tensor
    """`(C, Z, H, W)` float32 on the recipe's grid."""
    label: Tensor
    """`()` float32, 0 or 1."""
    tabular: Tensor
    """`(T,)` float32, scaled clinical columns; T = 0 for a network without them."""

    def to(self, device: torch.device) -> "Sample":
        """The same on `device`; the processor does not wait for the copy where the memory is pinned."""
        return Sample(*(tensor.to(device, non_blocking=True) for tensor in self))


class CaseDataset(Dataset[Sample]):
    """Cases in a fixed order, read from disk when they are asked for.

    Args:
        cases: files, labels and clinical columns.
        channels: a sequence for each channel, in the channels' order; a name may repeat (`ModelPlan.channels`).
        regions: shows only the territory of each case's occluded vessel; None shows all.

    Raises:
        ValueError: there are regions, and a case's occluded vessel is not known.
    """

    def __init__(
        self, cases: Sequence[LabelledCase], channels: Sequence[str], regions: RegionMasks | None = None
    ) -> None:
        self.cases = tuple(cases)
        self.channels = tuple(channels)
        self.regions = regions
        if regions is not None and any(case.occlusion_site is None for case in self.cases):
            raise ValueError("every case of a regional input should have an occlusion site")

    def __len__(self) -> int:
        return len(self.cases)

    def __getitem__(self, index: int) -> Sample:
        case = self.cases[index]
        volumes = load_volumes(case.file, self.channels)
        image = np.stack([volumes[name] for name in self.channels])
        if self.regions is not None and case.occlusion_site is not None:
            image = restrict(image, self.regions.of(case.occlusion_site))
        if not np.isfinite(image).all():
            raise CaseNonFinite(f"{case.file}: a voxel is not finite", hint="preprocess the case again")
        return Sample(torch.from_numpy(image), torch.tensor(float(case.label)), torch.tensor(case.tabular))

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

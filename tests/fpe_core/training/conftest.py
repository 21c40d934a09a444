"""One site's cases, a small plan, and a network for it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from fpe_core.config.study import StudyPlan
from fpe_core.data.dataset import CaseDataset, LabelledCase, SplitCases

SEQUENCES = ("dwi", "flair", "adc")
Splits = Callable[..., SplitCases]


@pytest.fixture
def splits(make_site: Callable[..., Path]) -> SplitCases:
    """12 training, 6 validation and 6 test cases, half of each class."""
    folder = make_site(num_positive=12, num_negative=12).parent / "state" / "preprocessed" / "mnt-dl-mr-small"

    def dataset(start: int, stop: int) -> CaseDataset:
        numbers = [*range(start, stop), *range(12 + start, 12 + stop)]
        return CaseDataset([LabelledCase(folder / f"c{i}.safetensors", int(i < 12)) for i in numbers], SEQUENCES)

    return SplitCases(dataset(0, 6), dataset(6, 9), dataset(9, 12))


@pytest.fixture
def plan() -> StudyPlan:
    return StudyPlan.model_validate(
        {
            "name": "small",
            "task": "fpe",
            "seed": 3,
            "model": {"base_width": 8},
            "training": {"batch_size": 6, "learning_rate": 0.01, "local_epochs": 2},
            "federation": {"rounds": 3, "min_sites": 1, "quorum": 1},
        }
    )

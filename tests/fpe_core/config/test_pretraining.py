"""The plan of pre-training: combinations that make no sense."""

from typing import Any

import pytest
from pydantic import ValidationError

from fpe_core.config.pretraining import AugmentationPlan, PretrainingPlan


@pytest.mark.parametrize("section", [{"scale": (1.2, 0.9)}, {"anisotropy_factor": (5, 1.5)}])
def test_ranges_go_from_the_least_to_the_most(section: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="from the least to the most"):
        AugmentationPlan(**section)


@pytest.mark.parametrize(
    "section", [{"batch_size": 1}, {"augmentation": {"flip_probability": 1.1}}, {"augmentation": {"rotation": 3}}]
)
def test_what_cannot_be_done_is_refused(section: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        PretrainingPlan.model_validate(section)

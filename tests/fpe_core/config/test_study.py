"""The study plan: what the network sees, and combinations that make no sense."""

from typing import Any

import pytest
from pydantic import ValidationError

from fpe_core.config.study import FederationPlan, ModelPlan, PrivacyPlan, StudyPlan, TrainingPlan


@pytest.mark.parametrize(
    ("sequences", "channels"),
    [
        (("adc",), ("adc", "adc", "adc")),
        (("flair",), ("flair", "flair", "flair")),
        (("cta",), ("cta", "cta")),
        (("ncct", "cta"), ("ncct", "cta")),
        (("adc", "dwi"), ("adc", "dwi")),
    ],
)
def test_a_single_sequence_is_stacked_for_a_network_over_slices(
    sequences: tuple[Any, ...], channels: tuple[str, ...]
) -> None:
    assert ModelPlan(name="mnt-dl", sequences=sequences).channels == channels


def test_a_three_dimensional_network_sees_a_single_sequence_once() -> None:
    assert ModelPlan(name="densenet169", sequences=("cta",)).channels == ("cta",)


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"sequences": ()}, "one or more different names"),
        ({"sequences": ("dwi", "dwi")}, "one or more different names"),
        ({"name": "mnt-dl", "clinical": ("nihss",)}, "mnt-dl, which has no DAFT"),
        ({"name": "densenet169", "clinical": ("nihss", "nihss")}, "clinical should be different names"),
        ({"num_slices": 4, "num_neighbourhoods": 5}, r"at most num_slices \(4\)"),
    ],
)
def test_a_model_that_makes_no_sense_is_refused(section: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        ModelPlan(**section)


@pytest.mark.parametrize("noise", [{}, {"target_epsilon": 3.0, "noise_multiplier": 1.0}])
def test_the_noise_is_said_in_one_way(noise: dict[str, float]) -> None:
    with pytest.raises(ValidationError, match="either target_epsilon or noise_multiplier"):
        PrivacyPlan(**noise)


def test_classes_are_balanced_once() -> None:
    with pytest.raises(ValidationError, match="balance_classes should be false"):
        TrainingPlan(balanced_sampling=True)


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({}, "how many cases of each class a site has, which is private"),
        ({"balance_classes": False, "balanced_sampling": True}, "how many cases of each class"),
        ({"balance_classes": False, "precision": "float16"}, "another precision than float16"),
    ],
)
def test_private_training_refuses_what_would_tell_on_cases(section: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        TrainingPlan(privacy=PrivacyPlan(noise_multiplier=1.0), **section)


def test_private_training_needs_group_normalisation_and_spends_once() -> None:
    private = TrainingPlan(privacy=PrivacyPlan(noise_multiplier=1.0), balance_classes=False)
    once = FederationPlan(compare_with_local=False)
    group = ModelPlan(norm="group")
    with pytest.raises(ValidationError, match=r"model\.norm should be group"):
        StudyPlan(name="private", task="fpe", seed=1, training=private, federation=once)
    with pytest.raises(ValidationError, match=r"compare_with_local should be false"):
        StudyPlan(name="private", task="fpe", seed=1, training=private, model=group)
    StudyPlan(name="private", task="fpe", seed=1, training=private, model=group, federation=once)

from math import exp, log

import pytest
import torch

from fpe_core.models.output import MntDlOutput
from fpe_core.training.losses import outcome_loss


def cross_entropy(logit: float, label: int, pos_weight: float = 1.0) -> float:
    """Binary cross-entropy as it stands in a textbook."""
    p = 1 / (1 + exp(-logit))
    return -(pos_weight * label * log(p) + (1 - label) * log(1 - p))


FUSION = [0.3, -1.2]
SUBNETS = [[0.1, -0.4, 2.0, 0.0, -3.0], [1.5, 0.2, -0.7, 0.9, -0.1]]
LABELS = [1, 0]


def output(dtype: torch.dtype = torch.float32) -> MntDlOutput:
    return MntDlOutput(torch.tensor(FUSION, dtype=dtype).view(2, 1), torch.tensor(SUBNETS, dtype=dtype))


@pytest.mark.parametrize("pos_weight", [None, 2.5])
@pytest.mark.parametrize("subnet_weight", [0.0, 0.5, 1.0])
def test_loss_is_fusion_plus_weighted_sum_of_subnets(subnet_weight: float, pos_weight: float | None) -> None:
    factor = pos_weight or 1.0
    expected = 0.0
    for fusion, subnets, label in zip(FUSION, SUBNETS, LABELS, strict=True):
        expected += cross_entropy(fusion, label, factor) / 2
        expected += subnet_weight * sum(cross_entropy(logit, label, factor) for logit in subnets) / 2
    weight = None if pos_weight is None else torch.tensor(pos_weight)
    loss = outcome_loss(output(), torch.tensor([1.0, 0.0]), subnet_weight=subnet_weight, pos_weight=weight)
    assert loss.item() == pytest.approx(expected, rel=1e-6)


def test_undecided_logits_cost_log_two_six_times_over() -> None:
    undecided = MntDlOutput(torch.zeros(4, 1), torch.zeros(4, 5))
    loss = outcome_loss(undecided, torch.tensor([1.0, 0.0, 1.0, 0.0]), subnet_weight=0.5, pos_weight=None)
    assert loss.item() == pytest.approx(3.5 * log(2), rel=1e-6)


def test_half_precision_logits_give_a_float32_loss() -> None:
    loss = outcome_loss(output(torch.bfloat16), torch.tensor([1.0, 0.0]), subnet_weight=0.5, pos_weight=None)
    exact = outcome_loss(output(), torch.tensor([1.0, 0.0]), subnet_weight=0.5, pos_weight=None)
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(exact.item(), rel=1e-2)


def test_extreme_logits_stay_finite() -> None:
    sure = MntDlOutput(torch.tensor([[200.0]]), torch.full((1, 5), -200.0))
    loss = outcome_loss(sure, torch.tensor([1.0]), subnet_weight=0.5, pos_weight=None)
    assert loss.item() == pytest.approx(0.5 * 5 * 200)


def test_gradient_of_the_fusion_is_its_error() -> None:
    fusion = torch.tensor([[0.0]], requires_grad=True)
    outcome_loss(
        MntDlOutput(fusion, torch.zeros(1, 5)), torch.tensor([1.0]), subnet_weight=0.5, pos_weight=None
    ).backward()
    assert fusion.grad is not None
    assert fusion.grad.item() == pytest.approx(-0.5)


def test_a_target_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="size"):
        outcome_loss(output(), torch.tensor([1.0]), subnet_weight=0.5, pos_weight=None)

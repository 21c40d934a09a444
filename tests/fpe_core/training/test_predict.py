"""Probabilities and losses of a model on cases."""

import numpy as np
import pytest
import torch
from torch import nn

from fpe_core.config.study import StudyPlan
from fpe_core.data.dataset import CaseDataset, SplitCases
from fpe_core.errors import TrainingDiverged
from fpe_core.models.planned import planned_model
from fpe_core.training.hardware import Hardware
from fpe_core.training.losses import outcome_loss
from fpe_core.training.predict import predict

CPU = Hardware(torch.device("cpu"))


@pytest.fixture
def model(plan: StudyPlan) -> nn.Module:
    torch.manual_seed(0)
    model = planned_model(plan)
    # Fresh heads say almost nothing; larger weights make the cases differ.
    for parameter in (model.fc_0_2.weight, model.classifier[1].weight):  # type: ignore[union-attr, index]
        nn.init.normal_(parameter, std=1.0)  # type: ignore[arg-type]
    return model


def test_each_case_gets_its_own_probability_and_the_loss_is_their_mean(
    model: nn.Module, splits: SplitCases, plan: StudyPlan
) -> None:
    cases = splits.train
    got = predict(model.train(), cases, plan=plan.training, hardware=CPU)
    model.eval()
    losses, probabilities = [], []
    for image, label, _ in (cases[i] for i in range(len(cases))):
        with torch.no_grad():
            output = model(image[None])
        weight = plan.training.subnet_loss_weight
        losses.append(float(outcome_loss(output, label[None], subnet_weight=weight, pos_weight=None)))
        probabilities.append(1 / (1 + np.exp(-output.fusion.item())))
    np.testing.assert_allclose(got.probabilities, probabilities, rtol=1e-5)
    assert np.ptp(got.probabilities) > 1e-3
    assert got.loss == pytest.approx(np.mean(losses), rel=1e-5)
    np.testing.assert_array_equal(got.labels, [1] * 6 + [0] * 6)


def test_the_batch_size_changes_nothing(model: nn.Module, splits: SplitCases, plan: StudyPlan) -> None:
    """Twelve cases in batches of 5 leave a last batch of 2, which must not weigh as much as a full one."""
    small = plan.training.model_copy(update={"batch_size": 5})
    one, other = (predict(model, splits.train, plan=p, hardware=CPU) for p in (plan.training, small))
    np.testing.assert_allclose(one.probabilities, other.probabilities, rtol=1e-5)
    assert one.loss == pytest.approx(other.loss, rel=1e-6)


def test_predicting_leaves_the_model_as_it_was(model: nn.Module, splits: SplitCases, plan: StudyPlan) -> None:
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    predict(model, splits.validation, plan=plan.training, hardware=CPU)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())


def test_progress_counts_cases(model: nn.Module, splits: SplitCases, plan: StudyPlan) -> None:
    seen: list[tuple[str, int, int]] = []
    steps = plan.training.model_copy(update={"batch_size": 5})
    predict(model, splits.train, plan=steps, hardware=CPU, progress=lambda *step: seen.append(step), stage="test")
    assert seen == [("test", 5, 12), ("test", 10, 12), ("test", 12, 12)]


def test_no_case_gives_no_probability(model: nn.Module, plan: StudyPlan) -> None:
    got = predict(model, CaseDataset([], ("dwi",)), plan=plan.training, hardware=CPU)
    assert (got.probabilities.shape, got.labels.shape, got.loss) == ((0,), (0,), 0.0)


def test_an_output_that_is_not_finite_is_an_error(model: nn.Module, splits: SplitCases, plan: StudyPlan) -> None:
    with torch.no_grad():
        model.fc_2_1.bias.fill_(torch.inf)  # type: ignore[union-attr, operator]
    with pytest.raises(TrainingDiverged):
        predict(model, splits.validation, plan=plan.training, hardware=CPU)

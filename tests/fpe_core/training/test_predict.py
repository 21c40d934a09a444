"""Probabilities and losses of a model on cases."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from fpe_core.config.study import StudyPlan
from fpe_core.data.dataset import CaseDataset, SplitCases
from fpe_core.errors import TrainingDiverged, TrainingError
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


@pytest.mark.parametrize("micro", [1, 4])
def test_the_micro_batch_changes_nothing(model: nn.Module, splits: SplitCases, plan: StudyPlan, micro: int) -> None:
    one = predict(model, splits.train, plan=plan.training, hardware=CPU)
    other = predict(model, splits.train, plan=plan.training, hardware=Hardware(CPU.device, micro_batch_size=micro))
    np.testing.assert_allclose(other.probabilities, one.probabilities, rtol=1e-5)
    assert other.loss == pytest.approx(one.loss, rel=1e-6)


def small_memory(model: nn.Module, num_cases: int) -> list[int]:
    """Let the network run out of memory above so many cases; returns the sizes that it is shown."""
    sizes: list[int] = []

    def run_out(_module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        sizes.append(len(inputs[0]))
        if len(inputs[0]) > num_cases:
            raise torch.OutOfMemoryError

    model.register_forward_pre_hook(run_out)
    return sizes


def test_what_does_not_fit_is_predicted_in_parts(model: nn.Module, splits: SplitCases, plan: StudyPlan) -> None:
    expected = predict(model, splits.train, plan=plan.training, hardware=CPU)
    sizes = small_memory(model, 2)
    got = predict(model, splits.train, plan=plan.training, hardware=CPU)
    assert sizes == [6, 3, *[1] * 12]
    np.testing.assert_allclose(got.probabilities, expected.probabilities, rtol=1e-5)


def test_a_case_that_does_not_fit_is_an_error(model: nn.Module, splits: SplitCases, plan: StudyPlan) -> None:
    small_memory(model, 0)
    with pytest.raises(TrainingError, match=r"hold 1 case\(s\)"):
        predict(model, splits.train, plan=plan.training, hardware=CPU)


def test_half_precision_predicts_nearly_the_same(model: nn.Module, splits: SplitCases, plan: StudyPlan) -> None:
    half = plan.training.model_copy(update={"precision": "bfloat16"})
    one, other = (predict(model, splits.train, plan=p, hardware=CPU) for p in (plan.training, half))
    np.testing.assert_allclose(other.probabilities, one.probabilities, atol=0.02)
    assert not np.array_equal(other.probabilities, one.probabilities)
    assert other.probabilities.dtype == np.float64

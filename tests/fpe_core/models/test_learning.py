"""Each network over slices learns what distinguishes 32 cases, and the paper's deep learning finds the slices."""

import pytest
import torch
from sklearn.metrics import roc_auc_score
from torch import Tensor, nn

from fpe_core.models import build_model
from fpe_core.training.losses import outcome_loss

BLOB_SLICES = slice(11, 14)


def phantoms(num_cases: int) -> tuple[Tensor, Tensor]:
    """Noise of one standard deviation `[N, 2, 26, 32, 32]`; every other case is positive: two brighter in one place."""
    images = torch.randn(num_cases, 2, 26, 32, 32, generator=torch.Generator().manual_seed(1))
    labels = torch.arange(num_cases) % 2
    images[1::2, :, BLOB_SLICES, 8:16, 16:24] += 2.0
    return images, labels.float()


def train(model: nn.Module, images: Tensor, labels: Tensor, *, num_epochs: int, learning_rate: float) -> None:
    optimiser = torch.optim.AdamW(model.parameters(), lr=learning_rate, weight_decay=0.05)
    order = torch.Generator().manual_seed(0)
    model.train()
    for _ in range(num_epochs):
        for chosen in torch.randperm(len(labels), generator=order).split(8):
            optimiser.zero_grad()
            outcome_loss(model(images[chosen]), labels[chosen], subnet_weight=0.5, pos_weight=None).backward()
            optimiser.step()
    model.eval()


@pytest.mark.parametrize(
    # The released fusion head is a softmax over single numbers and learns slowly.
    ("name", "num_epochs", "learning_rate"),
    [("mnt-dl", 10, 1e-3), ("scanet", 10, 1e-3), ("resnet34", 10, 1e-3), ("mnt-dl-released", 20, 5e-3)],
)
def test_learns_cases_by_heart(name: str, num_epochs: int, learning_rate: float) -> None:
    torch.manual_seed(0)
    model, (images, labels) = build_model(name, in_channels=2, base_width=8), phantoms(32)
    train(model, images, labels, num_epochs=num_epochs, learning_rate=learning_rate)
    with torch.no_grad():
        assert roc_auc_score(labels, model(images).logits) > 0.99


def test_mnt_dl_finds_the_informative_slices() -> None:
    torch.manual_seed(0)
    model, (images, labels) = build_model("mnt-dl", in_channels=2, base_width=8), phantoms(32)
    train(model, images, labels, num_epochs=15, learning_rate=1e-3)
    with torch.no_grad():
        importance = model.slice_importance(images)
    positive, negative = importance[labels == 1].mean(dim=0), importance[labels == 0].mean(dim=0)
    assert sorted(positive.topk(3).indices.tolist()) == [11, 12, 13]
    assert positive[BLOB_SLICES].min() > negative[BLOB_SLICES].max()

import torch

from fpe_core.data.dataset import Sample
from fpe_core.training.upload import uploaded


def test_batches_arrive_whole_and_in_order() -> None:
    batches = [Sample(torch.full((2, 1), float(i)), torch.zeros(2), torch.zeros(2, 0)) for i in range(3)]
    arrived = list(uploaded(batches, torch.device("cpu")))
    assert [batch.image[0, 0].item() for batch in arrived] == [0, 1, 2]
    assert list(uploaded([], torch.device("cpu"))) == []

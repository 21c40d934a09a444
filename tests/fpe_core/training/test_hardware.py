import torch

from fpe_core.training.hardware import default_workers


def test_nobody_reads_ahead_beside_a_processor() -> None:
    assert default_workers(torch.device("cpu")) == 0


def test_beside_a_gpu_shared_memory_decides() -> None:
    assert 0 <= default_workers(torch.device("cuda")) <= 4

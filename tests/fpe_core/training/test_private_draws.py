"""Secret draws: their distribution, and who can repeat them."""

import pytest
import torch
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from scipy import stats

from fpe_core.data.dataset import Sample, SplitCases
from fpe_core.training.hardware import Hardware
from fpe_core.training.poisson import PoissonBatches, poisson_loader
from fpe_core.training.secret_stream import SecretStream

CPU = torch.device("cpu")


def stream_of(seed: int | None, *purpose: str | int) -> SecretStream:
    return SecretStream.for_purpose(seed, *purpose)


def normal(stream: SecretStream, *shape: int) -> torch.Tensor:
    return stream.normal(torch.Size(shape), CPU)


def test_the_draws_are_aes_in_counter_mode() -> None:
    key = bytes(range(32))
    block = Cipher(algorithms.AES256(key), modes.ECB()).encryptor().update(bytes(16))  # noqa: S305 - counter 0 is one block of zeros
    expected = [int.from_bytes(block[start : start + 8], "little") % 2**53 / 2**53 for start in (0, 8)]
    assert SecretStream(key).uniform(2).tolist() == expected


def test_uniform_draws_are_uniform() -> None:
    drawn = stream_of(1).uniform(100_000)
    assert drawn.dtype is torch.float64
    assert 0 <= float(drawn.min()) < float(drawn.max()) < 1
    assert stats.kstest(drawn.numpy(), "uniform").pvalue > 0.01


def test_normal_draws_are_normal_to_the_tails() -> None:
    drawn = normal(stream_of(2), 500, 1000)
    assert drawn.shape == (500, 1000)
    assert drawn.dtype is torch.float64
    assert stats.kstest(drawn.flatten().numpy(), "norm").pvalue > 0.01
    beyond = (drawn.abs() > 4).sum()  # 31.7 expected
    assert 15 < int(beyond) < 55
    assert abs(float((drawn[:, 1:] * drawn[:, :-1]).mean())) < 4 / 500_000**0.5, "neighbours are uncorrelated"


def test_the_rarest_bits_give_finite_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    bits = torch.tensor([0, -1, 2**63 - 1, -(2**63)])
    monkeypatch.setattr(SecretStream, "_integers", lambda *_: bits)
    low, middle_low, middle, high = normal(stream_of(0), 4).tolist()
    assert (low, high) == (pytest.approx(stats.norm.isf(2.0**-65)), pytest.approx(-stats.norm.isf(2.0**-65)))
    assert middle == -middle_low == pytest.approx(0, abs=1e-9)


def test_a_seed_repeats_its_draws_and_none_does_not() -> None:
    assert torch.equal(normal(stream_of(5, "noise", 1), 8), normal(stream_of(5, "noise", 1), 8))
    others = [stream_of(5, "noise", 2), stream_of(5, "sampling", 1), stream_of(6, "noise", 1), stream_of(None, "noise")]
    drawn = [normal(stream, 8) for stream in [stream_of(5, "noise", 1), *others, stream_of(None, "noise")]]
    assert len({tuple(values.tolist()) for values in drawn}) == 6


def test_seeds_that_torch_takes_for_one_are_two_here() -> None:
    def by_torch(seed: int) -> torch.Tensor:
        return torch.randn(4, generator=torch.Generator().manual_seed(seed))

    assert torch.equal(by_torch(5), by_torch(5 + 2**32)), "torch uses 32 bits of the seed: no secret"
    assert not torch.equal(normal(stream_of(5), 4), normal(stream_of(5 + 2**32), 4))


def test_a_case_is_in_a_batch_whatever_else_is() -> None:
    batches = list(PoissonBatches(12, sample_rate=0.25, num_steps=4000, stream=stream_of(3)))
    there = torch.zeros(4000, 12)
    for row, batch in zip(there, batches, strict=True):
        row[batch] = 1
    assert there.mean(dim=0).sub(0.25).abs().max() < 4 * (0.25 * 0.75 / 4000) ** 0.5
    assert float(there.sum(dim=1).var()) == pytest.approx(12 * 0.25 * 0.75, rel=0.1)
    assert torch.corrcoef(there.T).fill_diagonal_(0).abs().max() < 4 / 4000**0.5
    assert [] in batches


def test_each_pass_draws_anew_and_as_many_batches() -> None:
    batches = PoissonBatches(12, sample_rate=0.5, num_steps=3, stream=stream_of(3))
    first, second = list(batches), list(batches)
    assert len(batches) == len(first) == len(second) == 3
    assert first != second
    assert list(PoissonBatches(5, sample_rate=1.0, num_steps=1, stream=stream_of(4))) == [[0, 1, 2, 3, 4]]


@pytest.mark.parametrize("num_workers", [0, 1])
def test_empty_batches_are_samples_of_no_case(splits: SplitCases, num_workers: int) -> None:
    cases = splits.train
    batches = PoissonBatches(len(cases), sample_rate=0.05, num_steps=8, stream=stream_of(8))
    expected = list(PoissonBatches(len(cases), sample_rate=0.05, num_steps=8, stream=stream_of(8)))
    assert not expected[0], "the first is empty, when nothing of a batch has been seen"
    assert any(expected)
    loaded = list(poisson_loader(cases, batches, Hardware(CPU, num_workers=num_workers)))
    for batch, numbers in zip(loaded, expected, strict=True):
        assert isinstance(batch, Sample)
        assert batch.image.shape == (len(numbers), 3, 25, 16, 16)
        assert batch.tabular.shape == (len(numbers), 0)
        assert batch.image.dtype == batch.label.dtype == torch.float32
        assert batch.label.tolist() == [cases.cases[i].label for i in numbers]

import numpy as np
import pytest
import torch

from fpe_core.errors import ModelError
from fpe_core.models.neighbourhoods import averaging_matrix, fold_slices, neighbourhood_sizes


@pytest.mark.parametrize(
    ("num_slices", "num_neighbourhoods", "sizes"),
    [
        (26, 5, (6, 5, 5, 5, 5)),
        (25, 5, (5,) * 5),
        (10, 3, (4, 3, 3)),
        (7, 7, (1,) * 7),
        (7, 1, (7,)),
        (14, 4, (4, 4, 3, 3)),
    ],
)
def test_sizes_differ_by_at_most_one(num_slices: int, num_neighbourhoods: int, sizes: tuple[int, ...]) -> None:
    assert neighbourhood_sizes(num_slices, num_neighbourhoods) == sizes


def test_every_slice_is_in_one_neighbourhood_whatever_the_division() -> None:
    for num_slices in range(1, 31):
        for num_neighbourhoods in range(1, num_slices + 1):
            sizes = neighbourhood_sizes(num_slices, num_neighbourhoods)
            assert (len(sizes), sum(sizes)) == (num_neighbourhoods, num_slices)
            assert max(sizes) - min(sizes) <= 1
            owners = averaging_matrix(num_slices, num_neighbourhoods).argmax(dim=0)
            assert torch.equal(owners, owners.sort().values)
            assert torch.equal(owners.bincount(), torch.tensor(sizes))


@pytest.mark.parametrize(("num_slices", "num_neighbourhoods"), [(5, 6), (5, 0), (0, 1), (5, -1)])
def test_an_impossible_division_is_refused(num_slices: int, num_neighbourhoods: int) -> None:
    with pytest.raises(ModelError, match=rf"from 1 to num_slices \({num_slices}\), got {num_neighbourhoods}"):
        averaging_matrix(num_slices, num_neighbourhoods)


def test_the_matrix_gives_each_neighbourhoods_mean() -> None:
    features = torch.randn(2, 26, 4, generator=torch.Generator().manual_seed(0))
    means = averaging_matrix(26, 5) @ features
    borders = [0, 6, 11, 16, 21, 26]
    for k in range(5):
        own = features.numpy()[:, borders[k] : borders[k + 1]]
        np.testing.assert_allclose(means[:, k].numpy(), own.mean(axis=1), rtol=1e-5, atol=1e-6)


def test_folding_puts_a_cases_slices_side_by_side() -> None:
    image = torch.arange(2 * 3 * 7 * 2 * 2).reshape(2, 3, 7, 2, 2)
    folded = fold_slices(image, in_channels=3, num_slices=5)
    assert folded.shape == (10, 3, 2, 2)
    for case in range(2):
        for z in range(5):
            assert torch.equal(folded[5 * case + z], image[case, :, z])


@pytest.mark.parametrize("num_cases", [1, 2])
def test_slices_are_folded_into_the_layout_and_precision_of_convolutions(num_cases: int) -> None:
    image = torch.randn(num_cases, 3, 7, 4, 6, generator=torch.Generator().manual_seed(0))
    exact = fold_slices(image, in_channels=3, num_slices=5)
    assert exact.dtype is torch.float32
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rounded = fold_slices(image, in_channels=3, num_slices=5)
        assert fold_slices(image.double(), in_channels=3, num_slices=5).dtype is torch.float64
    assert rounded.dtype is torch.bfloat16
    assert torch.equal(rounded, exact.bfloat16())
    for folded in (exact, rounded):
        assert folded.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("shape", [(2, 3, 4, 8, 8), (2, 2, 5, 8, 8), (3, 5, 8, 8)])
def test_a_wrong_shape_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ModelError, match=r"\[B, 3, Z >= 5, H, W\], got \[" + ", ".join(map(str, shape))):
        fold_slices(torch.zeros(shape), in_channels=3, num_slices=5)

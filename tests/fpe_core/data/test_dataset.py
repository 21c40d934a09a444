"""Preprocessed cases as a dataset: channel order, labels, counts, damaged files."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from fpe_core.data.dataset import CaseDataset, LabelledCase
from fpe_core.errors import CaseFileUnreadable, CaseNonFinite
from fpe_core.preprocessing.processed import ProcessedCase

MakeSite = Callable[..., Path]
SEQUENCES = ("dwi", "flair", "adc")


@pytest.fixture
def cases(make_site: MakeSite) -> list[LabelledCase]:
    folder = make_site(num_positive=2, num_negative=3).parent / "state" / "preprocessed" / "mnt-dl-mr-small"
    return [LabelledCase(folder / f"c{i}.safetensors", int(i < 2)) for i in range(5)]


def test_channels_stand_in_the_order_asked_for(cases: list[LabelledCase]) -> None:
    volumes = ProcessedCase.load(cases[1].file).volumes
    for order in (SEQUENCES, ("adc", "dwi")):
        image, label, tabular = CaseDataset(cases, order)[1]
        assert image.dtype == torch.float32
        assert image.shape == (len(order), 25, 16, 16)
        for channel, name in zip(image, order, strict=True):
            assert torch.equal(channel, torch.from_numpy(volumes[name])), name
        assert (label.shape, label.dtype, label.item()) == ((), torch.float32, 1.0)
        assert (tabular.shape, tabular.dtype) == ((0,), torch.float32)


def test_classes_are_counted(cases: list[LabelledCase]) -> None:
    dataset = CaseDataset(cases, SEQUENCES)
    assert (len(dataset), dataset.num_positive, dataset.num_negative) == (5, 2, 3)
    assert [dataset[i].label.item() for i in range(5)] == [1, 1, 0, 0, 0]


def test_a_damaged_file_is_named(cases: list[LabelledCase]) -> None:
    path = cases[0].file
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(CaseFileUnreadable, match=r"c0\.safetensors"):
        CaseDataset(cases, SEQUENCES)[0]


def test_a_sequence_that_the_file_does_not_have_is_named(cases: list[LabelledCase]) -> None:
    with pytest.raises(CaseFileUnreadable, match=r"c0\.safetensors: expected volumes of dwi, cta"):
        CaseDataset(cases, ("dwi", "cta"))[0]


def test_a_voxel_that_is_not_finite_is_refused(cases: list[LabelledCase]) -> None:
    case = ProcessedCase.load(cases[0].file)
    case.volumes["adc"][3, 4, 5] = float("nan")
    case.save(cases[0].file)
    assert CaseDataset(cases, ("dwi",))[0].image.isfinite().all()
    with pytest.raises(CaseNonFinite, match=r"c0\.safetensors: a voxel is not finite"):
        CaseDataset(cases, ("dwi", "adc"))[0]


@pytest.mark.parametrize(("label", "tabular"), [(2, ()), (1, (0.5, float("nan")))])
def test_a_case_that_cannot_be_learned_from_is_refused(label: int, tabular: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match=r"case\.safetensors: label should be 0 or 1 and clinical columns finite"):
        LabelledCase(Path("case.safetensors"), label, tabular)


def test_a_stacked_sequence_is_read_once_and_repeated(cases: list[LabelledCase]) -> None:
    image = CaseDataset(cases, ("adc", "adc", "adc"))[0].image
    assert torch.equal(image[0], image[2])

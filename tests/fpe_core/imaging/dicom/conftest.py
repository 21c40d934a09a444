"""A scan whose every voxel says where it lies, written as DICOM."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest

from fpe_core.data.phantoms.dicom_series import PhantomSeries, PhantomStudy, numbered, write_series
from fpe_core.imaging.dicom.series import Series, scan_folder
from fpe_core.imaging.volume import Matrix, Volume

AXIAL = np.array([[-1.5, 0, 0, 20], [0, -2, 0, 30], [0, 0, 5.0, -10], [0, 0, 0, 1]])
SHAPE = (14, 12, 10)

Place = Callable[..., Volume]
WriteDicom = Callable[..., list[Path]]
Edit = Callable[..., None]


def of_place(affine_ras: Matrix, shape: tuple[int, ...]) -> Any:
    """A value that is linear in RAS mm: geometry can be checked at any voxel, and linear interpolation is exact."""
    index = np.indices(shape).reshape(3, -1)
    x, y, z = affine_ras[:3, :3] @ index + affine_ras[:3, 3:]
    return (300 + 2.0 * x - 3.0 * y + 4.0 * z).reshape(shape)


@pytest.fixture
def place() -> Place:
    """Makes a volume of `of_place`."""

    def make(affine_ras: Matrix = AXIAL, shape: tuple[int, int, int] = SHAPE) -> Volume:
        return Volume(of_place(affine_ras, shape).astype(np.float32), np.array(affine_ras, dtype=np.float64))

    return make


@pytest.fixture
def write_dicom(tmp_path: Path, place: Place) -> WriteDicom:
    """Writes a series below `tmp_path/export`; by default a CT of `place()`."""

    def write(
        volumes: Volume | Mapping[float | None, Volume] | None = None,
        *,
        folder: str = "export",
        modality: Any = "CT",
        study: PhantomStudy | None = None,
        **series: Any,
    ) -> list[Path]:
        if not isinstance(volumes, Mapping):
            volumes = {None: volumes or place()}
        made = PhantomSeries(modality, **series)
        return write_series(numbered(tmp_path / folder), volumes, made, study or PhantomStudy(), seed=1)

    return write


@pytest.fixture
def edit() -> Edit:
    """Changes elements of a file; None takes an element out."""

    def change(path: Path, **elements: Any) -> None:
        dataset = pydicom.dcmread(path)
        for keyword, value in elements.items():
            if value is None:
                del dataset[keyword]
            else:
                setattr(dataset, keyword, value)
        dataset.save_as(path)

    return change


@pytest.fixture
def only_series(tmp_path: Path) -> Callable[[], Series]:
    """The one series of the export."""

    def scan() -> Series:
        found = scan_folder(tmp_path / "export")
        assert not found.refused
        assert len(found.series) == 1
        return found.series[0]

    return scan


@pytest.fixture
def assert_placed() -> Callable[..., None]:
    """Every voxel's value belongs to its place."""

    def check(volume: Volume, *, tolerance: float = 0.51) -> None:
        expected = of_place(volume.affine_ras, volume.data_xyz.shape)
        np.testing.assert_allclose(volume.data_xyz, expected, atol=tolerance, rtol=0)

    return check

"""One series as one volume with its true geometry.

Slices are ordered by their place along the normal, never by InstanceNumber. The affine is built from positions and
orientations alone: where they describe a sheared stack, as a tilted gantry gives, the affine is sheared.
"""

from dataclasses import dataclass
from itertools import groupby
from typing import Final

import numpy as np

from fpe_core.errors import CaseHeaderIncomplete, CaseNotVolume, CaseSlicesInconsistent, CaseSpacingImpossible
from fpe_core.imaging.dicom.file import open_dataset, quietly
from fpe_core.imaging.dicom.gdcm import GdcmReader
from fpe_core.imaging.dicom.headers import Frame
from fpe_core.imaging.dicom.pixels import frame_values
from fpe_core.imaging.dicom.series import Series
from fpe_core.imaging.dicom.spacing import plan_slices, resampled
from fpe_core.imaging.dicom.split import SAME_PLACE_MM, depths_mm
from fpe_core.imaging.dicom.values import text
from fpe_core.imaging.geometry import RAS_FROM_LPS
from fpe_core.imaging.volume import Array, Matrix, Volume

_OFF_LINE_MM: Final = 0.3
"""How far a slice may lie off the line through all of them."""
_MOST_SHEAR_DEG: Final = 45.0
_NOTED_SHEAR_DEG: Final = 0.5
_MOST_VOXELS: Final = 2_000_000_000
"""8 GB of float32; a whole-body CT in thin slices has a quarter of it."""


@dataclass(frozen=True, eq=False)
class ReadVolume:
    """A series' volume and what a reader should know of how it came about.

    Attributes:
        volume: x along the rows, y along the columns, z along the slices' normal; values in HU (CT) or the scanner's
            unit (MR); the affine is sheared where the series is.
        notes: plain sentences; they hold numbers in mm and counts, nothing that names a patient.
    """

    volume: Volume
    notes: tuple[str, ...]


def read_series(series: Series) -> ReadVolume:
    """Read the pixels of one series.

    Raises:
        CaseError: with the code of what is wrong; see `frame_values` for pixels and `plan_slices` for gaps.
            CaseHeaderIncomplete: a slice does not say where it lies.
            CaseNotVolume: fewer than two slices.
            CaseSlicesInconsistent: slices differ at one place, or do not lie on one line.
            CaseSpacingImpossible: a pixel size that is not above zero.
    """
    frames = sorted(series.frames, key=lambda frame: (str(frame.path), frame.index))
    _check_headers(frames)
    depths = depths_mm(frames)
    order = np.argsort(depths, kind="stable")
    frames, depths = [frames[i] for i in order], depths[order]
    first_of_place = np.concatenate([[True], np.diff(depths) > SAME_PLACE_MM])
    places = depths[first_of_place]
    if len(places) < 2:
        raise CaseNotVolume("one slice only; a volume has two or more")
    kept = [frame for frame, first in zip(frames, first_of_place, strict=True) if first]
    slope, origin = _line(kept, places)
    plan = plan_slices(places, [frame.thickness_mm for frame in kept])
    with quietly(), GdcmReader() as gdcm:
        stack, notes = _pixels(frames, np.cumsum(first_of_place) - 1, gdcm)
    notes += plan.notes
    lean = float(np.degrees(np.arccos(np.clip(1 / np.linalg.norm(slope), -1, 1))))
    if lean > _NOTED_SHEAR_DEG:
        notes += (f"the stack is sheared by {lean:.1f} degrees, as a tilted gantry gives; the affine says so",)
    if plan.interpolated:
        stack = resampled(stack, places, plan)
    affine = _affine_ras(kept[0], slope * plan.step_mm, origin + slope * plan.places_mm[0])
    return ReadVolume(Volume(stack.transpose(2, 1, 0), affine), notes)


def _check_headers(frames: list[Frame]) -> None:
    for frame in frames:
        lacking = [
            name
            for name, found in (
                ("ImagePositionPatient", frame.position_lps_mm),
                ("ImageOrientationPatient", frame.orientation),
                ("PixelSpacing", frame.pixel_spacing_mm),
            )
            if found is None
        ]
        if lacking:
            raise CaseHeaderIncomplete(f"{frame.path}: the header lacks {', '.join(lacking)}")
        directions = np.reshape(frame.orientation or (), (2, 3))
        if not np.allclose(directions @ directions.T, np.eye(2), atol=0.01):
            raise CaseHeaderIncomplete(f"{frame.path}: ImageOrientationPatient is not two directions at right angles")
        if min(frame.pixel_spacing_mm or (0.0,)) <= 0:
            raise CaseSpacingImpossible(f"{frame.path}: PixelSpacing should be > 0, got {frame.pixel_spacing_mm}")
    if len({frame.shape for frame in frames}) > 1:
        raise CaseSlicesInconsistent("slices of different size in one series")
    rows, columns = frames[0].shape
    if rows * columns * len(frames) > _MOST_VOXELS:
        raise CaseNotVolume(f"{rows} × {columns} × {len(frames)} voxels are more than any head scan has")


def _line(frames: list[Frame], places_mm: Matrix) -> tuple[Matrix, Matrix]:
    """The line through the slices' first pixels: mm along it per mm of depth, and its point at depth 0, in LPS."""
    positions = np.array([frame.position_lps_mm for frame in frames])
    fit = np.polynomial.polynomial.polyfit(places_mm - places_mm[0], positions, 1)
    off = np.abs(positions - (fit[0] + (places_mm - places_mm[0])[:, None] * fit[1])).max()
    lean = np.degrees(np.arccos(np.clip(1 / np.linalg.norm(fit[1]), -1, 1)))
    if off > _OFF_LINE_MM or lean > _MOST_SHEAR_DEG:
        raise CaseSlicesInconsistent(
            f"slices do not lie on one line: one is {off:.1f} mm off, the stack leans by {lean:.0f} degrees"
        )
    return fit[1], fit[0] - fit[1] * places_mm[0]


def _pixels(frames: list[Frame], slots: Matrix, gdcm: GdcmReader) -> tuple[Array, tuple[str, ...]]:
    """`(N, rows, columns)` float32 and notes. Frames with one slot must have the same pixels."""
    stack = np.empty((int(slots[-1]) + 1, *frames[0].shape), dtype=np.float32)
    filled = np.zeros(len(stack), dtype=bool)
    doubles, lossy, inverted = 0, False, False
    by_file = sorted(zip(frames, slots.astype(int).tolist(), strict=True), key=lambda pair: str(pair[0].path))
    for path, group in groupby(by_file, key=lambda pair: pair[0].path):
        dataset = open_dataset(path)
        lossy |= text(dataset, "LossyImageCompression") == "01"
        inverted |= text(dataset, "PhotometricInterpretation") == "MONOCHROME1"
        for frame, slot in group:
            values = frame_values(dataset, path, frame.index, gdcm)
            if values.shape != stack.shape[1:]:
                raise CaseSlicesInconsistent(f"{path}: {stack.shape[1:]} pixels are expected, got {values.shape}")
            if filled[slot] and not np.array_equal(stack[slot], values):
                raise CaseSlicesInconsistent(
                    f"{path}: another slice at the same place has other pixels",
                    hint="two acquisitions share one SeriesInstanceUID and no attribute tells them apart",
                )
            doubles += int(filled[slot])
            stack[slot], filled[slot] = values, True
    notes = [f"{doubles} doubled slice{'s' if doubles > 1 else ''} left out"] if doubles else []
    notes += ["pixels were compressed with loss"] if lossy else []
    notes += ["MONOCHROME1: only the display is inverted, HU are not"] if inverted else []
    return stack, tuple(notes)


def _affine_ras(frame: Frame, step_lps_mm: Matrix, origin_lps_mm: Matrix) -> Matrix:
    row, column = np.reshape(frame.orientation or (), (2, 3))
    rows_mm, columns_mm = frame.pixel_spacing_mm or (0.0, 0.0)
    lps = np.eye(4)
    lps[:3, 0], lps[:3, 1] = row * columns_mm, column * rows_mm
    lps[:3, 2], lps[:3, 3] = step_lps_mm, origin_lps_mm
    affine: Matrix = RAS_FROM_LPS @ lps
    return affine

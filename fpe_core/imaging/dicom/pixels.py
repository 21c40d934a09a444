"""The values of one frame: decompressed, in HU or the scanner's unit, air where the scanner measured nothing."""

from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from pydicom import uid
from pydicom.dataset import FileMetaDataset
from pydicom.pixels.decoders.base import get_decoder
from pydicom.pixels.utils import pixel_array

from fpe_core.errors import (
    CaseCompressionUnknown,
    CaseFileUnreadable,
    CaseHeaderIncomplete,
    CaseModalityWrong,
    CaseNotVolume,
)
from fpe_core.imaging.dicom.file import PYDICOM_ERRORS
from fpe_core.imaging.dicom.frames import functional_groups, group_item
from fpe_core.imaging.dicom.gdcm import SYNTAXES, GdcmReader
from fpe_core.imaging.dicom.values import number, text, value, whole
from fpe_core.imaging.volume import Array

AIR_HU: Final = -1000.0
_DECODE_ERRORS: Final = (*PYDICOM_ERRORS, RuntimeError, MemoryError)
"""pydicom's decoders and GDCM report damaged pixels by RuntimeError, absurd sizes by MemoryError."""
_HOUNSFIELD: Final = frozenset({"", "HU", "US"})
"""RescaleType of a CT whose values are Hounsfield units; `US`, unspecified, is what many scanners write."""


def frame_values(dataset: Any, path: Path, index: int, gdcm: GdcmReader) -> Array:
    """`(rows, columns)` float32 of one frame: HU for CT, else the scanner's own unit after its rescaling.

    Args:
        dataset: the whole file.
        path: named in errors.
        index: the frame, from 0.
        gdcm: decodes what pydicom cannot.

    Raises:
        CaseFileUnreadable: the pixels are truncated or damaged.
        CaseCompressionUnknown: nothing here reads this transfer syntax.
        CaseHeaderIncomplete: what turns stored values into HU is missing.
        CaseModalityWrong: the values are of another kind than the modality's.
        CaseNotVolume: a colour picture or a bitmap.
    """
    if "PixelData" not in dataset:
        raise CaseFileUnreadable(f"{path}: the file has no pixels; it may have been cut off")
    ct = text(dataset, "Modality").upper() == "CT"
    _check_kind(dataset, path, ct=ct)
    slope, intercept = _rescale(dataset, path, index, ct=ct)
    stored = _own_bits(dataset, _decoded(dataset, path, index, gdcm))
    values = stored.astype(np.float32) * np.float32(slope) + np.float32(intercept)
    values[_padding(dataset, stored)] = AIR_HU if ct else 0.0
    return values


def _check_kind(dataset: Any, path: Path, *, ct: bool) -> None:
    kind = text(dataset, "PhotometricInterpretation")
    if (whole(dataset, "SamplesPerPixel") or 1) != 1 or kind not in ("MONOCHROME1", "MONOCHROME2", ""):
        raise CaseNotVolume(f"{path}: a colour picture ({kind}), not a measurement")
    if whole(dataset, "BitsAllocated") not in (8, 16, 32):
        raise CaseNotVolume(f"{path}: 8, 16 or 32 bits a pixel are expected, got {whole(dataset, 'BitsAllocated')}")
    # HU mean the same however they are shown; other signal may have been turned round before it was stored.
    if kind == "MONOCHROME1" and not ct:
        raise CaseModalityWrong(
            f"{path}: MONOCHROME1, so that bright may mean little signal", hint="export the series as MONOCHROME2"
        )


def _rescale(dataset: Any, path: Path, index: int, *, ct: bool) -> tuple[float, float]:
    """Slope and intercept of one frame; they may differ from slice to slice."""
    own = group_item(*functional_groups(dataset, index), "PixelValueTransformationSequence")
    source = own if own is not None else dataset
    slope, intercept, kind = (
        number(source, "RescaleSlope"), number(source, "RescaleIntercept"), text(source, "RescaleType").upper(),
    )  # fmt: skip
    if value(dataset, "ModalityLUTSequence") is not None:
        raise CaseHeaderIncomplete(f"{path}: values go through a lookup table, a RescaleSlope is expected")
    if slope == 0 or (ct and (slope is None or intercept is None)):
        raise CaseHeaderIncomplete(
            f"{path}: RescaleSlope {slope} and RescaleIntercept {intercept} do not give HU",
            hint="export the original series; a program on the way took these attributes out",
        )
    if ct and kind not in _HOUNSFIELD:
        raise CaseModalityWrong(f"{path}: values in HU are expected, RescaleType says {kind}")
    return 1.0 if slope is None else slope, 0.0 if intercept is None else intercept


def _own_bits(dataset: Any, stored: NDArray[Any]) -> NDArray[Any]:
    """Only the BitsStored bits of each value: old scanners kept overlays in the others."""
    allocated = stored.dtype.itemsize * 8
    used = whole(dataset, "BitsStored") or allocated
    high = whole(dataset, "HighBit")
    high = used - 1 if high is None or not used - 1 <= high < allocated else high
    if not 1 <= used < allocated:
        return stored
    own: NDArray[Any] = np.right_shift(np.left_shift(stored, allocated - 1 - high), allocated - used)
    return own


def _padding(dataset: Any, stored: NDArray[Any]) -> NDArray[np.bool_]:
    """Where the scanner measured nothing (PS3.3 C.7.5.1.1.2)."""
    padding = whole(dataset, "PixelPaddingValue")
    if padding is None:
        return np.zeros(stored.shape, dtype=bool)
    limit = whole(dataset, "PixelPaddingRangeLimit")
    # Some write the value with the other signedness than the pixels: the bits are what counts.
    low, high = sorted(
        int(np.array(end).astype(stored.dtype)) for end in (padding, padding if limit is None else limit)
    )
    return np.asarray((stored >= low) & (stored <= high))


def _decoded(dataset: Any, path: Path, index: int, gdcm: GdcmReader) -> NDArray[Any]:
    syntax = _transfer_syntax(dataset)
    try:
        available = get_decoder(syntax).is_available
    except NotImplementedError:
        available = False
    if not available and syntax not in SYNTAXES:
        raise CaseCompressionUnknown(
            f"{path}: compressed as {syntax.name}, which nothing here reads",
            hint="export the series uncompressed (Explicit VR Little Endian)",
        )
    try:
        pixels = pixel_array(dataset, index=index) if available else gdcm.pixels(dataset, syntax, index)
    except _DECODE_ERRORS as error:
        raise CaseFileUnreadable(f"{path}: pixels are truncated or damaged ({type(error).__name__})") from error
    shape = (whole(dataset, "Rows"), whole(dataset, "Columns"))
    if pixels.shape != shape:
        raise CaseFileUnreadable(f"{path}: {shape} pixels are announced, {pixels.shape} were found")
    return pixels


def _transfer_syntax(dataset: Any) -> uid.UID:
    """How the file is encoded; a file without meta header is what pydicom found it to be."""
    named = text(getattr(dataset, "file_meta", {}), "TransferSyntaxUID")
    if named:
        return uid.UID(named)
    implicit, little = dataset.original_encoding
    guess = uid.ExplicitVRBigEndian if not little else (
        uid.ImplicitVRLittleEndian if implicit else uid.ExplicitVRLittleEndian)  # fmt: skip
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = guess
    return guess

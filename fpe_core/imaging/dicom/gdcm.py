"""Compressed pixels by ITK's GDCM, in a process of its own.

Damaged data can crash GDCM or hold it for ever, and its JPEG library writes to the terminal. In a child none of this
reaches the import: the child dies, the series is refused, the next one gets a new child.
"""

import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from types import TracebackType
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from pydicom import dcmwrite, uid
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate, get_frame

from fpe_core.imaging.dicom.values import whole

SYNTAXES: Final = frozenset(
    {
        uid.JPEGBaseline8Bit, uid.JPEGExtended12Bit, uid.JPEGLossless, uid.JPEGLosslessSV1, uid.JPEGLSLossless,
        uid.JPEGLSNearLossless, uid.JPEG2000Lossless, uid.JPEG2000, uid.RLELossless,
    }
)  # fmt: skip
_SECONDARY_CAPTURE: Final = "1.2.840.10008.5.1.4.1.1.7"
_DEADLINE_S: Final = 60.0
"""For one frame, which takes milliseconds; the first one also waits for the child to start."""


class GdcmReader:
    """Decodes frames one after the other; the child starts with the first of them and ends with the `with` block."""

    def __init__(self) -> None:
        self._child: subprocess.Popen[str] | None = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    def __enter__(self) -> "GdcmReader":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._child is not None:
            self._child.kill()
            self._child.communicate()
        if self._folder is not None:
            self._folder.cleanup()

    def pixels(self, dataset: Any, syntax: uid.UID, index: int) -> NDArray[Any]:
        """`(rows, columns)` stored values of one compressed frame.

        The child is given the pixels and nothing else: no patient, no scale that it could apply.

        Raises:
            RuntimeError: GDCM cannot decode them, crashed, or took too long.
        """
        if self._child is None or self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="fpe-frame-")
            self._child = subprocess.Popen(
                [sys.executable, "-m", __name__], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL, text=True,
            )  # fmt: skip
        path = Path(self._folder.name) / "frame.dcm"
        dcmwrite(path, _bare(dataset, syntax, index), enforce_file_format=True)
        if self._ask(self._child, path) != "done":
            raise RuntimeError("GDCM could not decode the frame")
        pixels: NDArray[Any] = np.load(path.with_suffix(".npy"))
        return pixels[0] if pixels.ndim == 3 else pixels

    @staticmethod
    def _ask(child: "subprocess.Popen[str]", path: Path) -> str:
        if child.stdin is None or child.stdout is None:
            return ""
        overdue = threading.Timer(_DEADLINE_S, child.kill)
        overdue.start()
        try:
            child.stdin.write(f"{path}\n")
            child.stdin.flush()
            return child.stdout.readline().strip()
        except BrokenPipeError:
            return ""
        finally:
            overdue.cancel()


def _bare(dataset: Any, syntax: uid.UID, index: int) -> Dataset:
    bare = Dataset()
    bare.file_meta = FileMetaDataset()
    bare.file_meta.TransferSyntaxUID = syntax
    bare.file_meta.MediaStorageSOPClassUID = bare.SOPClassUID = uid.UID(_SECONDARY_CAPTURE)
    bare.file_meta.MediaStorageSOPInstanceUID = bare.SOPInstanceUID = uid.UID("2.25.1")
    for name in ("Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation"):
        setattr(bare, name, int(dataset[name].value))
    bare.SamplesPerPixel, bare.PhotometricInterpretation = 1, "MONOCHROME2"
    frame = get_frame(dataset.PixelData, index, number_of_frames=whole(dataset, "NumberOfFrames") or 1)
    bare.add_new("PixelData", "OB", encapsulate([frame]))
    bare["PixelData"].is_undefined_length = True
    return bare


def main() -> None:
    """The child: a path on each line of standard input, one word on standard output for each."""
    from fpe_core.imaging.itk import sitk

    for line in sys.stdin:
        path = Path(line.rstrip("\n"))
        try:
            image = sitk.ReadImage(str(path), imageIO="GDCMImageIO")
        except RuntimeError:
            print("failed", flush=True)
            continue
        np.save(path.with_suffix(".npy"), sitk.GetArrayFromImage(image))
        print("done", flush=True)


if __name__ == "__main__":
    main()

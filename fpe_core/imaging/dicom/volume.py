"""One series as one volume with its true geometry."""

from dataclasses import dataclass

from fpe_core.imaging.volume import Volume


@dataclass(frozen=True, eq=False)
class ReadVolume:
    """A series' volume and what a reader should know of how it came about.

    Attributes:
        volume: values in HU (CT) or the scanner's unit (MR); the affine is sheared where the series is.
        notes: plain sentences; they hold numbers in mm and counts, nothing that names a patient.
    """

    volume: Volume
    notes: tuple[str, ...]

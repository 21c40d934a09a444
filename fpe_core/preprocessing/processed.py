"""A case ready for the network, and the one file that holds it."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save as safetensors_bytes

from fpe_core.config.base import FrozenModel
from fpe_core.errors import CaseFileUnreadable
from fpe_core.files import write_atomic
from fpe_core.imaging.volume import Array, Matrix

_METADATA_KEY = "provenance"


class Provenance(FrozenModel):
    """Where the voxels come from. Holds no path, no date and no patient's name."""

    recipe: str
    """Name of the recipe."""
    recipe_fingerprint: str
    """`PreprocessingRecipe.fingerprint()`."""
    inputs: dict[str, str]
    """sha256 of the input file of each sequence."""
    versions: dict[str, str]
    """Versions of the libraries that shape the voxels."""
    history: tuple[dict[str, float | int | str | list[float]], ...]
    """Every step in order: its name, the sequence, its parameters and what it found."""
    qc: dict[str, float]
    """Quality numbers, see `docs/imaging.md`."""


@dataclass(frozen=True, eq=False)
class ProcessedCase:
    """All sequences of one case on the recipe's grid in MNI space.

    The axes of every array are z from foot to head, h from anterior to posterior, w from the patient's right to the
    left: drawn with row 0 on top, a slice is in radiological convention.

    Attributes:
        volumes: per sequence `(Z, H, W)` float32. CT: window scaled to 0-1. MR: z-score units. 0 outside the brain.
        mask: `(Z, H, W)` uint8, 1 in the brain.
        affine_ras: `(4, 4)` float64, (w, h, z, 1) indices to MNI RAS+ mm.
        mni_from_native: per sequence `(4, 4)` float64, native RAS+ mm to MNI RAS+ mm; its inverse goes back.
        provenance: inputs, recipe, versions, steps, quality.
        seconds: time per step; not written to the file, so that the same scans give the same bytes.
        unmasked: per sequence `(Z, H, W)` float32 with what lies outside the brain, for the picture; not written.
    """

    volumes: dict[str, Array]
    mask: NDArray[np.uint8]
    affine_ras: Matrix
    mni_from_native: dict[str, Matrix]
    provenance: Provenance
    seconds: dict[str, float] = field(default_factory=dict)
    unmasked: dict[str, Array] = field(default_factory=dict)

    def to_bytes(self) -> bytes:
        """The file's content (safetensors; provenance as JSON in its metadata)."""
        tensors: dict[str, NDArray[np.generic]] = {"mask": self.mask, "affine_ras": self.affine_ras}
        tensors |= {f"volume/{name}": volume for name, volume in self.volumes.items()}
        tensors |= {f"mni_from_native/{name}": matrix for name, matrix in self.mni_from_native.items()}
        arrays = {name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()}
        return bytes(safetensors_bytes(arrays, metadata={_METADATA_KEY: self.provenance.model_dump_json()}))

    def save(self, path: Path) -> None:
        """Write the file; it is there in full or not at all."""
        write_private(path, self.to_bytes())

    @classmethod
    def load(cls, path: Path) -> "ProcessedCase":
        """Read what `save` wrote.

        Raises:
            CaseFileUnreadable: damaged, or not such a file.
        """
        try:
            with safe_open(path, framework="np") as file:
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
                provenance = Provenance.model_validate_json(file.metadata()[_METADATA_KEY])
            return cls(
                volumes=_under("volume/", tensors),
                mask=tensors["mask"],
                affine_ras=tensors["affine_ras"],
                mni_from_native=_under("mni_from_native/", tensors),
                provenance=provenance,
            )
        except (SafetensorError, OSError, KeyError, TypeError, ValidationError) as error:
            raise CaseFileUnreadable(f"{path}: not a preprocessed case ({type(error).__name__})") from error


def load_volumes(path: Path, sequences: Iterable[str]) -> dict[str, Array]:
    """Some of a case's volumes, `(Z, H, W)` float32 each; nothing else of the file is read.

    Raises:
        CaseFileUnreadable: damaged, not such a file, or a sequence is not in it.
    """
    try:
        with safe_open(path, framework="np") as file:
            return {name: file.get_tensor(f"volume/{name}") for name in dict.fromkeys(sequences)}
    except (SafetensorError, OSError) as error:
        raise CaseFileUnreadable(f"{path}: expected volumes of {', '.join(sequences)} ({error})") from error


def is_intact(path: Path) -> bool:
    """Whether the file is there with its whole length; reads the header only."""
    try:
        with safe_open(path, framework="np") as file:
            return _METADATA_KEY in (file.metadata() or {})
    except (SafetensorError, OSError):
        return False


def write_private(path: Path, content: bytes) -> None:
    """`write_atomic`, readable by the owner only: everything made from scans is a patient's. Makes the folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, content, mode=0o600)


def _under(prefix: str, tensors: dict[str, NDArray[np.generic]]) -> dict[str, NDArray]:  # type: ignore[type-arg]
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}

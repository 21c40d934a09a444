"""One three-dimensional image and where it lies."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
Mask = NDArray[np.bool_]
Matrix = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Volume:
    """An image as a NIfTI file has it.

    Attributes:
        data_xyz: `(X, Y, Z)` float32, in the file's unit.
        affine_ras: `(4, 4)` float64, voxel index (x, y, z, 1) to RAS+ mm.
    """

    data_xyz: Array
    affine_ras: Matrix

    @property
    def spacing_mm(self) -> Matrix:
        """`(3,)` voxel size along x, y and z, in mm."""
        size: Matrix = np.linalg.norm(self.affine_ras[:3, :3], axis=0)
        return size

    @property
    def voxel_ml(self) -> float:
        """Volume of one voxel, in ml."""
        return float(abs(np.linalg.det(self.affine_ras[:3, :3]))) / 1000.0

    @property
    def extent_mm(self) -> Matrix:
        """`(3,)` size of the field of view along x, y and z, in mm."""
        size: Matrix = self.spacing_mm * np.array(self.data_xyz.shape)
        return size

    def with_data(self, data_xyz: Array) -> "Volume":
        """The same place with other values."""
        return Volume(np.asarray(data_xyz, dtype=np.float32), self.affine_ras)

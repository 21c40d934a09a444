"""Smooth random functions of space as sums of separable cosines: cheap on grids, exact at single points."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Float32 = NDArray[np.float32]
Axes = tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]


@dataclass(frozen=True)
class SmoothField:
    """A random function of a place in mm with unit standard deviation.

    Attributes:
        coefficients: `(components, K, K, K)`.
        phases: `(3, K)`, one phase for each axis and frequency.
        length_mm: half a period of the highest frequency.
    """

    coefficients: NDArray[np.float64]
    phases: NDArray[np.float64]
    length_mm: float

    @classmethod
    def draw(cls, rng: np.random.Generator, *, components: int, length_mm: float) -> "SmoothField":
        """A new random function whose finest detail has about `length_mm`."""
        size = 4
        coefficients = rng.standard_normal((components, size, size, size))
        coefficients *= np.sqrt(8 / size**3)
        return cls(coefficients, rng.uniform(0, 2 * np.pi, (3, size)), length_mm)

    def on_grid(self, axes: Axes) -> Float32:
        """`(components, X, Y, Z)` float32 on the grid that three coordinate vectors in mm span."""
        bases = [self._basis(axis, values).astype(np.float32) for axis, values in enumerate(axes)]
        weights = self.coefficients.astype(np.float32)
        return np.asarray(np.einsum("cijk,ix,jy,kz->cxyz", weights, *bases, optimize="optimal"), dtype=np.float32)

    def at(self, points_mm: NDArray[np.float64]) -> NDArray[np.float64]:
        """`(N, components)` at `(N, 3)` points in mm."""
        bases = [self._basis(axis, points_mm[:, axis]) for axis in range(3)]
        return np.asarray(np.einsum("cijk,in,jn,kn->nc", self.coefficients, *bases))

    def _basis(self, axis: int, values_mm: NDArray[np.float64]) -> NDArray[np.float64]:
        size = self.phases.shape[1]
        frequencies = np.pi / self.length_mm * (np.arange(size) + 0.5) / size
        return np.asarray(np.cos(np.outer(frequencies, values_mm) + self.phases[axis][:, None]))

"""How much memory a case takes, so that no more are worked on side by side than fit.

The kernel ends a process that takes too much, and a hospital's workstation has other things to do: a case waits until
there is room for it. One that is larger than all the room is worked on alone.
"""

import os
from collections.abc import Iterable
from math import prod
from pathlib import Path

from fpe_core.config.recipe import PreprocessingRecipe

_MIB = 2**20
_WORKER_BYTES = 640 * _MIB
"""A worker with its libraries, the template and the small images that a registration works on."""
_BYTES_PER_VOXEL = 10
"""Of the largest image of a case: its own float32 voxels, and what the steps hold beside them at the worst moment."""
_BYTES_PER_GRID_VOXEL = 32
"""Of the recipe's grid: every sequence with and without its surroundings, and the file's bytes."""
_BRAIN_BOX_MM3 = 4.2e6
_BYTES_PER_VESSEL_VOXEL = 100
"""Of the box around the brain in which arteries are searched for, at that step's own spacing; the scan as read is not
at its worst moment then."""
_USABLE_SHARE = 0.8


def case_bytes(paths: Iterable[Path], recipe: PreprocessingRecipe) -> int:
    """What a worker takes at most for one case, from its images' headers; an unreadable one counts as nothing.

    1.1 to 1.5 times the peaks of phantoms with images of 1.5 to 84 million voxels.
    """
    scan = _BYTES_PER_VOXEL * max((_num_voxels(path) for path in paths), default=0)
    vessels = _BYTES_PER_VESSEL_VOXEL * _BRAIN_BOX_MM3 / recipe.vessels.spacing_mm**3 if recipe.vessels else 0.0
    return _WORKER_BYTES + int(max(scan, vessels)) + _BYTES_PER_GRID_VOXEL * prod(recipe.grid.shape_zyx)


def room_bytes() -> int:
    """Memory that cases may take together: 80 % of what is free, within the limit of a container."""
    free = [_free_on_machine(), *_free_in_container()]
    return int(_USABLE_SHARE * min(free))


def _num_voxels(path: Path) -> int:
    from fpe_core.errors import CaseError
    from fpe_core.imaging.nifti import read_shape

    try:
        return prod(read_shape(path))
    except CaseError:
        return 0


def _free_on_machine() -> int:
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2  # a system without it: half of all
    kib = next(line.split()[1] for line in lines if line.startswith("MemAvailable"))
    return int(kib) * 1024


def _free_in_container(folder: Path = Path("/sys/fs/cgroup")) -> list[int]:
    """What the container's limit leaves; nothing where there is none."""
    try:
        limit, used = ((folder / name).read_text().strip() for name in ("memory.max", "memory.current"))
        # Cached files count as used, and go when memory is asked for.
        cached = next(line for line in (folder / "memory.stat").read_text().splitlines() if line.startswith("file "))
    except (OSError, StopIteration):
        return []
    return [] if limit == "max" else [int(limit) - int(used) + int(cached.split()[1])]

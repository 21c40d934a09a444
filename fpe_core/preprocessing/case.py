"""One case: files in, network-ready volumes out."""

from pathlib import Path

import numpy as np

from fpe_core.config.recipe import PreprocessingRecipe
from fpe_core.errors import CaseSequenceMissing
from fpe_core.imaging.geometry import grid_affine_ras
from fpe_core.imaging.nifti import file_sha256, read_volume
from fpe_core.imaging.volume import Volume
from fpe_core.preprocessing.files import SEQUENCES_OF, CaseFiles
from fpe_core.preprocessing.history import History
from fpe_core.preprocessing.pipeline_ct import run_ct
from fpe_core.preprocessing.pipeline_mr import run_mr
from fpe_core.preprocessing.processed import ProcessedCase, Provenance
from fpe_core.preprocessing.quality import library_versions

__all__ = ["CaseFiles", "preprocess_case"]


def preprocess_case(files: CaseFiles, recipe: PreprocessingRecipe) -> ProcessedCase:
    """Run the recipe's pipeline on one case. Sequences of the other modality are left alone.

    The same files and recipe give the same arrays every time on the same libraries: fixed seed, one thread.

    Raises:
        CaseError: the reason why the case cannot be used.
    """
    paths = {name: path for name, path in files.images.items() if name in SEQUENCES_OF[recipe.modality]}
    if not paths:
        raise CaseSequenceMissing(f"no image of the case is for {recipe.modality}, got {sorted(files.images)}")
    history = History()
    images = _read(paths, history)
    inputs = {name: file_sha256(path) for name, path in sorted(paths.items())}
    output = (run_mr if recipe.modality == "mr" else run_ct)(images, recipe, history)
    return ProcessedCase(
        volumes=output.volumes,
        mask=output.mask_zyx.astype(np.uint8),
        affine_ras=grid_affine_ras(recipe.grid),
        mni_from_native=output.mni_from_native,
        provenance=Provenance(
            recipe=recipe.name,
            recipe_fingerprint=recipe.fingerprint(),
            inputs=inputs,
            versions=library_versions(),
            history=tuple(history.steps),
            qc=output.qc,
        ),
        seconds=history.seconds,
        unmasked=output.unmasked,
    )


def _read(paths: dict[str, Path], history: History) -> dict[str, Volume]:
    images = {}
    for name, path in sorted(paths.items()):
        with history.step("read", name):
            images[name] = read_volume(path)
    return images

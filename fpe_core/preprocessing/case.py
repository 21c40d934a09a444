"""One case: files in, network-ready volumes out.

The pipelines are imported when the first case is worked on, so that a process which only lists cases stays light.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fpe_core.config.recipe import PreprocessingRecipe
from fpe_core.errors import CaseSequenceMissing
from fpe_core.preprocessing.history import History
from fpe_core.preprocessing.processed import ProcessedCase, Provenance

if TYPE_CHECKING:
    from fpe_core.imaging.volume import Volume

SEQUENCES_OF = {"ct": ("ncct", "cta", "vessels"), "mr": ("dwi", "adc", "flair", "b0", "b1000")}
"""Names that a recipe of each modality reads. b0 and b1000 stand in for a DWI or ADC that was not exported; vessels is
a site's own mask, read where the recipe has vessels."""


@dataclass(frozen=True)
class CaseFiles:
    """The images of one case.

    Attributes:
        case_id: the site's own pseudonym; it stays at the site.
        images: NIfTI path per sequence, among ncct, cta, vessels, dwi, adc, flair, b0, b1000.
    """

    case_id: str
    images: dict[str, Path]

    def for_recipe(self, recipe: PreprocessingRecipe) -> dict[str, Path]:
        """The images that this recipe reads, in alphabetical order.

        Raises:
            CaseSequenceMissing: there is none.
        """
        read = set(SEQUENCES_OF[recipe.modality]) - (set() if recipe.vessels else {"vessels"})
        paths = {name: self.images[name] for name in sorted(self.images) if name in read}
        if not paths:
            raise CaseSequenceMissing(f"no image of the case is for {recipe.modality}, got {sorted(self.images)}")
        return paths


def preprocess_case(files: CaseFiles, recipe: PreprocessingRecipe) -> ProcessedCase:
    """Run the recipe's pipeline on one case. Sequences of the other modality are left alone.

    The same files and recipe give the same arrays every time on the same libraries: fixed seed, one thread.

    Raises:
        CaseError: the reason why the case cannot be used.
    """
    from fpe_core.imaging.content import file_sha256
    from fpe_core.imaging.geometry import grid_affine_ras
    from fpe_core.preprocessing.glance import glance
    from fpe_core.preprocessing.measure import measure
    from fpe_core.preprocessing.pipeline_ct import run_ct
    from fpe_core.preprocessing.pipeline_mr import run_mr
    from fpe_core.preprocessing.versions import library_versions

    history = History()
    paths = files.for_recipe(recipe)
    images = _read(paths, history)
    with history.step("glance", "all"):
        glances = {name: seen for name, image in images.items() if (seen := glance(image)) is not None}
    output = (run_mr if recipe.modality == "mr" else run_ct)(images, recipe, history)
    with history.step("measure", "all"):
        measured = measure(glances, output, recipe.grid)
    return ProcessedCase(
        volumes=output.volumes,
        mask=output.mask_zyx.astype(np.uint8),
        affine_ras=grid_affine_ras(recipe.grid),
        mni_from_native=output.mni_from_native,
        provenance=Provenance(
            recipe=recipe.name,
            recipe_fingerprint=recipe.fingerprint(),
            inputs={name: file_sha256(path) for name, path in paths.items()},
            versions=library_versions(),
            history=tuple(history.steps),
            qc=output.qc | measured,
        ),
        seconds=history.seconds,
        unmasked=output.unmasked,
    )


def _read(paths: dict[str, Path], history: History) -> "dict[str, Volume]":
    from fpe_core.imaging.nifti import read_volume

    images = {}
    for name, path in paths.items():
        with history.step("read", name):
            images[name] = read_volume(path)
    return images

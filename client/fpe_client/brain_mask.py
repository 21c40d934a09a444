"""`fpe-client brain-mask`: the brain mask of one scan, on the scan's own voxels."""

from pathlib import Path


def write_brain_mask(scan: Path, sequence: str, recipe_name: str | None, out: Path) -> dict[str, object]:
    """Write the mask as NIfTI, 0 and 1, with the scan's own place.

    Args:
        scan: NIfTI file.
        sequence: ncct, cta, dwi, b0, flair or adc.
        recipe_name: None for the MNT-DL recipe of the sequence's modality.
        out: where the mask goes; .nii or .nii.gz.

    Returns:
        The file, its volume in ml, and the recipe.

    Raises:
        CaseError: the reason why the scan cannot be used.
        ConfigValueInvalid: no such recipe, or one of the other modality.
    """
    from fpe_core.config.recipe import recipe_named
    from fpe_core.errors import ConfigValueInvalid
    from fpe_core.imaging.nifti import mask_bytes, read_volume
    from fpe_core.preprocessing.case import SEQUENCES_OF
    from fpe_core.preprocessing.native_mask import native_brain_mask
    from fpe_core.preprocessing.processed import write_private

    modality = "ct" if sequence in SEQUENCES_OF["ct"] else "mr"
    recipe = recipe_named(recipe_name or f"mnt-dl-{modality}")
    if recipe.modality != modality:
        raise ConfigValueInvalid(f"{recipe.name} is for {recipe.modality}, and {sequence} is {modality}")
    volume = read_volume(scan)
    mask = native_brain_mask(volume, sequence, recipe)
    write_private(out, mask_bytes(mask, volume.affine_ras, compressed=out.suffix == ".gz"))
    return {"mask": out, "recipe": recipe.name, "volume_ml": round(float(mask.sum()) * volume.voxel_ml, 1)}

"""One picture per case, on which a person sees in a few seconds whether it landed where it should."""

from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

from fpe_core.config.recipe import Grid, Modality
from fpe_core.imaging.template import load_template
from fpe_core.imaging.volume import Array, Mask
from fpe_core.preprocessing.gate import judge
from fpe_core.preprocessing.processed import ProcessedCase, write_private
from fpe_core.preprocessing.quality import template_on

Rgb = NDArray[np.uint8]

_TILE_PX = 150
_HEADER_PX = 58
_AXIAL_POSITIONS = (0.16, 0.29, 0.42, 0.53, 0.64, 0.77)
_MASK_COLOUR = (0, 220, 90)
_TEMPLATE_COLOUR = (255, 120, 30)
_EDGE_COLOUR = (70, 70, 70)
_TEMPLATE_SPACING_MM = 3
_CSF_T1 = 0.42
_TITLE = {
    "mask_native_ml": "mask {:.0f} ml",
    "template_dice": "template Dice {:.2f}",
    "rotation_deg": "rotation {:.0f}°",
    "volume_scale": "scale {:.2f}",
}
_VERDICTS = {"pass": "passes: every number is as usual", "review": "TO REVIEW:", "fail": "FAILS:"}
_VERDICT_COLOURS = {"pass": (150, 230, 180), "review": (255, 200, 90), "fail": (255, 130, 110)}
_MOST_NUMBERS = 5
_CONVENTION = "radiological convention: the patient's right (R) is on the left; head on top"


def write_qc_picture(case: ProcessedCase, path: Path) -> None:
    """Write a PNG: one row per sequence and one of the template, six axial slices, a coronal and a sagittal one.

    Green is the outline of the case's brain mask, orange that of the template's brain and ventricles; the end of the
    grid is no outline. Above them stands what the gate says, with every number that is not as usual. A case fresh from
    the pipeline is shown with what lies outside its mask; one read from its file has only what the network sees.
    """
    grid = _grid_of(case)
    t1, brain = template_on(grid, load_template(_TEMPLATE_SPACING_MM))
    inside = case.mask.astype(bool)
    outlines = [(inside, _MASK_COLOUR), (_anatomy(t1, brain), _TEMPLATE_COLOUR)]
    rows = [_row(_grey(_shown(case, name), inside), outlines, grid) for name in case.volumes]
    rows.append(_row(_grey(t1, brain), outlines[:1], grid))
    picture = np.concatenate([np.zeros((_HEADER_PX, rows[0].shape[1], 3), np.uint8), *rows])
    image = Image.fromarray(picture)
    _write_labels(image, case)
    content = BytesIO()
    image.save(content, format="PNG", compress_level=3)
    write_private(path, content.getvalue())


def _grid_of(case: ProcessedCase) -> Grid:
    """The grid back from shape and affine."""
    spacing = [abs(float(case.affine_ras[axis, axis])) for axis in (2, 1, 0)]
    shape = case.mask.shape
    middle = case.affine_ras @ np.array([(shape[2] - 1) / 2, (shape[1] - 1) / 2, (shape[0] - 1) / 2, 1.0])
    return Grid(
        shape_zyx=(shape[0], shape[1], shape[2]),
        spacing_zyx_mm=(spacing[0], spacing[1], spacing[2]),
        centre_ras_mm=(float(middle[0]), float(middle[1]), float(middle[2])),
    )


def _shown(case: ProcessedCase, name: str) -> Array:
    return case.unmasked.get(name, np.where(case.mask > 0, case.volumes[name], np.float32(-np.inf)))


def _anatomy(t1: Array, brain: Mask) -> Mask:
    """The template's brain without its inner CSF: its outline follows cortex and ventricles."""
    deep = ndimage.binary_erosion(brain, np.ones((1, 3, 3), bool), iterations=max(2, brain.shape[1] // 20))
    anatomy: Mask = brain & ~((t1 < _CSF_T1) & deep)
    return anatomy


def _grey(data: Array, inside: Mask) -> Rgb:
    """`(Z, H, W)` uint8, black to white between the 1st and 99.5th percentile inside the brain; an image that is the
    same almost everywhere, as a map of vessels is, between its least and its largest value.
    """
    finite = data[inside & np.isfinite(data)]
    low, high = np.percentile(finite, (1, 99.5)) if finite.size else (0.0, 1.0)
    if not high > low and finite.size:
        low, high = float(finite.min()), float(finite.max())
    low -= 0.15 * (high - low)
    return (np.clip((data - low) / max(high - low, 1e-6), 0, 1) * 255).astype(np.uint8)


def _row(grey: Rgb, outlines: list[tuple[Mask, tuple[int, int, int]]], grid: Grid) -> Rgb:
    tiles = []
    painted = [list(_views(mask.astype(np.uint8) * 255, grid)) for mask, _ in outlines]
    inner = [ndimage.binary_erosion(view > 0) for view in _views(np.full(grey.shape, 255, np.uint8), grid)]
    for position, view in enumerate(_views(grey, grid)):
        tile = np.repeat(view[..., None], 3, axis=2)
        for (_, colour), views in zip(outlines, painted, strict=True):
            tile[_outline(views[position] > 127) & inner[position]] = colour
        tile[:, -1] = _EDGE_COLOUR
        tiles.append(tile)
    return np.concatenate(tiles, axis=1)


def _views(volume: Rgb, grid: Grid) -> Iterator[Rgb]:
    """Axial slices from below upwards, then the middle coronal and a sagittal slice, head on top, each on one tile."""
    depth, height, width = volume.shape
    mm = grid.spacing_zyx_mm
    for share in _AXIAL_POSITIONS:
        yield _tile(volume[int(share * depth)], mm[1], mm[2])
    yield _tile(volume[::-1, height // 2], mm[0], mm[2])
    yield _tile(volume[::-1, :, width // 2], mm[0], mm[1])


def _tile(plane: Rgb, row_mm: float, column_mm: float) -> Rgb:
    """A square picture of the plane with square pixels."""
    height_mm, width_mm = plane.shape[0] * row_mm, plane.shape[1] * column_mm
    scale = _TILE_PX / max(height_mm, width_mm)
    size = (max(1, round(width_mm * scale)), max(1, round(height_mm * scale)))
    picture = np.asarray(Image.fromarray(np.ascontiguousarray(plane)).resize(size, Image.Resampling.BILINEAR))
    canvas = np.zeros((_TILE_PX, _TILE_PX), np.uint8)
    top, left = (_TILE_PX - size[1]) // 2, (_TILE_PX - size[0]) // 2
    canvas[top : top + size[1], left : left + size[0]] = picture
    return canvas


def _outline(mask: Mask) -> Mask:
    inner = mask.copy()
    inner[1:-1, 1:-1] &= mask[:-2, 1:-1] & mask[2:, 1:-1] & mask[1:-1, :-2] & mask[1:-1, 2:]
    return mask & ~inner


def _title(case: ProcessedCase) -> str:
    """The numbers that a person looks for first; those that a case does not have are left out."""
    parts = [case.provenance.recipe]
    for name, words in _TITLE.items():
        if name in case.provenance.qc:
            parts.append(words.format(case.provenance.qc[name]))
    return "    ".join(parts)


def _verdict(case: ProcessedCase) -> tuple[str, tuple[int, int, int]]:
    """What the gate says, with every number that is not as usual, and its colour."""
    modality: Modality = "ct" if set(case.volumes) & {"ncct", "cta"} else "mr"
    verdict = judge(case.provenance.qc, modality)
    flagged = [one for one in verdict.numbers if one.status != "pass"]
    said = [f"{one.limit.code} {one.name} {one.value:.3g}{' (!)' if one.status == 'fail' else ''}" for one in flagged]
    more = f"  and {len(said) - _MOST_NUMBERS} more" if len(said) > _MOST_NUMBERS else ""
    return f"{_VERDICTS[verdict.status]}   {'   '.join(said[:_MOST_NUMBERS])}{more}", _VERDICT_COLOURS[verdict.status]


def _write_labels(image: Image.Image, case: ProcessedCase) -> None:
    draw = ImageDraw.Draw(image)
    font = ImageFont.load_default(size=13)
    draw.text((6, 4), _title(case), fill="white", font=font)
    words, colour = _verdict(case)
    draw.text((6, 22), words, fill=colour, font=font)
    draw.text((6, 40), "brain mask", fill=_MASK_COLOUR, font=font)
    draw.text((90, 40), "MNI152 template: brain and ventricles", fill=_TEMPLATE_COLOUR, font=font)
    draw.text((360, 40), _CONVENTION, fill="white", font=font)
    edged: dict[str, Any] = {"font": font, "stroke_width": 1, "stroke_fill": "black"}
    for row, name in enumerate([*case.volumes, "template"]):
        top = _HEADER_PX + row * _TILE_PX
        draw.text((4, top + 2), name.upper(), fill="yellow", **edged)
        for tile in range(len(_AXIAL_POSITIONS) + 1):
            draw.text((tile * _TILE_PX + 2, top + _TILE_PX // 2 - 8), "R", fill="yellow", **edged)
            draw.text(((tile + 1) * _TILE_PX - 12, top + _TILE_PX // 2 - 8), "L", fill="yellow", **edged)
        last = (len(_AXIAL_POSITIONS) + 1) * _TILE_PX
        draw.text((last + 2, top + _TILE_PX // 2 - 8), "A", fill="yellow", **edged)
        draw.text((last + _TILE_PX - 12, top + _TILE_PX // 2 - 8), "P", fill="yellow", **edged)

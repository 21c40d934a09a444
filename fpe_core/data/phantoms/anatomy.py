"""One patient's head: the template deformed, with the age's atrophy and an acute core."""

from dataclasses import dataclass
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from fpe_core.data.phantoms.smooth import Float32, SmoothField
from fpe_core.data.phantoms.template import FIRST_MM, SHAPE, STEP_MM, Template, eyes_mm, grid_axes, load_template

Real = TypeVar("Real", Float32, NDArray[np.float64])
VOXEL_ML: Final = float(np.prod(STEP_MM)) / 1000
_DEFORMATION_MM: Final = 2.5
# Centre and radii in MNI mm of the tissue that is lost first, for the occluded vessel on the right (x > 0).
_TERRITORY: Final = {
    "m1": ((40.0, -4.0, 14.0), (24.0, 42.0, 36.0)),
    "m2_superior": ((46.0, 8.0, 30.0), (24.0, 34.0, 28.0)),
    "m2_inferior": ((48.0, -36.0, 12.0), (22.0, 34.0, 28.0)),
    "ica": ((34.0, 4.0, 16.0), (28.0, 52.0, 40.0)),
}


@dataclass(frozen=True)
class Warp:
    """Where a place of the patient's head lies in the template: scaled, then smoothly displaced.

    Attributes:
        scale: `(3,)` head size along x, y and z; 1 is the template's.
        field: displacement before it is bounded and scaled to mm.
    """

    scale: NDArray[np.float64]
    field: SmoothField

    @classmethod
    def draw(cls, rng: np.random.Generator) -> "Warp":
        """Head size ±8 %, mostly the same along all axes."""
        size = np.clip(1 + 0.03 * rng.standard_normal(), 0.92, 1.08)
        scale = np.clip(size + 0.015 * rng.standard_normal(3), 0.9, 1.1)
        return cls(scale, SmoothField.draw(rng, components=3, length_mm=60.0))

    def template_coordinates(self) -> Float32:
        """`(3, X, Y, Z)` template place in mm of every voxel of the patient's grid."""
        axes = grid_axes()
        places = _displacement_mm(self.field.on_grid(axes))
        for axis, values in enumerate(axes):
            shape = [1, 1, 1]
            shape[axis] = -1
            places[axis] += (values / self.scale[axis]).astype(np.float32).reshape(shape)
        return places

    def to_patient(self, template_mm: NDArray[np.float64]) -> NDArray[np.float64]:
        """`(N, 3)` patient places in mm of `(N, 3)` template places, by fixed-point iteration."""
        patient = template_mm * self.scale
        for _ in range(6):
            patient = (template_mm - _displacement_mm(self.field.at(patient))) * self.scale
        return np.asarray(patient)


@dataclass(frozen=True)
class Head:
    """Tissue fractions of one patient on the template grid's axes, float32, and the warp that made them.

    Attributes:
        grey, white, csf, bone, soft, fat, eyes: fraction of each voxel, 0 to 1; what remains outside the skin is air.
        lesion: white-matter hyperintensity, 0 to 1 on top of the tissue.
        core: acute core, 0 to 1 on top of the tissue.
        core_ml: volume of the core, in ml.
        warp: template place of every patient place.
    """

    grey: Float32
    white: Float32
    csf: Float32
    bone: Float32
    soft: Float32
    fat: Float32
    eyes: Float32
    lesion: Float32
    core: Float32
    core_ml: float
    warp: Warp


def build_head(
    rng: np.random.Generator,
    *,
    age_years: float,
    core_ml: float,
    side: str,
    site: str,
    patchiness: float,
    warp: Warp | None = None,
) -> Head:
    """Draw a head.

    Args:
        rng: source of everything that no argument decides.
        age_years: widens ventricles and sulci and adds white-matter lesions.
        core_ml: volume of the acute core.
        side: left or right, in the patient.
        site: m1, m2_superior, m2_inferior or ica: where the core lies.
        patchiness: 0 for a core in one piece, 1 for islands.
        warp: size and shape of the head; None to draw them.
    """
    template, warp = load_template(), warp or Warp.draw(rng)
    places = warp.template_coordinates()
    index = (places - _column(FIRST_MM)) / _column(STEP_MM)
    grey, white, outside, inside, ventricle = _sampled(template, index)
    grey, white = _atrophied(grey, white, ventricle, rng, age_years)
    tissue = grey + white
    skin = np.clip(0.5 + inside / 2, 0, 1).astype(np.float32)
    bone, soft, fat = _shell(places, outside, inside, np.clip(skin - tissue, 0, 1))
    eyeballs = _eyes(places)
    eyes, soft, fat = eyeballs * (soft + fat), soft * (1 - eyeballs), fat * (1 - eyeballs)
    core = _core(places, tissue, rng, core_ml=core_ml, side=side, site=site, patchiness=patchiness)
    return Head(
        grey=grey,
        white=white,
        csf=np.clip(skin - tissue - bone - soft - fat - eyes, 0, 1),
        bone=bone,
        soft=soft,
        fat=fat,
        eyes=eyes,
        lesion=_lesions(white, ventricle, rng, age_years),
        core=core,
        core_ml=float(core.sum()) * VOXEL_ML,
        warp=warp,
    )


def _displacement_mm(field: Real) -> Real:
    """At most twice `_DEFORMATION_MM`, so that no skull is dented."""
    bounded: Real = np.tanh(field / 2)
    bounded *= 2 * _DEFORMATION_MM
    return bounded


def _column(values: tuple[float, ...]) -> Float32:
    return np.array(values, np.float32)[:, None, None, None]


def _atrophied(
    grey: Float32, white: Float32, ventricle: Float32, rng: np.random.Generator, age_years: float
) -> tuple[Float32, Float32]:
    """Tissue next to the ventricles and in the depth of the sulci gives way to CSF from about 60 years on."""
    widening = max(0.0, (age_years - 60) / 100)
    ventricle_mm = float(np.clip(6 * widening + 0.6 * rng.standard_normal(), 0, 3.5))
    sulcal = float(np.clip(0.6 * widening + 0.08 * rng.standard_normal(), 0, 0.5))
    kept = 1 - np.clip((ventricle_mm - ventricle) / 1.5 + 0.5, 0, 1) * (ventricle_mm > 0.1)
    narrowed = np.clip(1 - 2 * sulcal * np.clip(1 - grey - white, 0, 1), 0, 1)
    return grey * kept * narrowed, white * kept


def _sampled(template: Template, index: Float32) -> list[Float32]:
    """Grey, white, distance outside the brain, distance inside the skin, distance to the ventricles, warped."""
    inside = ndimage.map_coordinates(template.inside_head_mm, index, order=1, cval=-60.0, output=np.float32)
    # More than half of the grid is air, where nothing else needs to be known.
    head = inside > -4.0
    here = index[:, head]

    def within_head(values: Float32, elsewhere: float) -> Float32:
        warped = np.full(inside.shape, np.float32(elsewhere))
        warped[head] = ndimage.map_coordinates(values, here, order=1, cval=elsewhere, output=np.float32)
        return warped

    return [
        within_head(template.grey, 0.0),
        within_head(template.white, 0.0),
        within_head(template.outside_brain_mm, 60.0),
        inside,
        within_head(template.to_ventricle_mm, 99.0),
    ]


def _shell(places: Float32, outside: Float32, inside: Float32, free: Float32) -> tuple[Float32, Float32, Float32]:
    """Bone, soft tissue and fat around the brain: 1 mm of CSF, 6 mm of skull, then scalp; below the skull base neck.

    `free` is what brain tissue leaves of each voxel inside the skin; what these three leave of it is CSF.
    """
    skull_base = np.clip((places[2] + 66) / 6, 0, 1)
    bone = np.clip((outside - 1.0) / 2, 0, 1) * np.clip((7.5 - outside) / 2, 0, 1) * skull_base * free
    rest = (free - bone) * np.clip((outside - 1.0) / 2, 0, 1)
    fat_share = np.clip((9.0 - np.abs(inside - 3.0) * 4) / 4, 0, 1) * 0.9
    return bone, rest * (1 - fat_share), rest * fat_share


def _eyes(places: Float32) -> Float32:
    eyes = np.zeros(SHAPE, np.float32)
    for centre in eyes_mm().astype(np.float32):
        squared = sum((places[axis] - centre[axis]) ** 2 for axis in range(3))
        eyes = np.maximum(eyes, np.clip((12.0 - np.sqrt(squared)) / 2 + 0.5, 0, 1))
    return eyes


def _core(
    places: Float32,
    tissue: Float32,
    rng: np.random.Generator,
    *,
    core_ml: float,
    side: str,
    site: str,
    patchiness: float,
) -> Float32:
    """The `core_ml` of tissue that come first in the territory's order: nearest to its centre, with random islands."""
    sign = np.float32(1 if side == "right" else -1)
    centre, radii = _TERRITORY[site]
    moved = np.array(centre) + rng.normal(0, 4, 3)
    lateral = sign * places[0]
    order = ((lateral - moved[0]) / radii[0]) ** 2
    order += ((places[1] - moved[1]) / radii[1]) ** 2 + ((places[2] - moved[2]) / radii[2]) ** 2
    roughness = SmoothField.draw(rng, components=1, length_mm=22.0).on_grid(grid_axes())[0]
    order += np.float32(0.15 + 0.35 * patchiness) * roughness
    possible = (tissue > 0.5) & (lateral > 4)
    values = order[possible]
    count = min(round(core_ml / VOXEL_ML), values.size - 1)
    edge = np.partition(values, count)[count]
    return np.where(possible, np.clip((edge - order) / 0.06 + 0.5, 0, 1), 0).astype(np.float32)


def _lesions(white: Float32, ventricle: Float32, rng: np.random.Generator, age_years: float) -> Float32:
    """White-matter hyperintensities next to the ventricles and in patches, more with age."""
    load = float(np.clip((age_years - 50) / 40 + 0.3 * rng.standard_normal(), 0, 1.2))
    patches = SmoothField.draw(rng, components=1, length_mm=10.0).on_grid(grid_axes())[0]
    caps = np.clip((3.0 * load - ventricle) / 2, 0, 1)
    spots = np.clip((patches - 2.9 + 0.9 * load) * 2, 0, 1)
    return np.asarray(np.maximum(caps, spots) * (white > 0.6) * min(load, 1.0), dtype=np.float32)

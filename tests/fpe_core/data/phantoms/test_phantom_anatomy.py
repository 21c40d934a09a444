import numpy as np
import pytest

from fpe_core.data.phantoms.anatomy import VOXEL_ML, Head, build_head
from fpe_core.data.phantoms.template import FIRST_MM, STEP_MM, grid_axes, load_template
from fpe_core.data.phantoms.vessels import Occlusion, clot, paint, vessel_tree

TISSUES = ("grey", "white", "csf", "bone", "soft", "fat", "eyes")


def head(seed: int = 0, *, age_years: float = 70, core_ml: float = 30, side: str = "left") -> Head:
    rng = np.random.default_rng(seed)
    return build_head(rng, age_years=age_years, core_ml=core_ml, side=side, site="m1", patchiness=0.5)


def test_fractions_add_up_inside_the_skin_and_vanish_in_air() -> None:
    subject = head()
    total = sum(getattr(subject, name) for name in TISSUES)
    assert total.min() >= 0
    assert total.max() <= 1 + 1e-5
    deep = load_template().outside_brain_mm < -25
    assert total[deep] == pytest.approx(1, abs=1e-5)
    assert total[:, 0, -1].max() == 0


@pytest.mark.parametrize("core_ml", [3.0, 30.0, 150.0])
def test_core_has_the_volume_asked_for(core_ml: float) -> None:
    subject = head(core_ml=core_ml)
    assert float(subject.core.sum()) * VOXEL_ML == pytest.approx(core_ml, rel=0.05)
    assert subject.core_ml == pytest.approx(core_ml, rel=0.05)


@pytest.mark.parametrize(("side", "sign"), [("left", -1), ("right", 1)])
def test_core_and_clot_lie_on_the_occluded_side(side: str, sign: int) -> None:
    x = grid_axes()[0][:, None, None]
    subject = head(side=side)
    assert float((subject.core * x).sum()) * sign > 0
    assert (subject.core * (x * sign < -5)).max() == 0
    assert np.all(clot(Occlusion(side, "m1", 9.0, 0.5))[0][:, 0] * sign > 0)


def test_csf_widens_with_age() -> None:
    def csf(age_years: float) -> float:
        return float(np.mean([head(seed, age_years=age_years).csf.sum() * VOXEL_ML for seed in range(3)]))

    assert csf(90) > csf(60) + 5


def test_warp_and_its_inverse_meet() -> None:
    subject = head()
    template_mm = np.random.default_rng(1).uniform(-50, 50, (40, 3))
    patient = subject.warp.to_patient(template_mm)
    index = np.rint((patient - FIRST_MM) / STEP_MM).astype(int)
    snapped = np.array(FIRST_MM) + index * STEP_MM
    there = subject.warp.template_coordinates()[:, *index.T].T
    # The grid knows voxel centres only: compare after moving from the point to its voxel's centre.
    assert there == pytest.approx(template_mm + (snapped - patient) / subject.warp.scale, abs=0.6)


def test_occlusion_takes_supply_from_what_lies_behind_it() -> None:
    vessels = {(v.name, v.side): v for v in vessel_tree(Occlusion("right", "m1", 6.0, 0.3))}
    assert vessels["m1", "left"].supply.min() == 1
    assert vessels["ica", "right"].supply.min() == 1
    assert vessels["m2_superior", "right"].supply.max() == pytest.approx(0.3)
    m1 = vessels["m1", "right"].supply
    assert (m1[0], (m1 == 0).sum() * 0.5) == (1, 6.0)


@pytest.mark.parametrize("length_mm", [3.0, 9.0, 25.0])
@pytest.mark.parametrize("site", ["ica", "m1", "m2_superior", "m2_inferior"])
def test_clot_has_its_length(site: str, length_mm: float) -> None:
    points, radius = clot(Occlusion("left", site, length_mm, 0.5))
    length = np.linalg.norm(np.diff(points, axis=0), axis=1).sum()
    assert length == pytest.approx(length_mm, abs=1.5)
    assert len(points) == len(radius)


def test_painted_tube_has_its_cross_section() -> None:
    points = np.stack([np.full(61, 20.0), np.full(61, 20.0), np.linspace(5, 35, 61)], axis=1)
    painted = paint((41, 41, 41), points, np.full(61, 3.0), spacing_mm=np.ones(3), value=np.full(61, 2.0))
    assert painted[20, 20, 20] == 2.0
    assert painted[20, 20, 0] == 0
    assert float(painted[:, :, 20].sum()) / 2 == pytest.approx(np.pi * 3.0**2, rel=0.35)

"""What scanners, tables and surgeons make of a head on CT: it lands where a plain one does, or says why not."""

from dataclasses import replace

import numpy as np
import pytest

from fpe_core.config.recipe import recipe_named
from fpe_core.errors import CaseBrainMaskImplausible, CaseError, CaseRegistrationFailed
from fpe_core.imaging.geometry import inverted
from fpe_core.imaging.template import load_template
from fpe_core.imaging.volume import Matrix, Volume
from fpe_core.preprocessing.history import History
from fpe_core.preprocessing.pipeline import Output
from fpe_core.preprocessing.pipeline_ct import run_ct

CT = recipe_named("mnt-dl-ct-small")


def run(scan: Volume, sequence: str = "ncct") -> Output:
    return run_ct({sequence: scan}, CT, History())


def error_mm(found: Matrix, truth: Matrix) -> float:
    """Mean distance between where two transforms to MNI put the brain's points."""
    template = load_template(6)
    points = np.argwhere(template.brain_xyz) @ template.t1.affine_ras[:3, :3].T + template.t1.affine_ras[:3, 3]
    moved = np.c_[points, np.ones(len(points))] @ (found @ inverted(truth)).T
    return float(np.linalg.norm(moved[:, :3] - points, axis=1).mean())


@pytest.fixture(scope="module")
def plain(scanner) -> Volume:
    return scanner.acquire("ncct", spacing_mm=(2.5, 2.5, 2.5), orientation="RAS", noise=0.05)


@pytest.fixture(scope="module")
def landed(plain) -> Output:
    return run(plain)


def uppermost(scan: Volume, kept: int) -> Volume:
    step = np.eye(4)
    step[2, 3] = scan.data_xyz.shape[2] - kept
    return Volume(scan.data_xyz[:, :, -kept:], scan.affine_ras @ step)


def with_neck_and_shoulders(scan: Volume) -> Volume:
    """150 mm more below: a neck with a spine in it, and shoulders that fill the field of view."""
    below = int(150 / scan.spacing_mm[2])
    data = np.pad(scan.data_xyz, [(0, 0), (0, 0), (below, 0)], constant_values=-1000.0)
    x, y = ((np.arange(size) - size / 2) * scan.spacing_mm[axis] for axis, size in enumerate(data.shape[:2]))
    x, y, z = np.ix_(x, y, np.arange(data.shape[2]))
    bottom = int(np.flatnonzero((data > -300).any(axis=(0, 1)))[0])
    neck, spine = np.hypot(x / 55, y / 60) < 1, np.hypot(x, y + 15)
    shoulders = (np.hypot(x / 100, y / 70) < 1) & (z < bottom - 80 / scan.spacing_mm[2])
    filled = (neck & (z < bottom)) | shoulders
    data[filled] = 55.0
    data[filled & (spine < 18)] = 500.0
    data[filled & (spine < 8)] = 30.0
    step = np.eye(4)
    step[2, 3] = -below
    return Volume(data.astype(np.float32), scan.affine_ras @ step)


def in_a_large_field(scan: Volume) -> Volume:
    """500 mm field of view with padding beyond the round field and a table below the head, off its middle."""
    wide = 250 / scan.spacing_mm[0]
    pad = [(int(wide * share), int(wide * (1.2 - share))) for share in (0.4, 0.7)]
    data = np.pad(scan.data_xyz, [*pad, (0, 0)], constant_values=-1000.0)
    x, y = np.ix_(*(np.linspace(-1, 1, size) for size in data.shape[:2]))
    table = (np.abs(y + 0.75) < 0.02) & (np.abs(x) < 0.8)
    data[table] = 80.0
    data[(x**2 + y**2) > 1] = -3024.0
    step = np.eye(4)
    step[:2, 3] = -pad[0][0], -pad[1][0]
    return Volume(data.astype(np.float32), scan.affine_ras @ step)


def with_touching_holder(scan: Volume) -> Volume:
    """A plastic shell of 6 mm against the back of the head."""
    data = scan.data_xyz.copy()
    back = np.argmax(data > -300, axis=1)
    for x, z in np.argwhere(back > 0):
        data[x, max(0, back[x, z] - 2) : back[x, z], z] = 150.0
    return scan.with_data(data)


def with_craniectomy(scan: Volume) -> Volume:
    """Bone of a large part of the left side replaced by scalp."""
    data = scan.data_xyz.copy()
    x, y, z = (scan.affine_ras[axis, axis] * np.arange(size) + scan.affine_ras[axis, 3]
               for axis, size in enumerate(data.shape))  # fmt: skip
    side = np.ix_(x < -45, np.abs(y + 10) < 40, np.abs(z - 25) < 35)
    part = data[side]
    part[part > 250] = 45.0
    data[side] = part
    return scan.with_data(data)


def with_metal(scan: Volume) -> Volume:
    """A clip clipped at 3071 HU with dark and bright streaks across its slices."""
    data = scan.data_xyz.copy()
    x, y, z = np.array(data.shape) // 2 + [8, 6, 2]
    data[:, y - 1 : y + 1, z - 1 : z + 1] -= 150.0
    data[x - 1 : x + 1, :, z - 1 : z + 1] += 120.0
    data[x - 2 : x + 2, y - 2 : y + 2, z - 2 : z + 2] = 3071.0
    return scan.with_data(data)


def without_vertex(scan: Volume) -> Volume:
    return replace(scan, data_xyz=scan.data_xyz[:, :, : int(scan.data_xyz.shape[2] * 0.72)])


ODD = {
    "large field of view, table, padding": in_a_large_field,
    "holder touches the skin": with_touching_holder,
    "craniectomy": with_craniectomy,
    "metal": with_metal,
    "vertex missing": without_vertex,
}


@pytest.mark.parametrize("name", ODD)
def test_odd_scans_land_where_plain_ones_do(plain, landed, name):
    odd = run(ODD[name](plain))
    assert error_mm(odd.mni_from_native["ncct"], landed.mni_from_native["ncct"]) < 4.0
    assert odd.qc["template_dice"] > (0.85 if name == "vertex missing" else 0.92)


@pytest.mark.parametrize("sequence", ["ncct", "cta"])
def test_from_the_aortic_arch_to_the_vertex(scanner, sequence):
    scan = scanner.acquire(sequence, spacing_mm=(2.5, 2.5, 2.5), orientation="RAS")
    short, tall = run(scan, sequence), run(with_neck_and_shoulders(scan), sequence)
    assert error_mm(tall.mni_from_native[sequence], short.mni_from_native[sequence]) < 4.0
    assert tall.qc["template_dice"] > 0.92


@pytest.mark.parametrize("kept", [12, 14])
def test_a_few_slices_end_in_a_reason_code(scanner, kept):
    """Upper slices of 6 mm: less than half of the brain."""
    thick = scanner.acquire("ncct", spacing_mm=(1.5, 1.5, 6.0), orientation="RAS")
    with pytest.raises((CaseRegistrationFailed, CaseBrainMaskImplausible)):
        run(uppermost(thick, kept))


def test_a_stack_that_is_no_head_has_its_code(plain):
    noise = np.random.default_rng(0).normal(20, 300, plain.data_xyz.shape).astype(np.float32)
    with pytest.raises(CaseError):
        run(plain.with_data(noise))

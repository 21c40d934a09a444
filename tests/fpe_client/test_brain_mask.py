"""`fpe-client brain-mask`: a mask on the scan's own voxels, or a reason."""

import json
import stat
import subprocess
import sys
from pathlib import Path

import nibabel
import numpy as np

from fpe_core.data.phantoms.acquisition import Pose
from fpe_core.data.phantoms.demo_sites import demo_sites
from fpe_core.data.phantoms.generate import draw_cases, patient, render_case
from fpe_core.data.phantoms.template import FIRST_MM, STEP_MM
from fpe_core.imaging.geometry import resampled
from fpe_core.imaging.nifti import read_volume
from fpe_core.imaging.volume import Volume

PROGRAM = Path(sys.executable).with_name("fpe-client")


def run(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([PROGRAM, "brain-mask", *words], capture_output=True, text=True, timeout=200, check=False)


def test_the_mask_of_a_ct_is_the_inside_of_the_skull_on_the_scans_own_voxels(tmp_path: Path) -> None:
    site = demo_sites(1, "ct")[0]
    (case,) = draw_cases(site, seed=3)
    scan = tmp_path / render_case(tmp_path, site, case)["ncct"]
    out = tmp_path / "mask.nii.gz"
    done = run(scan, "--sequence", "ncct", "--recipe", "mnt-dl-ct-small", "--out", out, "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)["data"]
    assert told["recipe"] == "mnt-dl-ct-small"
    assert stat.S_IMODE(out.stat().st_mode) == 0o600

    mask, image = nibabel.load(out), read_volume(scan)
    found = np.asarray(mask.dataobj)
    np.testing.assert_allclose(mask.affine, image.affine_ras, atol=1e-3)
    assert set(np.unique(found)) == {0, 1}
    assert told["volume_ml"] == round(float(found.sum()) * image.voxel_ml, 1)
    truth = resampled(_cavity(site, case), image.data_xyz.shape, image.affine_ras, outside=0.0).data_xyz > 0.5
    assert 2 * (truth & (found > 0)).sum() / (truth.sum() + found.sum()) > 0.94


def _cavity(site, case) -> Volume:  # type: ignore[no-untyped-def]
    """The phantom's own brain and CSF, in the scanner's mm."""
    rng = np.random.default_rng(case.seed)
    head, _ = patient(site, case, rng)
    pose = Pose.draw(site.scanner, rng)
    affine = np.diag([*STEP_MM, 1.0])
    affine[:3, 3] = FIRST_MM
    turn = np.eye(4)
    turn[:3, :3], turn[:3, 3] = pose.rotation, pose.to_scanner(np.zeros((1, 3)))[0]
    return Volume(head.grey + head.white + head.csf, turn @ affine)


def test_what_is_no_scan_of_that_kind_ends_in_its_reason(tmp_path: Path) -> None:
    nothing = tmp_path / "nothing.nii.gz"
    nothing.write_bytes(b"no image")
    broken = run(nothing, "--sequence", "ncct", "--out", tmp_path / "mask.nii.gz")
    assert (broken.returncode, "FPE-212" in broken.stderr) == (4, True)
    assert not (tmp_path / "mask.nii.gz").exists()
    other = run(nothing, "--sequence", "ncct", "--recipe", "mnt-dl-mr")
    assert (other.returncode, "FPE-104" in other.stderr) == (3, True)
    assert run(nothing, "--sequence", "t2").returncode == 2

"""Public scans, written as DICOM and read again. FPE_REAL_SCANS names their folder."""

import os
from pathlib import Path

import numpy as np
import pytest

from fpe_core.imaging.dicom.volume import read_series
from fpe_core.imaging.geometry import reorient_to_ras
from fpe_core.imaging.nifti import read_volume

FOLDER = Path(os.environ.get("FPE_REAL_SCANS", ""))
pytestmark = [
    pytest.mark.real_scans,
    pytest.mark.skipif(not os.environ.get("FPE_REAL_SCANS"), reason="FPE_REAL_SCANS names no folder of scans"),
]


@pytest.mark.parametrize("stored", [{}, {"multi_frame": True}, {"compression": "jpeg-lossless"}], ids=str)
@pytest.mark.parametrize(
    ("name", "modality", "lowest"),
    [("head_ct_2mm", "CT", -1024), ("sub-strokecase0001_ses-0001_dwi", "MR", 0)],
)
def test_a_scan_comes_back_where_it_was(write_dicom, only_series, name, modality, lowest, stored):
    scan = read_volume(FOLDER / f"{name}.nii.gz")
    write_dicom(scan, modality=modality, **stored)
    written, read = reorient_to_ras(scan), reorient_to_ras(read_series(only_series()).volume)
    np.testing.assert_allclose(read.affine_ras, written.affine_ras, atol=1e-5)
    np.testing.assert_allclose(read.data_xyz, np.clip(written.data_xyz, lowest, None), atol=0.501)

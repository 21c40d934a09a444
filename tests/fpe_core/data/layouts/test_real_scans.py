"""A real stroke case laid out as BIDS comes in and is told apart by its suffixes."""

import os
from pathlib import Path

import pytest

from fpe_core.data.case_table import read_case_table
from fpe_core.data.layouts.bids import import_bids
from fpe_core.data.layouts.imported import write_import

pytestmark = [
    pytest.mark.real_scans,
    pytest.mark.skipif("FPE_REAL_SCANS" not in os.environ, reason="FPE_REAL_SCANS names no folder"),
]


def test_a_real_case_comes_in(tmp_path: Path) -> None:
    scans = Path(os.environ["FPE_REAL_SCANS"])
    place = tmp_path / "tree" / "sub-strokecase0001" / "ses-0001" / "dwi"
    place.mkdir(parents=True)
    for path in scans.glob("sub-strokecase0001_*.nii.gz"):
        (place / path.name).symlink_to(path)
    imported = import_bids(tmp_path / "tree", tmp_path / "out")
    (row,) = read_case_table(write_import(imported, tmp_path / "out", replace=False)).rows
    assert row.available_sequences == {"dwi", "adc"}
    assert row.patient_id == "sub-strokecase0001"

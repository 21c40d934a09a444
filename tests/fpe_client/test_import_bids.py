"""`fpe-client import bids` and `isles24`: a table that preprocess reads, words about the rest, and errors that help."""

import json
import shutil
from pathlib import Path

import nibabel
import numpy as np
import pytest
from typer.testing import CliRunner, Result

from fpe_client.cli import main
from fpe_core.data.case_table import read_case_table


def run(*words: str | Path) -> Result:
    return CliRunner().invoke(main, ["import", *map(str, words)])


def image(path: Path, shape: tuple[int, ...] = (4, 4, 4)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(np.ones(shape, dtype=np.float32), np.eye(4)), path)  # type: ignore[attr-defined]


@pytest.fixture
def bids(tmp_path: Path) -> Path:
    tree = tmp_path / "bids"
    image(tree / "sub-1" / "anat" / "sub-1_FLAIR.nii.gz")
    (tree / "sub-2" / "anat").mkdir(parents=True)
    (tree / "participants.tsv").write_text("participant_id\tage\nsub-1\t70\n")
    return tree


def diffusion_series(bids: Path) -> None:
    """Two volumes that the import has to split."""
    series = bids / "sub-1" / "dwi" / "sub-1_dwi.nii.gz"
    image(series, (4, 4, 4, 2))
    series.with_name("sub-1_dwi.bval").write_text("0 1000\n")


def test_a_tree_becomes_a_table_and_what_is_left_out_is_said(tmp_path: Path, bids: Path) -> None:
    done = run("bids", bids, "--out", tmp_path / "out")
    assert done.exit_code == 0, done.output
    assert "1 cases found, 1 subjects left out" in done.stderr
    assert "sub-2 [FPE-218]" in done.stderr
    rows = read_case_table(tmp_path / "out" / "cases.csv").rows
    assert [(row.case_id, row.age_years) for row in rows] == [("sub-1", 70)]


def test_the_table_finds_its_images_from_any_folder_and_after_a_move(
    tmp_path: Path, bids: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    diffusion_series(bids)
    monkeypatch.chdir(tmp_path)
    assert run("bids", "bids", "--out", "out").exit_code == 0
    monkeypatch.chdir(tmp_path.parent)
    (tmp_path / "out").rename(tmp_path / "moved")
    (row,) = read_case_table(tmp_path / "moved" / "cases.csv").rows
    assert set(row.images) == {"flair", "b0", "b1000"}
    assert all(path.is_file() for path in row.images.values())


def test_isles24_and_the_envelope(tmp_path: Path) -> None:
    image(tmp_path / "isles" / "raw_data" / "sub-stroke0001" / "ses-01" / "sub-stroke0001_ses-01_ncct.nii.gz")
    done = run("isles24", tmp_path / "isles", "--out", tmp_path / "out", "--json")
    data = json.loads(done.stdout)["data"]
    assert (data["cases"], data["left_out"]) == (1, {})
    assert data["notes"] == 6
    assert Path(data["table"]).is_file()


@pytest.mark.parametrize("kind", ["bids", "isles24"])
def test_wrong_folders_end_in_an_error_with_a_hint(tmp_path: Path, kind: str) -> None:
    (tmp_path / "empty").mkdir()
    for folder, out in (("nowhere", "out"), ("empty", "out"), ("empty", "empty/out")):
        done = run(kind, tmp_path / folder, "--out", tmp_path / out)
        assert done.exit_code == 4
        assert "error [FPE-203]" in done.stderr
        assert "hint:" in done.stderr
    assert not (tmp_path / "out").exists()
    assert not (tmp_path / "empty" / "out").exists()


@pytest.mark.parametrize("kind", ["bids", "isles24"])
def test_a_place_that_cannot_be_written_is_told(tmp_path: Path, bids: Path, kind: str) -> None:
    image(tmp_path / "isles24" / "raw_data" / "sub-stroke0001" / "ses-01" / "sub-stroke0001_ses-01_ncct.nii.gz")
    (tmp_path / "file").write_text("mine")
    done = run(kind, tmp_path / kind, "--out", tmp_path / "file" / "out")
    assert done.exit_code == 4
    assert "error [FPE-200]" in done.stderr
    assert "hint: free space, or let this user write there" in done.stderr


def test_another_table_is_overwritten_on_demand_only(tmp_path: Path, bids: Path) -> None:
    diffusion_series(bids)
    table = tmp_path / "out" / "cases.csv"
    run("bids", bids, "--out", tmp_path / "out")
    table.write_text("mine\n")
    shutil.rmtree(tmp_path / "out" / "images")
    assert run("bids", bids, "--out", tmp_path / "out").exit_code == 4
    assert table.read_text() == "mine\n"
    assert not (tmp_path / "out" / "images").exists(), "refused before anything is converted"
    assert run("bids", bids, "--out", tmp_path / "out", "--replace").exit_code == 0
    assert table.read_text() != "mine\n"

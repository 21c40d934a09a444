"""A BIDS tree of phantoms comes in whole; a tree that is broken says where, and its other subjects come in."""

import json
import shutil
import stat
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest

from fpe_core.data.case_table import CaseRow, read_case_table
from fpe_core.data.layouts.bids import import_bids
from fpe_core.data.layouts.imported import Imported, check_out, write_import
from fpe_core.data.phantoms.layouts import write_bids_tree
from fpe_core.errors import ImportFailed
from fpe_core.imaging.nifti import read_volume

nib: Any = nibabel


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, mr_rows: tuple[CaseRow, ...]) -> Path:
    folder = tmp_path_factory.mktemp("bids")
    write_bids_tree(folder, mr_rows)
    return folder


@pytest.fixture
def tree(tmp_path: Path, whole: Path) -> Path:
    """A copy to break. Images are small."""
    return Path(shutil.copytree(whole, tmp_path / "tree"))


def test_the_tree_becomes_a_case_table(tmp_path: Path, whole: Path, mr_rows: tuple[CaseRow, ...]) -> None:
    out = tmp_path / "out"
    imported = import_bids(whole, out)
    rows = read_case_table(write_import(imported, out, replace=False)).rows
    assert not imported.left_out
    assert not imported.notes
    assert [case.notes for case in imported.cases] == [(), ()]
    assert [(row.case_id, row.patient_id) for row in rows] == [
        ("sub-001_ses-01", "sub-001"),
        ("sub-002_ses-01", "sub-002"),
    ]
    for row, truth in zip(rows, mr_rows, strict=True):
        assert row.synthetic
        assert row.available_sequences == {"dwi", "adc", "flair", "b0", "b1000"}
        assert row.images["flair"].is_relative_to(whole)
        assert row.images["b1000"].is_relative_to(out)
        for name in ("age_years", "sex", "nihss", "hypertension", "occlusion_side", "num_passes", "final_mtici"):
            assert getattr(row, name) == getattr(truth, name)


def test_the_diffusion_series_is_split_as_it_was_made(
    tmp_path: Path, whole: Path, mr_rows: tuple[CaseRow, ...]
) -> None:
    images = import_bids(whole, tmp_path).cases[0].images
    trace, made = read_volume(mr_rows[0].images["dwi"]), read_volume(images["b1000"])
    np.testing.assert_allclose(made.data_xyz, np.maximum(trace.data_xyz, 0), rtol=1e-4)
    np.testing.assert_allclose(made.affine_ras, trace.affine_ras, atol=1e-4)
    series = np.asarray(nib.load(next(whole.glob("sub-001/**/*_dwi.nii.gz"))).dataobj)
    np.testing.assert_allclose(read_volume(images["b0"]).data_xyz, series[..., 0], rtol=1e-6)


def test_two_imports_give_the_same_bytes_and_close_their_files(tmp_path: Path, whole: Path) -> None:
    for name in ("one", "one", "two"):
        write_import(import_bids(whole, tmp_path / name), tmp_path / name, replace=False)
    contents = [
        {p.relative_to(tmp_path / name): p.read_bytes() for p in (tmp_path / name).rglob("*.nii.gz")}
        for name in ("one", "two")
    ]
    assert contents[0] == contents[1]
    assert len(contents[0]) == 4
    assert all(stat.S_IMODE(p.stat().st_mode) == 0o600 for p in tmp_path.rglob("*") if p.is_file())


def test_a_table_edited_by_hand_is_not_overwritten(tmp_path: Path, whole: Path) -> None:
    imported = import_bids(whole, tmp_path)
    table = write_import(imported, tmp_path, replace=False)
    content = table.read_bytes()
    table.write_bytes(content + b"\n")
    with pytest.raises(ImportFailed, match="is there already"):
        write_import(imported, tmp_path, replace=False)
    assert table.read_bytes() == content + b"\n"
    write_import(imported, tmp_path, replace=True)
    assert table.read_bytes() == content


def test_a_table_nobody_edited_follows_the_tree(tmp_path: Path, whole: Path) -> None:
    imported = import_bids(whole, tmp_path)
    table = write_import(imported, tmp_path, replace=False)
    first = table.read_bytes()
    fewer = replace(imported, cases=imported.cases[:1])
    write_import(fewer, tmp_path, replace=False)
    second = table.read_bytes()
    assert second != first
    # Killed after the report and before the table.
    table.write_bytes(first)
    write_import(fewer, tmp_path, replace=False)
    assert table.read_bytes() == second
    with pytest.raises(ImportFailed, match="gave a case"):
        write_import(replace(imported, cases=()), tmp_path, replace=False)
    assert write_import(imported, tmp_path, replace=False).read_bytes() == first


def test_originals_stay_as_they_are(tmp_path: Path, whole: Path) -> None:
    before = {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in whole.rglob("*")}
    write_import(import_bids(whole, tmp_path), tmp_path, replace=False)
    assert {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in whole.rglob("*")} == before
    with pytest.raises(ImportFailed, match="only read"):
        check_out(whole, whole / "out")
    with pytest.raises(ImportFailed, match="no such folder"):
        check_out(whole / "nowhere", tmp_path)


def series(tree: Path) -> Path:
    return next(tree.glob("sub-001/ses-01/dwi/*_dwi.nii.gz"))


def bval(tree: Path) -> Path:
    return next(tree.glob("sub-001/ses-01/dwi/*.bval"))


def flair(tree: Path) -> Path:
    return next(tree.glob("sub-001/ses-01/anat/*_FLAIR.nii.gz"))


def only_flair_left(tree: Path) -> None:
    shutil.rmtree(tree / "sub-001/ses-01/dwi")


def nothing_left(tree: Path) -> None:
    only_flair_left(tree)
    flair(tree).rename(flair(tree).with_name("sub-001_ses-01_T2w.nii.gz"))


def second_session(tree: Path) -> None:
    shutil.copytree(tree / "sub-001/ses-01", tree / "sub-001/ses-02")


def participant_twice(tree: Path) -> None:
    table = tree / "participants.tsv"
    lines = table.read_text().splitlines()
    table.write_text("\n".join([*lines, lines[1].replace("sub-001\t", "sub-001\t9")]) + "\n")


def dangling_link(tree: Path) -> None:
    flair(tree).unlink()
    (tree / "sub-001/ses-01/anat/sub-001_ses-01_FLAIR.nii.gz").symlink_to(tree / "annex" / "object")


def two_flairs(tree: Path) -> None:
    shutil.copy(flair(tree), flair(tree).with_name("sub-001_ses-01_acq-thin_FLAIR.nii.gz"))


def four_axes(tree: Path) -> None:
    image = nib.Nifti1Image(np.ones((4, 4, 4, 3), dtype=np.float32), np.eye(4))
    nib.save(image, flair(tree))


LEFT_OUT: list[tuple[Callable[[Path], object], str, str]] = [
    (nothing_left, "FPE-218", "no image can be used"),
    (second_session, "FPE-203", "several sessions, ses-01, ses-02"),
    (participant_twice, "FPE-234", "stands in participants.tsv twice"),
    (lambda tree: (tree / "sub-001").rename(tree / "sub-ü 1"), "FPE-231", "letters, digits"),
]


@pytest.mark.parametrize(("broken", "code", "message"), LEFT_OUT)
def test_a_subject_that_gives_no_case_is_listed_and_the_other_comes_in(
    tmp_path: Path, tree: Path, broken: Callable[[Path], object], code: str, message: str
) -> None:
    broken(tree)
    imported = import_bids(tree, tmp_path / "out")
    assert [case.patient_id for case in imported.cases] == ["sub-002"]
    assert [subject.code for subject in imported.left_out] == [code]
    assert message in imported.left_out[0].message


NOTED: list[tuple[Callable[[Path], object], str, set[str]]] = [
    (only_flair_left, "", {"flair"}),
    (lambda tree: bval(tree).unlink(), "FPE-224", {"adc", "flair"}),
    (lambda tree: bval(tree).write_text("0 1000 x"), "FPE-224", {"adc", "flair"}),
    (lambda tree: bval(tree).write_bytes(b"\xff\xfe\x00"), "FPE-224", {"adc", "flair"}),
    (lambda tree: bval(tree).write_text("0 1000 1000"), "FPE-213", {"adc", "flair"}),
    (lambda tree: bval(tree).write_text("500 500 500 500"), "FPE-213", {"adc", "flair"}),
    (lambda tree: series(tree).write_bytes(series(tree).read_bytes()[:3000]), "FPE-212", {"adc", "flair"}),
    (lambda tree: flair(tree).write_bytes(b"not an image"), "FPE-212", {"adc", "b0", "b1000"}),
    (lambda tree: flair(tree).write_bytes(b""), "FPE-212", {"adc", "b0", "b1000"}),
    (dangling_link, "FPE-211", {"adc", "b0", "b1000"}),
    (four_axes, "FPE-213", {"adc", "b0", "b1000"}),
    (two_flairs, "2 files could be it", {"adc", "b0", "b1000"}),
]


@pytest.mark.parametrize(("broken", "note", "left"), NOTED)
def test_an_image_that_cannot_be_used_is_noted_and_the_others_stay(
    tmp_path: Path, tree: Path, broken: Callable[[Path], object], note: str, left: set[str]
) -> None:
    broken(tree)
    imported = import_bids(tree, tmp_path / "out")
    first, second = imported.cases
    assert set(first.images) == left
    assert len(second.images) == 4
    assert not second.notes
    assert bool(first.notes) == bool(note)
    assert note in " ".join(first.notes)


def notes_of(imported: Imported) -> str:
    return " ".join([*imported.notes, *(note for case in imported.cases for note in case.notes)])


def test_tables_that_do_not_help_are_said_and_the_images_come_in(tmp_path: Path, tree: Path) -> None:
    (tree / "phenotype" / "thrombectomy.tsv").write_text("id\tnum_passes\nsub-001\t1\n")
    assert "expected a column participant_id" in notes_of(import_bids(tree, tmp_path / "out"))
    (tree / "phenotype" / "thrombectomy.tsv").unlink()
    (tree / "participants.tsv").write_text("participant_id\tshoe\nsub-001\t44\nsub-009\t41\n")
    said = notes_of(import_bids(tree, tmp_path / "out"))
    assert "no clinical column is known among shoe" in said
    assert "1 participants have no folder" in said
    (tree / "participants.tsv").unlink()
    imported = import_bids(tree, tmp_path / "out")
    assert imported.notes == ("participants.tsv: not there",)
    assert all(len(case.images) == 4 and not case.cells for case in imported.cases)


def test_a_phenotype_table_with_several_lines_for_one_participant_is_not_guessed_from(
    tmp_path: Path, tree: Path
) -> None:
    table = tree / "phenotype" / "thrombectomy.tsv"
    table.write_text("participant_id\tnum_passes\nsub-001\t1\nsub-001\t2\nsub-002\t3\nsub-002\t3\n")
    imported = import_bids(tree, tmp_path / "out")
    assert [case.cells.get("num_passes") for case in imported.cases] == [None, "3"]
    assert "several lines" in notes_of(imported)


def test_values_that_the_case_table_would_refuse_stay_empty(tmp_path: Path, tree: Path) -> None:
    (tree / "participants.tsv").write_text(
        "participant_id\tage\tsex\tnihss\thypertension\nsub-001\t89+\tfemale\t77\tmaybe\nsub-002\tn/a\t0\t7.0\tNo\n"
    )
    first, second = import_bids(tree, tmp_path / "out").cases
    assert {name: first.cells.get(name) for name in ("age_years", "sex", "nihss", "hypertension")} == {
        "age_years": None, "sex": "F", "nihss": None, "hypertension": None,
    }  # fmt: skip
    assert len(first.notes) == 3
    assert {name: second.cells.get(name) for name in ("age_years", "sex", "nihss", "hypertension")} == {
        "age_years": None, "sex": None, "nihss": "7", "hypertension": "0",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("name\tage\nsub-001\t70\n", "expected a column participant_id, got name, age"),
        ("", "expected a header line"),
        ("participant_id\tage\tage\nsub-001\t70\t71\n", "'age' stands in the header twice"),
    ],
)
def test_a_broken_participants_table_ends_the_import(tmp_path: Path, tree: Path, content: str, message: str) -> None:
    (tree / "participants.tsv").write_text(content)
    with pytest.raises(ImportFailed, match=message):
        import_bids(tree, tmp_path / "out")


def test_a_named_session_is_taken(tmp_path: Path, tree: Path) -> None:
    second_session(tree)
    imported = import_bids(tree, tmp_path / "out", session="01")
    assert [case.case_id for case in imported.cases] == ["sub-001_ses-01", "sub-002_ses-01"]
    left = import_bids(tree, tmp_path / "out", session="ses-02").left_out
    assert [subject.subject for subject in left] == ["sub-002"]
    assert "has no ses-02, but ses-01" in left[0].message


def test_the_last_run_is_taken_and_b_values_may_be_shared(tmp_path: Path, tree: Path) -> None:
    place = tree / "sub-001/ses-01"
    for run in ("2", "10"):
        shutil.copy(flair(tree), place / "anat" / f"sub-001_ses-01_run-{run}_FLAIR.nii.gz")
    bval(tree).rename(tree / "dwi.bval")
    first = import_bids(tree, tmp_path / "out").cases[0]
    assert first.images["flair"].name == "sub-001_ses-01_run-10_FLAIR.nii.gz"
    assert first.notes == ("flair: the last of 3 runs, sub-001_ses-01_run-10_FLAIR.nii.gz",)
    assert "b1000" in first.images


def test_a_ct_with_contrast_is_never_a_plain_one(tmp_path: Path, tree: Path) -> None:
    place = tree / "sub-001/ses-01/ct"
    place.mkdir()
    for name in ("ct", "acq-CTA_ct", "acq-perf_ct", "ce-iodine_ct"):
        shutil.copy(flair(tree), place / f"sub-001_ses-01_{name}.nii.gz")
    first = import_bids(tree, tmp_path / "out").cases[0]
    assert {name: first.images[name].name for name in ("ncct", "cta")} == {
        "ncct": "sub-001_ses-01_ct.nii.gz", "cta": "sub-001_ses-01_acq-CTA_ct.nii.gz",
    }  # fmt: skip
    assert not first.notes
    (place / "sub-001_ses-01_ct.nii.gz").unlink()
    assert "ncct" not in import_bids(tree, tmp_path / "out").cases[0].images


def test_folders_that_hold_no_subject_or_too_many_are_refused(tmp_path: Path, tree: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(ImportFailed, match="got none") as refused:
        import_bids(tmp_path / "empty", tmp_path / "out")
    assert "root" in refused.value.hint
    with pytest.raises(ImportFailed, match="got none") as refused:
        import_bids(tmp_path, tmp_path / "out")
    assert "tree" in refused.value.hint
    (tree / "rawdata" / "sub-001").mkdir(parents=True)
    with pytest.raises(ImportFailed, match="subjects lie in tree and in rawdata"):
        import_bids(tree, tmp_path / "out")


def test_a_tree_without_one_case_is_refused_and_reported(tmp_path: Path) -> None:
    (tmp_path / "tree" / "sub-01" / "anat").mkdir(parents=True)
    imported = import_bids(tmp_path / "tree", tmp_path / "out")
    with pytest.raises(ImportFailed, match="none of 1 subjects gave a case; reasons: FPE-218"):
        write_import(imported, tmp_path / "out", replace=False)
    report = json.loads((tmp_path / "out" / "import-report.json").read_text())
    assert report["left_out"][0]["subject"] == "sub-01"

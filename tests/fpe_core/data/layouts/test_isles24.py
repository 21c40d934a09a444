"""An ISLES'24 tree of phantoms comes in with its perfusion volumes, and through preprocessing; broken ones speak."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest

from fpe_core.config.recipe import recipe_named
from fpe_core.data.case_table import CaseRow, read_case_table
from fpe_core.data.labels import label_of
from fpe_core.data.layouts.imported import FoundCase, write_import
from fpe_core.data.layouts.isles24 import import_isles24
from fpe_core.data.phantoms.layouts import write_isles24_tree
from fpe_core.errors import ImportFailed
from fpe_core.preprocessing.case import CaseFiles, preprocess_case

nib: Any = nibabel
FIRST, SECOND = "sub-stroke0001", "sub-stroke0002"
CLINIC = (
    "age_years", "sex", "nihss", "onset_to_image_min", "unwitnessed_onset", "hypertension", "dyslipidaemia",
    "diabetes", "atrial_fibrillation", "occlusion_side", "final_mtici",
)  # fmt: skip
BASELINE = set(CLINIC) - {"final_mtici", "occlusion_side"}
VOLUMES = ("cbf_under_30_ml", "tmax_over_4_s_ml", "tmax_over_6_s_ml", "tmax_over_10_s_ml")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, ct_rows: tuple[CaseRow, ...]) -> Path:
    folder = tmp_path_factory.mktemp("isles24")
    write_isles24_tree(folder, ct_rows)
    return folder


@pytest.fixture(scope="module")
def sound(whole: Path) -> FoundCase:
    """The first case of the whole tree."""
    return import_isles24(whole).cases[0]


@pytest.fixture
def tree(tmp_path: Path, whole: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "tree"))


def table_of(folder: Path, out: Path) -> tuple[CaseRow, ...]:
    return read_case_table(write_import(import_isles24(folder), out, replace=False)).rows


def test_the_tree_becomes_a_case_table(tmp_path: Path, whole: Path, ct_rows: tuple[CaseRow, ...]) -> None:
    imported = import_isles24(whole)
    assert not imported.left_out
    assert not imported.notes
    rows = table_of(whole, tmp_path)
    assert [row.case_id for row in rows] == [FIRST, SECOND]
    for row, truth in zip(rows, ct_rows, strict=True):
        assert row.synthetic
        assert row.available_sequences == {"ncct", "cta"}
        assert all(path.is_relative_to(whole) for path in row.images.values())
        assert [getattr(row, name) for name in CLINIC] == [getattr(truth, name) for name in CLINIC]
        assert label_of("recanalization", row) == label_of("recanalization", truth)
        for name in VOLUMES:
            assert getattr(row, name) == pytest.approx(getattr(truth, name), abs=0.06)


def test_one_case_runs_through_preprocessing(tmp_path: Path, whole: Path) -> None:
    row = table_of(whole, tmp_path)[0]
    case = preprocess_case(CaseFiles(row.case_id, dict(row.images.items())), recipe_named("mnt-dl-ct-small"))
    assert set(case.volumes) >= {"ncct", "cta"}
    assert case.volumes["ncct"].shape == (26, 64, 64)


def as_challenge(tree: Path) -> Path:
    """The names of the challenge's own release: rawdata, ses-0001, phenotype by session."""
    (tree / "raw_data").rename(tree / "rawdata")
    for path in sorted(tree.rglob("*ses-0[12]*"), key=lambda path: -len(path.parts)):
        path.rename(path.with_name(path.name.replace("ses-0", "ses-000")))
    for path in sorted((tree / "phenotype").rglob("*.csv")):
        place = tree / "phenotype" / path.parent.name
        place.mkdir(exist_ok=True)
        path.rename(place / path.name)
    for subject in (FIRST, SECOND):
        shutil.rmtree(tree / "phenotype" / subject)
    return tree


def test_the_names_of_another_release_give_the_same_cells(tmp_path: Path, tree: Path, whole: Path) -> None:
    (tmp_path / "outer").mkdir()
    other = as_challenge(tree).rename(tmp_path / "outer" / "train")
    assert [case.cells for case in import_isles24(other.parent).cases] == [
        case.cells for case in import_isles24(whole).cases
    ]


def test_images_after_treatment_are_never_taken(tmp_path: Path, tree: Path) -> None:
    shutil.copy(maps(tree) / f"{FIRST}_ses-01_cbf.nii.gz", tree / "raw_data" / FIRST / "ses-02" / "x_ncct.nii.gz")
    for sequence in ("ncct", "cta"):
        image(tree, sequence).unlink()
    imported = import_isles24(tree)
    assert [case.case_id for case in imported.cases] == [SECOND]
    assert imported.left_out[0].code == "FPE-218"


def test_an_image_in_ncct_space_stands_in(tree: Path) -> None:
    place = tree / "derivatives" / FIRST / "ses-01"
    image(tree, "cta").rename(place / f"{FIRST}_ses-01_space-ncct_cta.nii.gz")
    maps(tree).rename(place / "perfusion-maps")
    case = import_isles24(tree).cases[0]
    assert case.images["cta"].parent == place.resolve()
    assert set(VOLUMES) <= set(case.cells)


def image(tree: Path, sequence: str) -> Path:
    return tree / "raw_data" / FIRST / "ses-01" / f"{FIRST}_ses-01_{sequence}.nii.gz"


def maps(tree: Path) -> Path:
    return tree / "raw_data" / FIRST / "ses-01" / "perfusion-maps"


def baseline(tree: Path) -> Path:
    return tree / "phenotype" / FIRST / "ses-01" / f"{FIRST}_ses-01_demographic_baseline.csv"


def outcome(tree: Path) -> Path:
    return tree / "phenotype" / FIRST / "ses-02" / f"{FIRST}_ses-02_outcome.csv"


def scaled_tmax(tree: Path, factor: float) -> None:
    path = maps(tree) / f"{FIRST}_ses-01_tmax.nii.gz"
    old = nib.load(path)
    values = np.asarray(old.dataobj) * np.float32(factor)
    path.unlink()
    nib.save(nib.Nifti1Image(values, old.affine), path)


def test_tmax_in_milliseconds_gives_the_same_volumes(tree: Path, sound: FoundCase) -> None:
    scaled_tmax(tree, 1000)
    changed = import_isles24(tree).cases[0].cells
    assert {name: changed[name] for name in VOLUMES} == {name: sound.cells[name] for name in VOLUMES}


def second_acute_session(tree: Path) -> None:
    shutil.copytree(tree / "raw_data" / FIRST / "ses-01", tree / "raw_data" / FIRST / "ses-0001")


def no_acute_session(tree: Path) -> None:
    (tree / "raw_data" / FIRST / "ses-01").rename(tree / "raw_data" / FIRST / "ses-03")


def two_outcomes(tree: Path) -> None:
    shutil.copy(outcome(tree), outcome(tree).with_name(f"{FIRST}_ses-02_second_outcome.csv"))


def no_ct(tree: Path) -> None:
    for sequence in ("ncct", "cta"):
        image(tree, sequence).write_bytes(b"cut")


LEFT_OUT: list[tuple[Callable[[Path], object], str, str]] = [
    (second_acute_session, "FPE-203", "expected one session ses-01 or ses-0001, got ses-0001, ses-01"),
    (no_acute_session, "FPE-203", "got ses-02, ses-03"),
    (no_ct, "FPE-218", "no NCCT and no CTA can be used; ncct:"),
]


@pytest.mark.parametrize(("broken", "code", "message"), LEFT_OUT)
def test_a_subject_that_gives_no_case_is_listed_and_the_other_comes_in(
    tree: Path, broken: Callable[[Path], object], code: str, message: str
) -> None:
    broken(tree)
    imported = import_isles24(tree)
    assert [case.case_id for case in imported.cases] == [SECOND]
    assert [(subject.code, message in subject.message) for subject in imported.left_out] == [(code, True)]


def mask(tree: Path) -> Path:
    return tree / "derivatives" / FIRST / "ses-01" / f"{FIRST}_ses-01_space-ncct_lvo-msk.nii.gz"


def empty_mask(tree: Path) -> None:
    old = nib.load(mask(tree))
    nib.save(nib.Nifti1Image(np.zeros(old.shape, np.float32), old.affine), mask(tree))


NOTED: list[tuple[Callable[[Path], object], str, set[str]]] = [
    (lambda tree: mask(tree).unlink(), "lvo-msk: no such file [FPE-211]", {"occlusion_side"}),
    (empty_mask, "lvo-msk: nothing is marked, or the NCCT shows no bone [FPE-214]", {"occlusion_side"}),
    (lambda tree: shutil.copy(maps(tree) / f"{FIRST}_ses-01_cbf.nii.gz", mask(tree)), "[FPE-216]", {"occlusion_side"}),
    (lambda tree: image(tree, "cta").unlink(), "cta: no such file [FPE-211]", {"cta"}),
    (lambda tree: image(tree, "cta").write_bytes(b"x"), "[FPE-212]", {"cta"}),
    (lambda tree: shutil.rmtree(maps(tree)), "tmax: no such file [FPE-211]", set(VOLUMES)),
    (lambda tree: (maps(tree) / f"{FIRST}_ses-01_cbf.nii.gz").unlink(), "cbf: no such file", {"cbf_under_30_ml"}),
    (lambda tree: scaled_tmax(tree, 10), "neither seconds nor milliseconds [FPE-217]", set(VOLUMES)),
    (lambda tree: scaled_tmax(tree, 0), "no voxel in the head is positive [FPE-214]", set(VOLUMES)),
    (lambda tree: outcome(tree).unlink(), "expected one table …_outcome.csv or .xlsx, got 0", {"final_mtici"}),
    (two_outcomes, "expected one table …_outcome.csv or .xlsx, got 2", {"final_mtici"}),
    (lambda tree: outcome(tree).write_text("a,b\n1,2\n"), "outcome: no column is known among a, b", {"final_mtici"}),
    (lambda tree: outcome(tree).write_text("TICI postinterventional\n3\n2b\n"), "got 2", {"final_mtici"}),
    (lambda tree: outcome(tree).write_text("TICI postinterventional\n2x\n"), "not one known value", {"final_mtici"}),
    (lambda tree: outcome(tree).write_bytes(b"\xff\xfe\x00"), "not a readable table", {"final_mtici"}),
    (
        lambda tree: baseline(tree).write_text("Age,Sex\n300,F\n"),
        "age_years: empty, since '300'",
        BASELINE - {"sex"},
    ),
]


@pytest.mark.parametrize(("broken", "note", "lost"), NOTED)
def test_what_is_missing_or_wrong_is_noted_and_the_rest_stays(
    tree: Path, sound: FoundCase, broken: Callable[[Path], object], note: str, lost: set[str]
) -> None:
    broken(tree)
    after = import_isles24(tree).cases[0]
    assert note in " ".join(after.notes)
    there, left = (set(case.cells) | set(case.images) for case in (sound, after))
    assert there - left == lost & there
    assert lost & there


def test_a_tree_without_phenotype_comes_in_without_clinic(tree: Path) -> None:
    shutil.rmtree(tree / "phenotype")
    imported = import_isles24(tree)
    assert imported.notes == ("phenotype: not there, so no clinical column is filled",)
    assert all(set(case.cells) == {*VOLUMES, "occlusion_side"} for case in imported.cases)


def test_folders_without_raw_data_or_with_two_are_refused(tmp_path: Path, tree: Path) -> None:
    (tmp_path / "empty").mkdir()
    for folder in (tmp_path / "empty", tree / "derivatives"):
        with pytest.raises(ImportFailed, match="expected rawdata/sub-NAME/ or raw_data/sub-NAME/"):
            import_isles24(folder)
    (tree / "rawdata" / FIRST).mkdir(parents=True)
    with pytest.raises(ImportFailed, match="raw data lie in rawdata and in raw_data"):
        import_isles24(tree)

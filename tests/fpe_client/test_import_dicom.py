"""`fpe-client import dicom` on a phantom export: the table, the report, and that nobody is in them."""

import csv
import errno
import gzip
import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import Result
from typer.testing import CliRunner

from fpe_client.cli import main
from fpe_core.data.case_table import read_case_table
from fpe_core.data.phantoms.dicom_series import PhantomSeries, PhantomStudy, seeded_uid, write_series
from fpe_core.imaging.nifti import read_volume
from fpe_core.imaging.volume import Volume

SEED = 4
ANNA = PhantomStudy(patient_id="PID-0042", name="Phantom^Annabella", date="20240229", accession="ACC-778899")
BRUNO = PhantomStudy(patient_id="PID-0077", name="Phantom^Brunhilde", date="20240311", accession="ACC-112233")
LATER = PhantomStudy(patient_id="PID-0042", name="Phantom^Annabella", date="20240304", accession="ACC-445566")
WHO = {"ReferringPhysicianName": "Doctor^Ottokar", "StationName": "CTSCANNER9", "PatientAddress": "Elm Street 9"}
IDENTIFYING = (
    "annabella", "brunhilde", "ottokar", "pid-00", "0042", "0077", "acc-", "778899", "112233", "20240229", "2024-02-29",
    "20240311", "2024-03-11", "20240304", "19470305", "1947", "2.25.", "phantom general", "ctscanner9", "elm street",
    "secretfolder", "im0",
)  # fmt: skip


def ct(slices: int, thickness_mm: float, seed: int) -> Volume:
    rng = np.random.default_rng(seed)
    affine = np.diag([-10.0, -10.0, thickness_mm, 1.0])
    return Volume(rng.integers(-100, 900, (18, 16, slices)).astype(np.float32), affine)


def write(
    folder: Path, volume: Volume, study: PhantomStudy, number: int, description: str, **elements: Any
) -> list[Path]:
    series = PhantomSeries("CT", number, description, elements={**WHO, **elements})
    paths: Iterator[Path] = (folder / f"IM{number:02}{n:03}" for n in range(1000))
    return write_series(paths, {None: volume}, series, study, seed=SEED)


@pytest.fixture(scope="module")
def export(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Anna with CT and CTA and a follow-up five days later; Bruno whose only plain CT lacks slices."""
    root = tmp_path_factory.mktemp("pacs") / "SecretFolder_Phantom"
    anna, bruno = root / "SecretFolderA", root / "SecretFolderB"
    write(anna, ct(24, 5.0, 1), ANNA, 2, "Kopf nativ 5.0 Annabella", ConvolutionKernel="J40s")
    write(anna, ct(60, 2.0, 2), ANNA, 3, "Kopf nativ Knochen", ConvolutionKernel="J70h")
    write(anna, ct(60, 2.0, 3), ANNA, 5, "CTA Kopf", ConvolutionKernel="B20f", ContrastBolusAgent="Iomeprol 350")
    write(anna, ct(3, 5.0, 4), ANNA, 1, "Topogramm Annabella")
    write(anna, ct(14, 5.0, 4), ANNA, 9, "Annabella spezial")
    write(root / "SecretFolderC", ct(24, 5.0, 5), LATER, 2, "Kopf nativ")
    files = write(bruno, ct(24, 5.0, 6), BRUNO, 2, "Kopf nativ")
    for path in files[8:12]:
        path.unlink()
    (bruno / "cut").write_bytes(files[0].read_bytes()[:300])
    (root / "README.txt").write_text("Annabella's scans")
    return root


def run(export: Path, out: Path, *words: str) -> Result:
    return CliRunner().invoke(main, ["import", "dicom", str(export), "--out", str(out), "--jobs", "1", *words])


@pytest.fixture(scope="module")
def imported(export: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    out = tmp_path_factory.mktemp("out") / "stroke"
    done = run(export, out, "--json")
    assert done.exit_code == 0, done.output
    return out, json.loads(done.stdout)["data"]


def report_of(out: Path) -> dict[str, Any]:
    report: dict[str, Any] = json.loads((out / "import-report.json").read_text())
    return report


def rows_of(out: Path) -> list[dict[str, str]]:
    with (out / "cases.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def tree(folder: Path) -> dict[str, tuple[str, int]]:
    return {
        str(path.relative_to(folder)): (hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mtime_ns)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_the_table_is_one_that_preprocess_reads(imported: tuple[Path, dict[str, Any]]) -> None:
    out, data = imported
    rows = rows_of(out)
    assert len(rows) == 2
    assert len({row["patient_id"] for row in rows}) == 1, "two cases of Anna"
    assert {problem.code for problem in read_case_table(out / "cases.csv").problems} == {"FPE-235"}
    assert all((out / row["ncct"]).is_file() for row in rows)
    assert (data["with_images"], data["images"], data["images_ready_before"]) == (2, 3, 0)


def test_the_preferred_series_is_taken_voxel_by_voxel(imported: tuple[Path, dict[str, Any]]) -> None:
    out, _ = imported
    row = next(row for row in rows_of(out) if row["cta"])
    read = read_volume(out / row["ncct"])
    assert read.data_xyz.shape == (18, 16, 24)
    assert sorted(read.data_xyz.ravel()) == sorted(ct(24, 5.0, 1).data_xyz.ravel())


def test_a_case_that_fails_ends_in_its_code_and_is_not_in_the_table(imported: tuple[Path, dict[str, Any]]) -> None:
    out, data = imported
    [failed] = [case for case in report_of(out)["cases"] if case["code"]]
    assert failed["code"] == "FPE-222"
    assert failed["failed"][0]["series"]["series_number"] == 2
    assert data["without_images"] == {failed["case_id"]: "FPE-222"}
    assert failed["case_id"] not in (out / "cases.csv").read_text()


def test_the_report_says_of_every_series_what_became_of_it(imported: tuple[Path, dict[str, Any]]) -> None:
    out, _ = imported
    case = next(case for case in report_of(out)["cases"] if len(case["images"]) == 2)
    assert {name: image["series"]["series_number"] for name, image in case["images"].items()} == {"ncct": 2, "cta": 5}
    assert {one["series_number"]: one["why"].split(";")[-1].strip() for one in case["left"]} == {
        1: "localiser: the description fits 'topogram\\w*'",
        3: "another kernel is preferred",
        9: "no text names it, and its numbers fit no rule",
    }
    report = report_of(out)
    assert sum(report["refused_files"].values()) == 1
    assert sum(report["ignored_files"].values()) == 1


def test_nobody_is_in_what_was_written(imported: tuple[Path, dict[str, Any]]) -> None:
    out, _ = imported
    files = [path for path in out.rglob("*") if path.is_file() and path.name != "link-table.json"]
    assert len(files) >= 8
    for path in files:
        content = path.read_bytes()
        if path.suffix == ".gz":
            assert content[3] == 0, "gzip stores no name"
            content = gzip.decompress(content)[:352]
        text = content.decode("latin-1").lower() + str(path.relative_to(out)).lower()
        # Hashes may hold any digits.
        words = " ".join(word for word in text.replace('"', " ").split() if len(word) < 60)
        for term in IDENTIFYING:
            if not term.isdigit() or path.suffix != ".csv":
                assert term not in _without_pseudonyms(words), f"{term} in {path}"


def _without_pseudonyms(text: str) -> str:
    return re.sub(r"\b(case|p)-[0-9a-f]{12}\b", "", text)


def test_the_link_table_says_who_they_are(imported: tuple[Path, dict[str, Any]]) -> None:
    out, _ = imported
    link = json.loads((out / "link-table.json").read_text())
    assert set(link["patients"].values()) == {"PID-0042", "PID-0077"}
    row = next(row for row in rows_of(out) if row["cta"])
    assert link["patients"][row["patient_id"]] == "PID-0042"
    assert link["cases"][row["case_id"]]["study_uids"] == [seeded_uid(SEED, ANNA.patient_id, ANNA.date)]
    assert link["cases"][row["case_id"]]["study_date"] == "2024-02-29"


def test_only_the_owner_may_read(imported: tuple[Path, dict[str, Any]]) -> None:
    out, _ = imported
    for path in out.rglob("*"):
        if path.is_file() and path.stat().st_size:
            assert path.stat().st_mode & 0o777 == 0o600, path


def test_a_second_import_changes_nothing_and_the_export_is_only_read(
    export: Path, imported: tuple[Path, dict[str, Any]]
) -> None:
    out, _ = imported
    modes = {path: path.stat().st_mode for path in [export, *export.rglob("*")]}
    before, written = tree(export), {name: digest for name, (digest, _) in tree(out).items()}
    images = {name: time for name, (_, time) in tree(out).items() if name.startswith("images")}
    for path in reversed(modes):
        path.chmod(0o555 if path.is_dir() else 0o444)
    try:
        done = run(export, out, "--json")
    finally:
        for path, mode in modes.items():
            path.chmod(mode)
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["data"]["images_ready_before"] == 3
    assert tree(export) == before
    again = tree(out)
    assert {name: time for name, (_, time) in again.items() if name.startswith("images")} == images
    changed = {name for name, (digest, _) in again.items() if written[name] != digest}
    assert changed == {"import-report.json"}, "which says that the images were ready"


@pytest.fixture
def clinical(tmp_path: Path) -> Path:
    path = tmp_path / "clinic.csv"
    path.write_text(
        "Hospital number;Surname;nihss;num_passes;treatment_date;note_24h;comment\n"
        "PID-0042;Annabella;15;2;2024-03-01;9;seen by Ottokar\n"
        "PID-0042;Annabella;8;1;2024-06-01;1;\n"
        "PID-0099;Nobody;3;1;2024-06-01;1;\n",
        encoding="utf-8-sig",
    )
    return path


def test_the_clinical_table_is_joined_by_the_patients_id(export: Path, tmp_path: Path, clinical: Path) -> None:
    out = tmp_path / "out"
    words = ("--clinical", str(clinical), "--patient-column", "Hospital number", "--keep", "note_24h", "--json")
    done = run(export, out, *words)
    assert done.exit_code == 0, done.output
    [row] = read_case_table(out / "cases.csv").rows
    assert set(row.images) == {"ncct", "cta"}, "the follow-up is no scan before the treatment"
    assert (row.nihss, row.num_passes, row.treatment_date) == (15, 2, date(2024, 3, 1))
    assert [row["note_24h"] for row in rows_of(out)] == ["9"]
    assert sorted(case["listed"] for case in report_of(out)["cases"]) == [False, False, True]
    report = report_of(out)["clinical"]
    assert (report["joined"], report["dropped"]) == (1, ["Surname", "comment"])
    assert report["unjoined"] == {
        "3": "no imaging on the day of treatment or the day before",
        "4": "no imported case of this patient",
    }
    text = (out / "cases.csv").read_text() + (out / "import-report.json").read_text()
    assert "Annabella" not in text
    assert "PID" not in text


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--clinical", "{clinical}"), "expected one column 'PatientID', got Hospital number"),
        (("--clinical", "{clinical}", "--patient-column", "Hospital number", "--keep", "Hospital number"), "not kept"),
        (("--clinical", "nowhere.csv"), "nowhere.csv: no such file"),
        (("--rules", "nowhere.yaml"), "nowhere.yaml: no such file"),
        (("--link-table", "{export}/link.json"), "lies in the export"),
    ],
)
def test_wrong_words_are_told_before_anything_is_read(
    export: Path, tmp_path: Path, clinical: Path, words: tuple[str, ...], said: str
) -> None:
    done = run(export, tmp_path / "out", *(word.format(clinical=clinical, export=export) for word in words))
    assert done.exit_code in (3, 4)
    assert said in " ".join(done.stderr.split())
    assert "Traceback" not in done.output
    assert not (tmp_path / "out" / "cases.csv").exists()


@pytest.mark.parametrize("kind", ["missing", "empty", "a file", "no DICOM"])
def test_a_folder_that_is_no_export(tmp_path: Path, kind: str) -> None:
    folder = tmp_path / "export"
    if kind == "a file":
        folder.write_text("x")
    elif kind != "missing":
        folder.mkdir()
    if kind == "no DICOM":
        (folder / "a.txt").write_text("x")
    done = run(folder, tmp_path / "out")
    assert done.exit_code == 4
    assert done.stderr.startswith("error [FPE-203]:")
    assert "hint: name the folder" in done.stderr


@pytest.fixture
def copy(imported: tuple[Path, dict[str, Any]], tmp_path: Path) -> Path:
    """An output folder to spoil."""
    return Path(shutil.copytree(imported[0], tmp_path / "copy"))


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda out: (out / "link-table.json").write_text("{"), "not a link table"),
        (lambda out: (out / "link-table.json").unlink(), "link table"),
        (lambda out: (out / "cases.csv").write_text("case_id,patient_id\n"), "was changed after it was imported"),
        (lambda out: (out / "import-report.json").write_text("{"), "not the report of an import"),
    ],
)
def test_what_would_be_lost_is_not_overwritten(export: Path, copy: Path, spoil: Any, said: str) -> None:
    spoil(copy)
    before = tree(copy)
    done = run(export, copy)
    assert done.exit_code == 4
    assert said in done.stderr
    assert "hint:" in done.stderr
    assert tree(copy) == before


def test_descriptions_that_no_pattern_fits_are_shown_to_the_person_only(export: Path, copy: Path) -> None:
    done = run(export, copy)
    assert done.exit_code == 0
    assert "Annabella spezial" in done.stderr
    assert "Annabella" not in done.stdout


def test_an_import_that_was_killed_before_the_table_goes_on(export: Path, copy: Path, clinical: Path) -> None:
    before = (copy / "cases.csv").read_bytes()
    words = ("--clinical", str(clinical), "--patient-column", "Hospital number")
    assert run(export, copy, *words).exit_code == 0
    after = (copy / "cases.csv").read_bytes()
    assert after != before
    # The report is written first: a kill leaves the table of the import before beside it.
    (copy / "cases.csv").write_bytes(before)
    (copy / ".link-table.json.a1b2c3d4").write_text("half")
    assert run(export, copy, *words).exit_code == 0
    assert (copy / "cases.csv").read_bytes() == after
    assert not list(copy.glob(".*.a1b2c3d4"))


def test_what_a_person_must_do_is_said(export: Path, copy: Path, clinical: Path) -> None:
    said = run(export, copy).stderr
    assert "1 patients have several cases without a treatment_date" in said
    failure, refused = said.index("ncct [FPE-222]:"), said.index("  [FPE-224]")
    assert failure < refused, "images of cases come before single files"
    words = ("--clinical", str(clinical), "--patient-column", "Hospital number")
    assert "several cases without" not in run(export, copy, *words).stderr


@pytest.mark.parametrize("words", [("--out", "{file}/out"), ("--link-table", "{file}/link.json")])
def test_a_place_that_cannot_be_written_is_told(export: Path, tmp_path: Path, words: tuple[str, ...]) -> None:
    (tmp_path / "file").write_text("mine")
    done = run(export, tmp_path / "out", *(word.format(file=tmp_path / "file") for word in words))
    assert done.exit_code == 4
    assert "error [FPE-200]" in done.stderr
    assert "hint: free space, or let this user write there" in done.stderr
    assert (tmp_path / "file").read_text() == "mine"


def test_a_full_disk_is_told(export: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    done = run(export, tmp_path / "out")
    assert done.exit_code == 4
    assert f"{tmp_path / 'out'}: No space left on device" in done.stderr


def test_phantoms_say_so_and_are_no_patients(tmp_path: Path) -> None:
    export, out = tmp_path / "export", tmp_path / "out"
    write(export / "a", ct(24, 5.0, 1), BRUNO, 2, "Kopf nativ", QualityControlImage="YES")
    assert run(export, out).exit_code == 0
    table = read_case_table(out / "cases.csv")
    assert (len(table.rows), table.synthetic) == (1, True)
    write(export / "b", ct(24, 5.0, 2), ANNA, 2, "Kopf nativ", QualityControlImage="NO")
    done = run(export, out)
    assert done.exit_code == 0
    assert "a phantom is no patient" in done.stderr
    table = read_case_table(out / "cases.csv")
    assert (len(table.rows), table.synthetic) == (1, False)
    assert "synthetic" not in (out / "cases.csv").read_text()
    assert {case["phantom"]: case["listed"] for case in report_of(out)["cases"]} == {True: False, False: True}

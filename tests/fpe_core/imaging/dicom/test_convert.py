"""NIfTI files that say where their voxels lie and nothing else; a series that fails costs no other."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest

from fpe_core.data.phantoms.dicom_series import tilted
from fpe_core.imaging.dicom import convert
from fpe_core.imaging.dicom.convert import ConversionTask, Source, convert_case, convert_cases, input_hash, nifti_bytes
from fpe_core.imaging.dicom.pseudonym import LinkTable
from fpe_core.imaging.dicom.series import Series, scan_folder
from fpe_core.imaging.nifti import read_volume
from fpe_core.imaging.volume import Volume

nib: Any = nibabel


@pytest.fixture
def sources(tmp_path: Path, write_dicom: Callable[..., list[Path]]) -> tuple[Source, Source]:
    """Two good series."""
    write_dicom(number=1)
    write_dicom(number=2)
    first, second = scan_folder(tmp_path / "export").series
    return Source(first, "one"), Source(second, "two")


def damage(series: Series) -> None:
    for path in series.files:
        content = path.read_bytes()
        path.write_bytes(content[: len(content) - 40])


@pytest.mark.parametrize("values", [lambda v: v.round(), lambda v: v + 0.25, lambda v: v.round() * 1000])
def test_a_file_gives_back_every_voxel(tmp_path: Path, place: Callable[..., Volume], values: Any) -> None:
    volume = place()
    volume = volume.with_data(values(volume.data_xyz))
    path = tmp_path / "v.nii.gz"
    path.write_bytes(nifti_bytes(volume))
    read = read_volume(path)
    np.testing.assert_array_equal(read.data_xyz, volume.data_xyz)
    np.testing.assert_allclose(read.affine_ras, volume.affine_ras, atol=1e-4)


def test_whole_numbers_take_half_the_room(tmp_path: Path, place: Callable[..., Volume]) -> None:
    volume = place()
    for values, kind in ((volume.data_xyz.round(), np.int16), (volume.data_xyz + 0.25, np.float32)):
        path = tmp_path / "v.nii.gz"
        path.write_bytes(nifti_bytes(volume.with_data(values)))
        assert nib.load(path).get_data_dtype() == kind


def test_the_same_volume_gives_the_same_bytes_without_a_time(place: Callable[..., Volume]) -> None:
    content = nifti_bytes(place())
    assert content == nifti_bytes(place())
    assert content[4:8] == bytes(4), "the time in gzip's header"
    assert content[3] == 0, "no file name, no comment"


def test_the_header_holds_no_text(tmp_path: Path, place: Callable[..., Volume]) -> None:
    path = tmp_path / "v.nii.gz"
    path.write_bytes(nifti_bytes(place()))
    header = nib.load(path).header
    assert not header.extensions
    for name in ("descrip", "aux_file", "intent_name", "db_name", "data_type"):
        assert header[name].item() in (b"", "")


def test_a_tilted_gantry_is_in_the_sform(tmp_path: Path, place: Callable[..., Volume]) -> None:
    volume = tilted(place(), tilt_deg=20.0)
    path = tmp_path / "v.nii.gz"
    path.write_bytes(nifti_bytes(volume))
    image = nib.load(path)
    assert (int(image.header["sform_code"]), int(image.header["qform_code"])) == (1, 0)
    np.testing.assert_allclose(read_volume(path).affine_ras, volume.affine_ras, atol=1e-4)


def test_what_is_ready_is_not_made_again(tmp_path: Path, sources: tuple[Source, Source]) -> None:
    task = ConversionTask("case-1", tmp_path / "out", {"ncct": sources[:1]})
    first = convert_case(task).images["ncct"]
    stamp = (tmp_path / "out" / "ncct.nii.gz").stat().st_mtime_ns
    again = convert_case(task).images["ncct"]
    assert (first.cached, again.cached) == (False, True)
    assert again.sha256 == first.sha256
    assert (tmp_path / "out" / "ncct.nii.gz").stat().st_mtime_ns == stamp
    assert (tmp_path / "out" / "ncct.nii.gz").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("change", ["other inputs", "damaged image", "damaged note", "no note"])
def test_what_changed_is_made_again(tmp_path: Path, sources: tuple[Source, Source], change: str) -> None:
    task = ConversionTask("case-1", tmp_path / "out", {"ncct": sources[:1]})
    first = convert_case(task).images["ncct"]
    image, note = tmp_path / "out" / "ncct.nii.gz", tmp_path / "out" / "ncct.json"
    match change:
        case "other inputs":
            task = ConversionTask("case-1", tmp_path / "out", {"ncct": (Source(sources[0].series, "other"),)})
        case "damaged image":
            image.write_bytes(image.read_bytes()[:-5])
        case "damaged note":
            note.write_text("{")
        case "no note":
            note.unlink()
    again = convert_case(task).images["ncct"]
    assert not again.cached
    assert again.sha256 == first.sha256
    assert convert_case(task).images["ncct"].cached


def test_the_next_series_steps_in_for_one_that_cannot_be_read(tmp_path: Path, sources: tuple[Source, Source]) -> None:
    damage(sources[0].series)
    outcome = convert_case(ConversionTask("case-1", tmp_path / "out", {"ncct": sources}))
    assert outcome.images["ncct"].rank == 1
    [failure] = outcome.failures
    assert (failure.sequence, failure.rank) == ("ncct", 0)
    assert failure.code.startswith("FPE-2")


def test_a_broken_case_costs_no_other(tmp_path: Path, sources: tuple[Source, Source]) -> None:
    damage(sources[0].series)
    tasks = [ConversionTask(f"case-{n}", tmp_path / f"out{n}", {"ncct": (source,)}) for n, source in enumerate(sources)]
    outcomes = {outcome.case_id: outcome for outcome in convert_cases(tasks, jobs=2)}
    assert not outcomes["case-0"].images
    assert set(outcomes["case-1"].images) == {"ncct"}


class _Deadly:
    """Kills the process that unpickles it, as a crash in a decoder would."""

    def __reduce__(self) -> tuple[Any, tuple[int]]:
        return os._exit, (9,)


def test_a_process_that_dies_costs_its_own_case(tmp_path: Path, sources: tuple[Source, Source]) -> None:
    deadly: Any = ConversionTask("case-0", tmp_path / "out0", {"ncct": (_Deadly(),)})  # type: ignore[arg-type]
    good = ConversionTask("case-1", tmp_path / "out1", {"ncct": sources[1:]})
    outcomes = {outcome.case_id: outcome for outcome in convert_cases([deadly, good], jobs=1)}
    assert [failure.code for failure in outcomes["case-0"].failures] == ["FPE-221"]
    assert set(outcomes["case-1"].images) == {"ncct"}


def test_an_error_nobody_foresaw_has_a_code(
    tmp_path: Path, sources: tuple[Source, Source], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(convert, "nifti_bytes", lambda _: 1 / 0)
    [failure] = convert_case(ConversionTask("case-1", tmp_path / "out", {"ncct": sources[:1]})).failures
    assert failure.code == "FPE-221"
    assert "ZeroDivisionError" in failure.message


def test_inputs_are_known_by_path_size_and_time(tmp_path: Path, sources: tuple[Source, Source]) -> None:
    series, root, table = sources[0].series, tmp_path / "export", LinkTable.load(tmp_path / "link.json")
    before = input_hash(series, root, table)
    assert before == input_hash(series, root, table)
    assert before != input_hash(sources[1].series, root, table)
    os.utime(series.files[0], ns=(1, 1))
    assert before != input_hash(series, root, table)


def test_what_a_killed_write_left_is_removed(tmp_path: Path, sources: tuple[Source, Source]) -> None:
    folder = tmp_path / "c"
    folder.mkdir()
    for name in (".ncct.nii.gz.ab12_xyz", ".ncct.json.k3jd82_a", ".ncct.notes", "mine.txt"):
        (folder / name).write_text("half")
    convert_case(ConversionTask("c", folder, {"ncct": sources[:1]}))
    assert {path.name for path in folder.iterdir()} == {"ncct.nii.gz", "ncct.json", ".ncct.notes", "mine.txt"}

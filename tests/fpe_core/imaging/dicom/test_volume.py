"""A series becomes a volume whose every voxel lies where the scanner measured it."""

import itertools

import nibabel
import numpy as np
import pydicom
import pytest

from fpe_core.data.phantoms.dicom_series import tilted
from fpe_core.imaging.dicom.pixels import AIR_HU
from fpe_core.imaging.dicom.volume import read_series
from fpe_core.imaging.geometry import itk_frame
from fpe_core.imaging.itk import sitk
from fpe_core.imaging.volume import Volume

AXIAL = np.array([[-1.5, 0, 0, 20], [0, -2, 0, 30], [0, 0, 5.0, -10], [0, 0, 0, 1]])


def turned(degrees: float) -> np.ndarray:
    angle = np.deg2rad(degrees)
    turn = np.eye(4)
    turn[1:3, 1:3] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    return turn


def corners(shape: tuple[int, ...]) -> np.ndarray:
    return np.array([[*corner, 1] for corner in itertools.product(*((0, size - 1) for size in shape))]).T


def test_an_ordinary_series_is_read_as_itk_reads_it(write_dicom, only_series):
    paths = write_dicom()
    read = read_series(only_series())
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(paths[0].parent)))
    image = reader.Execute()
    np.testing.assert_array_equal(read.volume.data_xyz, sitk.GetArrayFromImage(image).transpose(2, 1, 0))
    origin, spacing, direction = itk_frame(read.volume.affine_ras)
    np.testing.assert_allclose(image.GetOrigin(), origin, atol=1e-6)
    np.testing.assert_allclose(image.GetSpacing(), spacing, atol=1e-6)
    np.testing.assert_allclose(np.reshape(image.GetDirection(), (3, 3)), direction, atol=1e-6)
    assert read.notes == ()


@pytest.mark.parametrize("axes", ["RAS", "LPS", "LAS", "RPI", "PSR", "ASL", "LSA", "RIP", "SRA"])
def test_slices_of_any_orientation_lie_where_they_were(place, write_dicom, only_series, assert_placed, axes):
    shape = (9, 11, 7)
    order = nibabel.orientations.axcodes2ornt(axes)
    affine = AXIAL @ nibabel.orientations.inv_ornt_aff(order, shape)
    write_dicom(place(turned(12) @ affine, shape))
    volume = read_series(only_series()).volume
    assert_placed(volume)
    written = turned(12) @ affine @ corners(shape)
    read = volume.affine_ras @ corners(volume.data_xyz.shape)
    nearest = np.linalg.norm(written.T[:, None] - read.T[None], axis=2).min(axis=1)
    np.testing.assert_allclose(nearest, 0, atol=1e-4)


def test_instance_numbers_and_file_names_do_not_matter(write_dicom, only_series, assert_placed, edit):
    for path, number in zip(write_dicom(), np.random.default_rng(0).permutation(10), strict=True):
        edit(path, InstanceNumber=int(number))
        path.rename(path.with_name(f"{(number * 7) % 10}"))
    assert_placed(read_series(only_series()).volume)


@pytest.mark.parametrize("tilt_deg", [-25.0, -8.0, 12.0, 30.0])
def test_a_tilted_gantry_gives_a_sheared_affine(place, write_dicom, only_series, assert_placed, tilt_deg):
    big = place(AXIAL, (14, 30, 24))
    scan = tilted(big, tilt_deg=tilt_deg)
    inside = Volume(scan.data_xyz[:, 9:21, 8:16], scan.affine_ras @ shifted(0, 9, 8))
    write_dicom(inside, elements={"GantryDetectorTilt": tilt_deg})
    read = read_series(only_series())
    np.testing.assert_allclose(read.volume.affine_ras, inside.affine_ras, atol=1e-4)
    assert_placed(read.volume)
    unit = read.volume.affine_ras[:3, :3] / read.volume.spacing_mm
    assert abs(unit[:, 1] @ unit[:, 2]) == pytest.approx(np.sin(np.deg2rad(abs(tilt_deg))), abs=1e-4)
    assert f"sheared by {abs(tilt_deg):.1f} degrees" in read.notes[0]


def shifted(*index: int) -> np.ndarray:
    move = np.eye(4)
    move[:3, 3] = index
    return move


@pytest.mark.parametrize(
    "stored",
    [
        {"signed": True},
        {"signed": False, "bits_stored": 12},
        {"signed": True, "bits_stored": 12},
        {"slope": 0.5},
        {"compression": "rle"},
        {"compression": "jpeg-lossless"},
        {"compression": "jpeg-lossless", "signed": True},
        {"compression": "jpeg-2000"},
        {"multi_frame": True},
        {"multi_frame": True, "compression": "rle"},
    ],
    ids=str,
)
def test_ways_of_storing_values_make_no_difference(write_dicom, only_series, assert_placed, stored):
    write_dicom(**stored)
    volume = read_series(only_series()).volume
    assert volume.data_xyz.shape == (14, 12, 10)
    assert_placed(volume)


def test_overlays_in_unused_bits_are_no_signal(write_dicom, only_series, assert_placed, edit):
    for path in write_dicom(bits_stored=12):
        pixels = np.frombuffer(pydicom.dcmread(path).PixelData, "<u2")
        edit(path, PixelData=(pixels | 0xA000).tobytes())
    assert_placed(read_series(only_series()).volume)


def test_each_slice_has_its_own_scale(place, write_dicom, only_series, assert_placed, edit):
    for index, path in enumerate(write_dicom({None: place()}, modality="MR")):
        pixels = np.frombuffer(pydicom.dcmread(path).PixelData, "<u2").astype(np.float64)
        slope, intercept = 0.25 * (1 + index % 3), 10.0 * index
        stored = np.rint((pixels - intercept) / slope + 500).astype("<u2")
        edit(path, RescaleSlope=slope, RescaleIntercept=intercept - 500 * slope, PixelData=stored.tobytes())
    assert_placed(read_series(only_series()).volume, tolerance=0.9)


@pytest.mark.parametrize(("signed", "padding"), [(True, -2000), (False, 63536)])
def test_what_the_scanner_did_not_measure_is_air(write_dicom, only_series, edit, signed, padding):
    for path in write_dicom(signed=signed):
        dataset = pydicom.dcmread(path)
        pixels = np.frombuffer(dataset.PixelData, "<i2" if signed else "<u2").copy()
        pixels[:5] = padding
        dataset.add_new("PixelPaddingValue", "SS" if signed else "US", padding)
        dataset.PixelData = pixels.tobytes()
        dataset.save_as(path)
    volume = read_series(only_series()).volume
    assert (volume.data_xyz[:5, 0] == AIR_HU).all()
    assert (volume.data_xyz[5:, 0] != AIR_HU).all()


def test_frames_of_one_file_in_any_order(place, write_dicom, only_series, assert_placed, edit):
    path = write_dicom(multi_frame=True)[0]
    dataset = pydicom.dcmread(path)
    order = np.random.default_rng(1).permutation(10)
    groups = list(dataset.PerFrameFunctionalGroupsSequence)
    pixels = np.frombuffer(dataset.PixelData, "<u2").reshape(10, -1)
    edit(path, PerFrameFunctionalGroupsSequence=[groups[i] for i in order], PixelData=pixels[order].tobytes())
    assert_placed(read_series(only_series()).volume)


@pytest.mark.parametrize("lost", [[4], [1, 7], [2, 6], [1, 8]])
def test_single_missing_slices_are_filled_in(write_dicom, only_series, assert_placed, lost):
    paths = write_dicom()
    for index in lost:
        paths[index].unlink()
    read = read_series(only_series())
    assert read.volume.data_xyz.shape == (14, 12, 10)
    assert_placed(read.volume, tolerance=1.01)
    assert read.notes == (f"{len(lost)} missing slice{'s' * (len(lost) > 1)} filled in from both neighbours",)


def test_two_thicknesses_become_the_thinner(place, write_dicom, only_series, assert_placed):
    thin, thick = np.diag([1.0, 1, 2.5, 1]), np.diag([1.0, 1, 5.0, 1])
    thick[2, 3] = 6 * 2.5 + 3.75
    write_dicom(place(thin, (8, 9, 7)))
    write_dicom(place(thick, (8, 9, 8)), time="021701", elements={"AcquisitionTime": "021702"})
    read = read_series(only_series())
    assert read.volume.spacing_mm[2] == pytest.approx(2.5, rel=0.05)
    assert_placed(read.volume, tolerance=1.01)
    assert "resampled" in read.notes[0]
    extent = (read.volume.data_xyz.shape[2] - 1) * read.volume.spacing_mm[2]
    assert extent == pytest.approx(thick[2, 3] + 7 * 5.0, abs=1e-3)


def test_positions_rounded_to_a_tenth_are_even(place, write_dicom, only_series, edit):
    affine = np.diag([1.0, 1, 0.625, 1])
    for index, path in enumerate(write_dicom(place(affine, (8, 9, 30)))):
        edit(path, ImagePositionPatient=[0, 0, round(0.625 * index, 1)])
    read = read_series(only_series())
    assert read.notes == ()
    assert read.volume.spacing_mm[2] == pytest.approx(0.625, abs=1e-3)
    assert read.volume.data_xyz.shape[2] == 30


def test_doubled_slices_are_left_out(write_dicom, only_series, assert_placed):
    paths = write_dicom()
    for path in paths[2:5]:
        (path.parent / f"again-{path.name}").write_bytes(path.read_bytes())
    read = read_series(only_series())
    assert_placed(read.volume)
    assert read.volume.data_xyz.shape == (14, 12, 10)
    assert read.notes == ("3 doubled slices left out",)


def test_what_a_reader_should_know_is_noted(write_dicom, only_series, edit):
    for path in write_dicom():
        edit(path, LossyImageCompression="01", PhotometricInterpretation="MONOCHROME1")
    notes = read_series(only_series()).notes
    assert [note.split()[0] for note in notes] == ["pixels", "MONOCHROME1:"]

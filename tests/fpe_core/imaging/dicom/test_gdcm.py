"""GDCM works in a process of its own, whose end is an error like any other."""

import os
import signal
import tempfile

import numpy as np
import pydicom
import pytest

from fpe_core.imaging.dicom.gdcm import GdcmReader


def test_the_end_of_the_child_is_an_error_and_leaves_nothing(write_dicom, place, tmp_path, monkeypatch):
    dataset = pydicom.dcmread(write_dicom(compression="jpeg-lossless")[2])
    syntax = dataset.file_meta.TransferSyntaxUID
    frames = tmp_path / "frames"
    frames.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(frames))
    with GdcmReader() as reader:
        pixels = reader.pixels(dataset, syntax, 0)
        np.testing.assert_allclose(pixels - 1024.0, place().data_xyz[:, :, 2].T, atol=0.51)
        child = reader._child
        assert child is not None
        os.kill(child.pid, signal.SIGSEGV)
        child.wait()
        with pytest.raises(RuntimeError):
            reader.pixels(dataset, syntax, 0)
        assert list(frames.iterdir())
    assert not list(frames.iterdir())


def test_no_child_is_started_without_need():
    with GdcmReader() as reader:
        pass
    assert reader._child is None

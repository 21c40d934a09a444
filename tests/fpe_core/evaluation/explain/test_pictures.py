import stat
from typing import get_args

import numpy as np
import pytest
from PIL import Image

from fpe_core.config.study import ClinicalColumn
from fpe_core.errors import ModelError
from fpe_core.evaluation.explain.daft import Contribution
from fpe_core.evaluation.explain.overlay import Scene, most_attended, write_overlay
from fpe_core.evaluation.explain.radar import COLUMN_WORDS, write_radar

SHAPE = (6, 40, 40)


@pytest.fixture
def background():
    return np.random.default_rng(0).uniform(0.3, 0.6, SHAPE).astype(np.float32)


@pytest.fixture
def attention():
    """Slice 4 above all, in its front on the patient's right; a little in slice 1."""
    found = np.zeros(SHAPE, np.float32)
    found[4, :12, :12] = 1
    found[1, 20:24, 20:24] = 0.3
    return found


def test_the_slices_with_most_attention_are_chosen_from_foot_to_head(attention):
    assert most_attended([attention], 2) == (1, 4)
    assert most_attended([attention, np.roll(attention, 1, axis=0)], 2) == (4, 5)
    assert most_attended([np.zeros((7, 2, 2), np.float32)]) == (2, 3, 4)
    assert most_attended([np.zeros((2, 2, 2), np.float32)]) == (0, 1)


def test_colour_lies_where_the_attention_is(tmp_path, background, attention):
    pixels, panels = _drawn(tmp_path, Scene(background, "CTA"), {"Grad-CAM": attention}, slices=[4])
    coloured = _saturation(pixels) > 60
    plain, under_map = panels[0]
    assert not coloured[plain][:, 30:-30].any(), "the image alone is grey"
    rows, columns = np.nonzero(coloured[under_map][:, 30:-30])
    height, width = coloured[under_map].shape
    # Row 0 is in front, column 0 on the patient's right, which is the left of the picture.
    assert rows.max() < 0.35 * height
    assert columns.max() < 0.35 * width
    assert coloured[under_map].mean() > 0.04


def test_vessels_are_outlined_on_the_maps_only(tmp_path, background, attention):
    vessels = np.zeros(SHAPE, bool)
    vessels[4, 25:35, 25:35] = True
    with_mask, panels = _drawn(tmp_path, Scene(background, "CTA", vessels=vessels), {"Grad-CAM": attention}, slices=[4])
    without, _ = _drawn(tmp_path, Scene(background, "CTA"), {"Grad-CAM": attention}, slices=[4])
    plain, under_map = panels[0]
    changed = (with_mask.astype(int) != without.astype(int)).any(axis=2)
    assert not changed[plain].any()
    rows, columns = np.nonzero(changed[under_map])
    height, width = changed[under_map].shape
    np.testing.assert_allclose([rows.min() / height, rows.max() / height], [25 / 40, 35 / 40], atol=0.02)
    np.testing.assert_allclose([columns.min() / width, columns.max() / width], [25 / 40, 35 / 40], atol=0.02)


def test_pixels_that_are_not_square_are_drawn_in_proportion(tmp_path, background, attention):
    _, square = _drawn(tmp_path, Scene(background, "CTA"), {"a": attention}, slices=[4])
    _, tall = _drawn(tmp_path, Scene(background, "CTA", pixel_mm=(2.0, 1.0)), {"a": attention}, slices=[4])
    heights = [panels[0][0][0].stop - panels[0][0][0].start for panels in (square, tall)]
    assert heights[1] == pytest.approx(2 * heights[0], abs=4)


def test_a_row_for_each_slice_and_a_column_for_each_map(tmp_path, background, attention):
    maps = {"Before DAFT": attention, "After DAFT": np.zeros(SHAPE, np.float32)}
    pixels, panels = _drawn(tmp_path, Scene(background, "CTA"), maps)
    assert (len(panels), len(panels[0])) == (3, 3)
    assert 900 < pixels.shape[1] < 1400
    assert 900 < pixels.shape[0] < 1400


def test_nothing_touches_the_edge_and_the_same_input_gives_the_same_bytes(tmp_path, background, attention):
    path = tmp_path / "made" / "overlay.png"
    for name in ("one", "two"):
        write_overlay(path, Scene(background, "CTA"), {name: attention}, title="A case")
        pixels = _pixels(path)
        for edge in (pixels[:5], pixels[-5:], pixels[:, :5], pixels[:, -5:]):
            assert not edge.any()
    first = path.read_bytes()
    write_overlay(path, Scene(background, "CTA"), {"two": attention}, title="A case")
    assert path.read_bytes() == first


def test_the_picture_is_the_owners_alone(tmp_path, background, attention):
    write_overlay(tmp_path / "overlay.png", Scene(background, "CTA"), {"a": attention}, title="A case")
    assert stat.S_IMODE((tmp_path / "overlay.png").stat().st_mode) == 0o600


def test_volumes_without_contrast_can_be_drawn(tmp_path):
    flat = np.zeros(SHAPE, np.float32)
    write_overlay(tmp_path / "a.png", Scene(flat, "CTA", vessels=np.ones(SHAPE, bool)), {"a": flat}, title="Empty")
    write_overlay(tmp_path / "a.png", Scene(flat + 1, "CTA", vessels=flat > 0), {"a": flat + 1}, title="Full")


def test_an_overlay_of_what_does_not_fit_is_refused(tmp_path, background, attention):
    scene, path = Scene(background, "CTA"), tmp_path / "a.png"
    with pytest.raises(ModelError, match="at least one map"):
        write_overlay(path, scene, {}, title="")
    with pytest.raises(ModelError, match="one or more of 0 to 5, got none"):
        write_overlay(path, scene, {"a": attention}, title="", slices=[])
    with pytest.raises(ModelError, match=r"After DAFT should be \[6, 40, 40\] as the CTA is, got \[5, 40, 40\]"):
        write_overlay(path, scene, {"Before DAFT": attention, "After DAFT": attention[1:]}, title="", slices=[0])
    with pytest.raises(ModelError, match="vessels should be"):
        write_overlay(path, Scene(background, "CTA", vessels=attention[1:] > 0), {"a": attention}, title="")
    with pytest.raises(ModelError, match=r"one or more of 0 to 5, got \[6\]"):
        write_overlay(path, scene, {"a": attention}, title="", slices=[0, 6])
    assert not path.exists()


def test_every_clinical_column_has_words():
    assert set(COLUMN_WORDS) == set(get_args(ClinicalColumn))


def test_a_radar_has_a_spoke_for_each_column_in_the_order_given(tmp_path):
    path = tmp_path / "made" / "radar.png"
    write_radar(path, {"EfficientNet-B0": _contributions([1, 0, 0, 0])}, title="Contributions")
    top = _filled(path)
    write_radar(path, {"EfficientNet-B0": _contributions([0, 1, 0, 0])}, title="Contributions")
    right = _filled(path)
    assert top[0] < right[0] - 50, "the first spoke points up"
    assert right[1] > top[1] + 50, "the second, of four, to the right"


def test_a_radar_of_18_columns_and_two_models_fits_its_page(tmp_path):
    columns = get_args(ClinicalColumn)[:18]
    values = np.random.default_rng(0).gamma(2, 0.1, (2, 18))
    models = {
        name: [Contribution(column, value) for column, value in zip(columns, row, strict=True)]
        for name, row in zip(("refractory", "reperfused"), values, strict=True)
    }
    write_radar(tmp_path / "radar.png", models, title="Contributions")
    pixels = _pixels(tmp_path / "radar.png")
    assert pixels.shape[1] == 990
    assert 850 < pixels.shape[0] < 1000
    for edge in (pixels[:5], pixels[-5:], pixels[:, :5], pixels[:, -5:]):
        assert (edge == 255).all()


def test_a_radar_of_zeros_can_be_drawn(tmp_path):
    write_radar(tmp_path / "radar.png", {"a": _contributions([0, 0, 0])}, title="Nothing")


def test_a_radar_of_what_does_not_fit_is_refused(tmp_path):
    with pytest.raises(ModelError, match="one or more with the same columns"):
        write_radar(tmp_path / "a.png", {}, title="")
    with pytest.raises(ModelError, match="same columns in the same order"):
        write_radar(
            tmp_path / "a.png", {"a": _contributions([1, 2, 3]), "b": _contributions([1, 2, 3])[::-1]}, title=""
        )
    with pytest.raises(ModelError, match="at least 3 columns"):
        write_radar(tmp_path / "a.png", {"a": _contributions([1, 2])}, title="")


def _contributions(values):
    return [Contribution(column, float(value)) for column, value in zip(get_args(ClinicalColumn), values, strict=False)]


def _drawn(folder, scene, maps, **options):
    """The picture, and its panels as pairs of slices, by row and column, found by their grey."""
    path = folder / "overlay.png"
    write_overlay(path, scene, maps, title="A case", **options)
    pixels = _pixels(path)
    bright = pixels.min(axis=2) > 40
    rows, columns = _runs(bright.sum(axis=1) > 300), _runs(bright.sum(axis=0) > 200)
    return pixels, [[(row, column) for column in columns] for row in rows]


def _runs(marked):
    edges = np.flatnonzero(np.diff(np.r_[False, marked, False].astype(int)))
    # What is short is a line of words or the colour bar.
    runs = [slice(int(begin) + 3, int(end) - 3) for begin, end in zip(edges[::2], edges[1::2], strict=True)]
    return [run for run in runs if run.stop - run.start > 100]


def _pixels(path):
    return np.asarray(Image.open(path).convert("RGB"))


def _saturation(pixels):
    return pixels.max(axis=2).astype(int) - pixels.min(axis=2)


def _filled(path):
    """Row and column of the middle of what is drawn in the first model's colour, without the legend."""
    pixels = _pixels(path)[:-100].astype(int)
    rows, columns = np.nonzero(np.abs(pixels - [0x00, 0x72, 0xB2]).max(axis=2) < 20)
    return rows.mean(), columns.mean()

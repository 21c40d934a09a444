"""Which studies become one case, and which series of a sequence is taken."""

from dataclasses import replace
from datetime import date, datetime
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest

from fpe_core.imaging.dicom.choose import CaseChoice, choose_cases
from fpe_core.imaging.dicom.headers import Frame, SeriesAttributes
from fpe_core.imaging.dicom.rules import load_rules
from fpe_core.imaging.dicom.series import Series

RULES = load_rules(None)
HOUR_S = 3600.0
FRAME = Frame(
    path=Path("x"), index=0, shape=(1, 1), position_lps_mm=None, orientation=None, pixel_spacing_mm=None,
    thickness_mm=None, image_type=(), echo_time_ms=None, b_value=None, gradient=None, temporal=None, trigger_ms=None,
    acquisition=None, time_s=None, frame_of_reference="",
)  # fmt: skip
PLAIN = SeriesAttributes(
    modality="CT", description="Kopf nativ", protocol="", sequence_name="", image_type=("ORIGINAL", "PRIMARY", "AXIAL"),
    contrast_agent=False, kernel="J40s", b_value=None, echo_time_ms=None, repetition_time_ms=None,
    inversion_time_ms=None, scanning_sequence="", slice_thickness_mm=5.0, spacing_mm=(0.45, 0.45, 5.0), num_slices=30,
    body_part="HEAD", manufacturer="", derivation="", number=3, time_s=10 * HOUR_S,
)  # fmt: skip
ANGIO = replace(
    PLAIN, description="CTA", contrast_agent=True, kernel="B20f", slice_thickness_mm=0.75, spacing_mm=(0.4, 0.4, 0.5),
    num_slices=400, number=5,
)  # fmt: skip
DIFFUSION = replace(PLAIN, modality="MR", description="DWI", b_value=1000.0, image_type=("ORIGINAL", "PRIMARY"))


def series(
    attributes: SeriesAttributes,
    study: str = "1.1",
    patient: str = "P1",
    day: int | None = 10,
    key: str = "",
    **changes: Any,
) -> Series:
    changed = replace(attributes, **changes)
    on = None if day is None else date(2024, 3, day)
    return Series(study, patient, changed, (FRAME,), key or f"{study}.{changed.number}", on)


def taken(choice: CaseChoice) -> dict[str, int | None]:
    return {name: ranked[0].series.attributes.number for name, ranked in choice.ranked.items()}


def only_case(*members: Series) -> CaseChoice:
    [choice] = choose_cases(members, RULES)
    return choice


@pytest.mark.parametrize(
    ("better", "worse", "why"),
    [
        ({"image_type": ("ORIGINAL", "PRIMARY")}, {"image_type": ("DERIVED", "SECONDARY")}, "original"),
        ({"kernel": "J40s"}, {"kernel": "J70h"}, "kernel"),
        ({"kernel": "J40s"}, {"kernel": "unheard of"}, "kernel"),
        ({"kernel": "unheard of"}, {"kernel": "BONEPLUS"}, "kernel"),
        ({"slice_thickness_mm": 4.0}, {"slice_thickness_mm": 1.0}, "slices of 4 mm"),
        ({"slice_thickness_mm": 7.0}, {"slice_thickness_mm": 8.0}, "slices of 7 mm"),
        ({"slice_thickness_mm": 1.0}, {"slice_thickness_mm": None}, "unknown thickness"),
        ({"num_slices": 32}, {"num_slices": 28}, "32 slices"),
        ({"time_s": 11 * HOUR_S}, {"time_s": 10 * HOUR_S}, "later"),
        ({"number": 3}, {"number": 4}, "lower series number"),
        # An earlier criterion outweighs all later ones.
        ({"kernel": "J40s", "num_slices": 20}, {"kernel": "J70h", "num_slices": 60}, "kernel"),
    ],
)
def test_preference_for_plain_ct(better: dict[str, Any], worse: dict[str, Any], why: str) -> None:
    one, other = series(PLAIN, **{"number": 8, **better}), series(PLAIN, **{"number": 9, **worse})
    for members in ((one, other), (other, one)):
        first, second = only_case(*members).ranked["ncct"]
        assert first.series is one
        assert why in second.why


def test_angiography_is_taken_thin() -> None:
    thick = series(ANGIO, number=4, slice_thickness_mm=3.0, spacing_mm=(0.4, 0.4, 3.0), num_slices=60)
    assert taken(only_case(thick, series(ANGIO, number=5)))["cta"] == 5


def test_order_of_series_does_not_matter() -> None:
    members = [
        series(PLAIN),
        series(PLAIN, number=4, kernel="J70h"),
        series(ANGIO),
        series(ANGIO, number=6, num_slices=300),
    ]
    expected = only_case(*members)
    assert all(only_case(*order) == expected for order in permutations(members))


def test_series_without_number_are_last_and_still_ordered() -> None:
    one, other = series(PLAIN, number=None, key="1.5"), series(PLAIN, number=None, key="1.6")
    assert only_case(other, one).ranked["ncct"][0].series is one


def test_directions_of_one_series_are_left() -> None:
    directions = [series(DIFFUSION, key="1.9") for _ in range(3)]
    choice = only_case(*directions)
    assert not choice.ranked
    assert {left.why for left in choice.left} == {
        "one of 3 volumes of one series: time points or directions, not a single dwi"
    }
    assert set(only_case(*[series(DIFFUSION, key=f"1.{n}", number=n) for n in range(3)]).ranked) == {"dwi"}


def test_an_angiography_filed_as_its_own_study_completes_the_case() -> None:
    [choice] = choose_cases([series(ANGIO, "1.2", time_s=10.2 * HOUR_S), series(PLAIN, "1.9")], RULES)
    assert choice.study_keys == ("1.9", "1.2"), "in order of time"
    assert taken(choice) == {"ncct": 3, "cta": 5}


def test_also_over_midnight() -> None:
    members = [series(PLAIN, "1.1", day=10, time_s=23.5 * HOUR_S), series(ANGIO, "1.2", day=11, time_s=0.2 * HOUR_S)]
    assert len(choose_cases(members, RULES)) == 1


@pytest.mark.parametrize(
    ("second", "because"),
    [
        (series(ANGIO, "1.2", day=12), "more than a day later"),
        (series(ANGIO, "1.2", patient="P2"), "another patient"),
        (series(ANGIO, "1.2", day=None), "an unknown day"),
        (series(PLAIN, "1.2", time_s=20 * HOUR_S), "the same sequence again: it may be after the treatment"),
        (series(DIFFUSION, "1.2", time_s=12 * HOUR_S), "another modality: it may be after the treatment"),
    ],
)
def test_what_stays_a_case_of_its_own(second: Series, because: str) -> None:
    assert len(choose_cases([series(PLAIN, "1.1"), second], RULES)) == 2, because


def test_the_hours_are_the_rules() -> None:
    members = [series(PLAIN, "1.1"), series(ANGIO, "1.2", time_s=15 * HOUR_S)]
    assert len(choose_cases(members, RULES)) == 2
    assert len(choose_cases(members, RULES.model_copy(update={"same_case_within_h": 6.0}))) == 1


def test_a_control_scan_in_the_study_of_the_first_one_is_left() -> None:
    first, control = series(PLAIN), series(PLAIN, number=9, time_s=16 * HOUR_S)
    choice = only_case(control, first, series(ANGIO))
    assert taken(choice) == {"ncct": 3, "cta": 5}, "though the latest is preferred among repeated ones"
    assert [left.series for left in choice.left] == [control]
    assert "more than 3 h after the case's first image" in choice.left[0].why


@pytest.mark.parametrize("untimed", ["Topogramm", "CTA"])
def test_a_series_without_a_time_makes_no_other_late(untimed: str) -> None:
    odd = series(ANGIO, description=untimed, number=1, time_s=None)
    choice = only_case(odd, series(PLAIN))
    assert choice.started == datetime(2024, 3, 10, 10)
    assert taken(choice)["ncct"] == 3
    assert ("cta" in choice.ranked) == (untimed == "CTA")


def test_a_follow_up_does_not_replace_the_first_scan() -> None:
    first = [series(PLAIN, "1.1"), series(ANGIO, "1.1")]
    cases = choose_cases([*first, series(PLAIN, "1.2", time_s=20 * HOUR_S)], RULES)
    assert [sorted(case.ranked) for case in cases] == [["cta", "ncct"], ["ncct"]]


def test_a_study_without_anything_is_a_case_without_sequence() -> None:
    choice = only_case(series(PLAIN, description="Scout"))
    assert not choice.ranked
    assert [left.why for left in choice.left] == ["localiser: the description fits 'scout'"]


def test_what_identifies_is_not_shown() -> None:
    assert "P1" not in repr(only_case(series(PLAIN, "1.2.3")))
    assert "1.2.3" not in repr(only_case(series(PLAIN, "1.2.3")))

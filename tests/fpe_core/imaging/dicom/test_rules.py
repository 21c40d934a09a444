"""The rules file: what a pattern finds, and what a mistake in a site's own file is answered with."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fpe_core.errors import ConfigError, ConfigKeyUnknown, ConfigValueInvalid
from fpe_core.imaging.dicom.rules import DEFAULT_RULES, Range, found, load_rules, plain


def changed(tmp_path: Path, old: str, new: str) -> tuple[Path, int]:
    """The shipped rules with one change, and the line it is on."""
    text = DEFAULT_RULES.read_text(encoding="utf-8")
    assert old in text
    path = tmp_path / "site-rules.yaml"
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    return path, text[: text.index(old)].count("\n") + 1


def test_the_shipped_rules_know_the_sequences_of_both_protocols() -> None:
    rules = load_rules(None)
    assert set(rules.sequences) == {"ncct", "cta", "dwi", "b0", "adc", "flair"}
    assert all(rule.prefer for rule in rules.sequences.values())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Schädel_nativ (5.0)", "schadel nativ 5 0"),
        ("  T2/FLAIR--tra ", "t2 flair tra"),
        ("CRÂNIO", "cranio"),
        ("", ""),
    ],
)
def test_texts_are_searched_plain(text: str, expected: str) -> None:
    assert plain(text) == expected


@given(st.text(max_size=64))
def test_plain_text_stays_as_it_is(text: str) -> None:
    assert plain(plain(text)) == plain(text)


@pytest.mark.parametrize(
    ("pattern", "text", "fits"),
    [
        ("cta", "CTA_Kopf", True),
        ("cta", "octal", False),
        (r"nativ\w*", "Schädel native", True),
        ("w o", "HEAD W/O", True),
        (r"(?<!without )contrast", "without contrast", False),
        (r"(?<!without )contrast", "with contrast", True),
    ],
)
def test_patterns_fit_whole_words(pattern: str, text: str, fits: bool) -> None:
    assert (found((pattern,), text) is not None) == fits


def test_accents_in_a_pattern_are_taken_off_too(tmp_path: Path) -> None:
    path, _ = changed(tmp_path, "names: [ncct, nect,", "names: [schädelübersicht, nect,")
    assert "schadelubersicht" in load_rules(path).sequences["ncct"].names


def test_a_misspelt_key_is_told_with_its_line(tmp_path: Path) -> None:
    path, line = changed(tmp_path, "same_case_within_h", "same_case_within_hours")
    with pytest.raises(ConfigKeyUnknown, match=f"{path}:{line}: same_case_within_hours") as error:
        load_rules(path)
    assert "same_case_within_h" in error.value.hint


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("not_names: [cta,", "not_nams: [cta,", "sequences.ncct.not_nams: unknown key"),
        ("names: [ncct,", "names: ['(ncct',", "not a regular expression"),
        ("names: [ncct,", r"names: ['\w*',", "fits everything"),
        (
            "slice_thickness_mm: {min: 0.4, max: 10}",
            "slice_thickness_mm: {min: 10, max: 4}",
            "min should not be above max",
        ),
        ("num_slices: {min: 12}", "slices: {min: 12}", "'num_slices'"),
        ("{by: thickness, range: {min: 3, max: 6}}", "{by: thickness}", "range belongs to by: thickness"),
        ("      - by: slices", "      - by: size", "'slices'"),
        ("  ncct:\n", "  nccct:\n", "'ncct'"),
        ("    modality: CT", "    modality: ct", "'CT' or 'MR'"),
    ],
)
def test_mistakes_are_told_with_file_line_and_what_was_expected(tmp_path: Path, old: str, new: str, said: str) -> None:
    path, line = changed(tmp_path, old, new)
    with pytest.raises(ConfigError) as error:
        load_rules(path)
    message = str(error.value)
    assert message.startswith(f"{path}:")
    # A rule of several lines is told by the line that it begins on, or the next key's.
    assert abs(int(message.split(":")[1]) - line) <= 1
    assert said in message


def test_a_kind_without_patterns_would_never_fit(tmp_path: Path) -> None:
    path = tmp_path / "rules.yaml"
    path.write_text("never: [{name: nothing}]\nsequences: {adc: {modality: MR, names: [adc]}}\n")
    with pytest.raises(ConfigValueInvalid, match="at least one pattern"):
        load_rules(path)


@given(st.floats(-100, 100), st.floats(0, 50), st.floats(-200, 200))
def test_distance_to_a_range(low: float, width: float, value: float) -> None:
    allowed = Range(min=low, max=low + width)
    inside = low <= value <= low + width
    assert (allowed.distance(value) == 0) == inside
    assert Range(min=low).distance(value) == max(0.0, low - value)

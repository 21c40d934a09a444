"""The clinical table between 0 and 1: hand-computed scales, the missing rule, and no look at test rows."""

from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pydantic import ValidationError
from sklearn.preprocessing import MinMaxScaler

from fpe_core.config.study import ClinicalColumn
from fpe_core.data.case_table import CaseRow
from fpe_core.data.clinical_columns import COLUMN_RULES
from fpe_core.data.tabular import TableScaler, declared_scaler, raw_columns, too_many_missing

NAN = float("nan")
ALL: tuple[ClinicalColumn, ...] = get_args(ClinicalColumn)
MIXED: tuple[ClinicalColumn, ...] = ("age_years", "sex", "occlusion_site", "nihss", "smoker", "aspects")
TRAIN = np.array([
    [60.0, 1.0, 1.0, 10.0, NAN, NAN],
    [80.0, NAN, 2.0, 10.0, 1.0, NAN],
    [NAN, 0.0, NAN, 10.0, 0.0, NAN],
    [90.0, 1.0, 0.0, 10.0, NAN, NAN],
])  # fmt: skip


def case(**cells: Any) -> CaseRow:
    return CaseRow.model_validate({"case_id": "c", "patient_id": "p", "images": {}, **cells})


def perfusion(**cells: float | None) -> CaseRow:
    volumes = {"cbf_under_30_ml": 5, "tmax_over_4_s_ml": 180, "tmax_over_6_s_ml": 100, "tmax_over_10_s_ml": 40}
    return case(**{**volumes, **cells})


def test_raw_columns_keep_rows_and_columns_in_order() -> None:
    rows = [case(age_years=70, sex="M"), case(sex="F"), case(age_years=50)]
    expected = [[0.0, 70.0], [1.0, NAN], [NAN, 50.0]]
    raw = raw_columns(rows, ("sex", "age_years"))
    assert raw.dtype == np.float64
    np.testing.assert_array_equal(raw, expected)
    np.testing.assert_array_equal(raw_columns(rows, ["age_years", "sex"]), np.array(expected)[:, ::-1])


def test_no_row_and_no_column_still_have_a_shape() -> None:
    assert raw_columns([], ("sex", "nihss")).shape == (0, 2)
    assert raw_columns([case(), case()], ()).shape == (2, 0)
    assert declared_scaler(()).transform(np.empty((2, 0))).values.shape == (2, 0)


@pytest.mark.parametrize("use", [lambda names: raw_columns([], names), declared_scaler])
@pytest.mark.parametrize(
    ("columns", "match"),
    [
        (("nihss", "blood_pressure"), "'blood_pressure' is not known, expected one of age_years, sex"),
        (("nihss", "aspects", "nihss"), "stand once, got nihss, aspects, nihss"),
        ({"nihss", "aspects"}, "whose order counts, got a set"),
        ("nihss", "whose order counts, got a str"),
    ],
)
def test_unknown_repeated_and_unordered_columns_are_refused(use: Any, columns: Any, match: str) -> None:
    with pytest.raises(ValueError, match=match):
        use(columns)


def test_a_fit_by_hand() -> None:
    """Ages 60, 80, 90; sex 1, 0, 1; sites 1, 2, 0; one NIHSS; a tie among smokers; no ASPECTS."""
    scaler = TableScaler.fit(TRAIN, MIXED)
    assert scaler.low == (60.0, 0.0, 0.0, 10.0, 0.0, 0.0)
    assert scaler.high == (90.0, 1.0, 3.0, 10.0, 1.0, 0.0)
    assert scaler.fill == (80.0, 1.0, 1.0, 10.0, 0.0, 0.0)
    assert scaler.empty == ("aspects",)
    table = scaler.transform(TRAIN)
    expected = [
        [0, 1, 1 / 3, 0, 0, 0],
        [2 / 3, 1, 2 / 3, 0, 1, 0],
        [2 / 3, 0, 1 / 3, 0, 0, 0],
        [1, 1, 0, 0, 0, 0],
    ]
    np.testing.assert_allclose(table.values, expected, rtol=0, atol=1e-15)
    report = table.report
    assert report.imputed == {"age_years": 1, "sex": 1, "occlusion_site": 1, "smoker": 2, "aspects": 4}
    assert (report.clipped, report.constant, report.empty) == ({}, ("nihss",), ("aspects",))
    assert str(report) == (
        "clinical columns of 4 cases: filled in age_years 1, sex 1, occlusion_site 1, smoker 2, aspects 4; "
        "constant nihss; without any value aspects"
    )


def test_values_beyond_the_training_rows_go_to_the_end_and_are_counted() -> None:
    scaler = TableScaler.fit(TRAIN, MIXED)
    table = scaler.transform(np.array([[50.0, 0, 3, 42, 1, 5], [95.0, 0, 0, NAN, 1, NAN], [75.0, 0, 0, 10, 1, NAN]]))
    np.testing.assert_allclose(table.values[:, 0], [0, 1, 0.5])
    np.testing.assert_array_equal(table.values[:, 2], [1, 0, 0])
    np.testing.assert_array_equal(table.values[:, [3, 5]], 0)
    assert table.report.clipped == {"age_years": 2}
    assert table.report.imputed == {"nihss": 1, "aspects": 2}


def test_continuous_columns_are_scaled_as_scikit_learn_does() -> None:
    raw = np.random.default_rng(0).normal(60, 15, size=(40, 3))
    scaled = TableScaler.fit(raw, ("age_years", "tmax_over_4_s_ml", "tmax_over_6_s_ml")).transform(raw).values
    np.testing.assert_allclose(scaled, MinMaxScaler().fit_transform(raw), rtol=0, atol=1e-12)


def test_a_binary_column_takes_the_more_frequent_value() -> None:
    for known, fill in (([1, 1, 0], 1.0), ([1, 0, 0], 0.0), ([1, 0], 0.0)):
        raw = np.array([*known, NAN], dtype=np.float64)[:, None]
        assert TableScaler.fit(raw, ("diabetes",)).transform(raw).values[-1, 0] == fill


def test_a_column_with_one_value_is_zero_whatever_its_kind() -> None:
    raw = np.array([[1.0, 2.0, 7.0], [1.0, NAN, 7.0]])
    table = TableScaler.fit(raw, ("sex", "occlusion_site", "aspects")).transform(np.array([[1.0, 3.0, 9.0]]))
    np.testing.assert_array_equal(table.values, 0)
    assert table.report.constant == ("sex", "occlusion_site", "aspects")


cells = st.one_of(st.just(NAN), st.floats(0, 2000, allow_nan=False), st.integers(0, 3).map(float))


@settings(max_examples=60, deadline=None)
@given(train=arrays(np.float64, (5, len(ALL)), elements=cells), test=arrays(np.float64, (3, len(ALL)), elements=cells))
def test_any_table_ends_between_0_and_1_and_comes_back_from_json(train: Any, test: Any) -> None:
    for scaler in (TableScaler.fit(train, ALL), declared_scaler(ALL)):
        again = TableScaler.model_validate_json(scaler.model_dump_json())
        assert again == scaler
        for raw in (train, test):
            values = scaler.transform(raw).values
            assert np.isfinite(values).all()
            assert ((values >= 0) & (values <= 1)).all()
            np.testing.assert_array_equal(again.transform(raw).values, values)


@settings(max_examples=40, deadline=None)
@given(test=arrays(np.float64, (3, len(MIXED)), elements=cells), position=st.integers(0, 2))
def test_test_rows_decide_nothing(test: Any, position: int) -> None:
    """Neither the scale, nor what training rows become, nor what another test row becomes."""
    scaler = TableScaler.fit(TRAIN, MIXED)
    alone = scaler.transform(TRAIN).values
    together = scaler.transform(np.concatenate([TRAIN, test])).values
    np.testing.assert_array_equal(together[: len(TRAIN)], alone)
    one = test[position : position + 1]
    np.testing.assert_array_equal(scaler.transform(one).values[0], together[len(TRAIN) + position])
    assert scaler == TableScaler.fit(TRAIN, MIXED)


def test_a_fit_does_not_depend_on_the_rows_order_nor_change_them() -> None:
    before = TRAIN.copy()
    assert TableScaler.fit(TRAIN[::-1], MIXED) == TableScaler.fit(TRAIN, MIXED)
    TableScaler.fit(TRAIN, MIXED).transform(TRAIN)
    np.testing.assert_array_equal(TRAIN, before)


def test_declared_scales_by_hand() -> None:
    columns: tuple[ClinicalColumn, ...] = ("age_years", "nihss", "tmax_over_6_s_ml", "tmax4_to_tmax6_ratio", "sex")
    table = declared_scaler(columns).transform(np.array([[60.0, 21, 100, 3, 1], [NAN] * 5, [120, 42, 1600, 0.5, 0]]))
    expected = [[0.5, 0.5, 0.25, 0.5, 1], [81 / 120, 15 / 42, 102 / 400, 0.78 / 4, 1], [1, 1, 1, 0, 0]]
    np.testing.assert_allclose(table.values, expected, rtol=1e-12)
    assert table.report.imputed == dict.fromkeys(columns, 1)
    assert table.report.clipped == {"tmax_over_6_s_ml": 1, "tmax4_to_tmax6_ratio": 1}
    assert (table.report.constant, table.report.empty) == ((), ())


def test_the_declared_scale_is_the_same_for_a_column_in_any_company() -> None:
    raw = np.array([[77.0, 12.0, NAN]])
    together = declared_scaler(("age_years", "nihss", "sex")).transform(raw).values
    for position, name in enumerate(("age_years", "nihss", "sex")):
        alone = declared_scaler((name,)).transform(raw[:, [position]]).values  # type: ignore[arg-type]  # a literal
        assert alone[0, 0] == together[0, position]


@pytest.mark.parametrize(
    ("missing", "count"),
    [
        ((), 0),
        (("cbf_under_30_ml",), 1),
        (("tmax_over_4_s_ml",), 2),
        (("tmax_over_6_s_ml",), 3),
        (("cbf_under_30_ml", "tmax_over_10_s_ml"), 3),
        (("tmax_over_6_s_ml", "cbf_under_30_ml"), 4),
        (("tmax_over_4_s_ml", "tmax_over_10_s_ml"), 4),
        (("tmax_over_6_s_ml", "tmax_over_10_s_ml"), 4),
    ],
)
def test_more_than_three_missing_ctp_parameters_exclude_a_case(missing: tuple[str, ...], count: int) -> None:
    """A volume takes its ratios with it."""
    row = perfusion(**dict.fromkeys(missing))
    assert int(np.isnan(raw_columns([row], ALL))[:, 12:18].sum()) == count
    assert too_many_missing(row) == (count > 3)
    assert too_many_missing(row, ALL) == (count > 3)


def test_only_ctp_parameters_that_the_model_sees_count() -> None:
    assert too_many_missing(case(age_years=70, nihss=3))
    assert not too_many_missing(case(), ("age_years", "sex", "nihss", "aspects"))
    assert not too_many_missing(case(), ("cbf_under_30_ml", "tmax_over_4_s_ml", "tmax_over_6_s_ml", "nihss"))
    assert not too_many_missing(perfusion(tmax_over_6_s_ml=0))


def test_a_table_of_another_shape_is_refused() -> None:
    scaler = TableScaler.fit(TRAIN, MIXED)
    with pytest.raises(ValueError, match=r"should be \[N, 6\] \(age_years, sex, .*got \[4, 5\]"):
        scaler.transform(TRAIN[:, :5])
    with pytest.raises(ValueError, match=r"should be \[N, 5\]"):
        TableScaler.fit(TRAIN, MIXED[:5])
    with pytest.raises(ValueError, match="got an infinite value"):
        scaler.transform(np.full((1, 6), np.inf))
    with pytest.raises(ValueError, match="at least one training row"):
        TableScaler.fit(TRAIN[:0], MIXED)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"low": (0.0, 1.0)}, "a number for each of 1 columns"),
        ({"low": (50.0,), "high": (40.0,)}, "low should be at most high"),
        ({"fill": (float("nan"),)}, "finite"),
        ({"columns": ("iq",)}, "Input should be"),
        ({"unit": "year"}, "Extra inputs"),
    ],
)
def test_a_damaged_scaler_is_refused(change: dict[str, Any], match: str) -> None:
    good = {"columns": ("age_years",), "low": (20.0,), "high": (100.0,), "fill": (81.0,)}
    TableScaler.model_validate(good)
    with pytest.raises(ValidationError, match=match):
        TableScaler.model_validate(good | change)


def test_a_scaler_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        declared_scaler(("nihss",)).fill = (3.0,)  # type: ignore[misc]  # what is tested
    with pytest.raises(TypeError):
        COLUMN_RULES["nihss"] = COLUMN_RULES["sex"]  # type: ignore[index]  # what is tested

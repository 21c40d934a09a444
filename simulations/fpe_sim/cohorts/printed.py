"""Table 1 of both papers as printed: AJNR 2024 (UCLA) and EJR 2025 (Vall d'Hebron)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from fpe_core.data.case_row import CaseRow
from fpe_core.data.clinical_columns import column_value
from fpe_core.data.labels import label_of


@dataclass(frozen=True)
class Share:
    """Patients with something: `count (percent %)`; `percent` is None where the paper prints the number alone."""

    count: int
    percent: float | None = None

    def __str__(self) -> str:
        return f"{self.count}" if self.percent is None else f"{self.count} ({self.percent:g} %)"


@dataclass(frozen=True)
class Mean:
    """`mean (SD sd)`."""

    mean: float
    sd: float

    def __str__(self) -> str:
        return f"{self.mean:g} (SD {self.sd:g})"


@dataclass(frozen=True)
class Median:
    """`median (first quartile-third quartile)`."""

    median: float
    first: float
    third: float

    def __str__(self) -> str:
        return f"{self.median:g} ({self.first:g}-{self.third:g})"


Printed = Share | Mean | Median


@dataclass(frozen=True)
class PrintedRow:
    """One row.

    Attributes:
        name: of the row.
        measure: a patient's value; 1 and 0 for yes and no, None where it is not known.
        cells: one for each group of the table.
        p: the printed p value of the group comparison.
        unlike: numbers in it that contradict other numbers of the paper, so that both cannot come out: median, first
            or third (quartile). `discrepancies` says why.
    """

    name: str
    measure: Callable[[CaseRow], float | None]
    cells: tuple[Printed, ...]
    p: str = ""
    unlike: frozenset[str] = frozenset()


@dataclass(frozen=True)
class PrintedTable:
    """One table.

    Attributes:
        title: with the paper.
        groups: heading and printed size of each group.
        rows: in the paper's order.
    """

    title: str
    groups: tuple[tuple[str, int], ...]
    rows: tuple[PrintedRow, ...]


def _yes(column: str) -> Callable[[CaseRow], float | None]:
    def measure(row: CaseRow) -> float | None:
        value = getattr(row, column)
        return None if value is None else float(value)

    return measure


def _female(row: CaseRow) -> float | None:
    return None if row.sex is None else float(row.sex == "F")


def _onset_below(minutes: float) -> Callable[[CaseRow], float]:
    """Of all patients: an unknown onset is not below."""
    return lambda row: float(row.onset_to_image_min is not None and row.onset_to_image_min < minutes)


def _course(row: CaseRow) -> tuple[str, str] | None:
    """How it went and the grade by which it is known; None where it is not."""
    first = label_of("fpe", row)
    if first == 1:
        return "first", row.mtici_after_first_pass or row.final_mtici or ""
    if first is None or row.final_mtici is None:
        return None
    return ("later" if row.final_mtici in {"2b", "2c", "3"} else "failed"), row.final_mtici


def _course_is(course: str, grade: str | None = None) -> Callable[[CaseRow], float | None]:
    def measure(row: CaseRow) -> float | None:
        found = _course(row)
        return None if found is None else float(found[0] == course and grade in (None, found[1]))

    return measure


def _grades(course: str, heading: str, counts: dict[str, tuple[int, int, int]]) -> tuple[PrintedRow, ...]:
    return tuple(
        PrintedRow(f"{heading}, mTICI {grade}", _course_is(course, grade), tuple(Share(count) for count in three))
        for grade, three in counts.items()
    )


UCLA_TABLE_ONE: Final = PrintedTable(
    title="UCLA, AJNR 2024, table 1",
    groups=(("total", 332), ("MR", 152), ("CT", 180)),
    rows=(
        PrintedRow("female", _female, (Share(180, 54.22), Share(86, 56.58), Share(96, 53.33)), p=".6303"),
        PrintedRow(
            "age, years", _yes("age_years"), (Mean(71.49, 15.94), Mean(70.72, 16.11), Mean(72.13, 15.77)), p=".4237"
        ),
        PrintedRow("NIHSS", _yes("nihss"), (Median(16, 10, 20), Median(15, 8, 19), Median(16, 11, 21)), p=".0496"),
        PrintedRow(
            "IV thrombolysis", _yes("iv_thrombolysis"), (Share(96, 28.92), Share(35, 23.03), Share(61, 33.89)),
            p="<.0001",
        ),
        PrintedRow(
            "onset to image, min", _yes("onset_to_image_min"),
            (Median(150, 101, 335), Median(167, 123, 255), Median(113, 83, 191)), p=".6013",
            unlike=frozenset({"third"}),
        ),
        PrintedRow(
            "unknown onset", lambda row: float(row.onset_to_image_min is None),
            (Share(80, 24.10), Share(42, 27.63), Share(38, 21.11)),
        ),
        PrintedRow("onset < 4.5 h", _onset_below(270), (Share(168, 50.60), Share(71, 46.71), Share(97, 53.89))),
        PrintedRow("onset < 6 h", _onset_below(360), (Share(185, 55.72), Share(77, 50.66), Share(108, 60.00))),
        PrintedRow(
            "unsuccessful", _course_is("failed"), (Share(59, 17.78), Share(28, 18.42), Share(31, 17.22)), p=".5191"
        ),
        *_grades("failed", "unsuccessful", {"0": (20, 11, 9), "1": (4, 2, 2), "2a": (34, 15, 20)}),
        PrintedRow(
            "success in 2 or more passes", _course_is("later"), (Share(133, 40.06), Share(57, 37.50), Share(76, 42.22))
        ),
        *_grades("later", "2 or more passes", {"2b": (73, 37, 37), "2c": (31, 12, 20), "3": (25, 8, 19)}),
        PrintedRow(
            "success at the first pass", _course_is("first"), (Share(140, 42.17), Share(67, 44.08), Share(73, 40.56))
        ),
        *_grades("first", "first pass", {"2b": (59, 31, 31), "2c": (34, 14, 21), "3": (43, 22, 21)}),
    ),
)  # fmt: skip
VDH_TABLE_ONE: Final = PrintedTable(
    title="Vall d'Hebron, EJR 2025, table 1",
    groups=(("training", 481), ("training, rLVO", 77), ("test", 118), ("test, rLVO", 16)),
    rows=(
        PrintedRow(
            "age, years", _yes("age_years"),
            (Median(81, 72, 88), Median(78, 67, 88), Median(79, 63, 86), Median(78, 66, 85)),
        ),
        PrintedRow("female", _female, (Share(261, 54.3), Share(41, 53.2), Share(62, 52.5), Share(5, 31.3))),
        PrintedRow(
            "hypertension", _yes("hypertension"), (Share(192, 39.9), Share(27, 35.1), Share(35, 29.6), Share(6, 37.5))
        ),
        PrintedRow(
            "dyslipidaemia", _yes("dyslipidaemia"),
            (Share(211, 43.9), Share(27, 35.1), Share(48, 40.7), Share(3, 18.8)),
        ),
        PrintedRow("diabetes", _yes("diabetes"), (Share(127, 26.4), Share(15, 19.5), Share(20, 16.9), Share(3, 18.8))),
        PrintedRow(
            "atrial fibrillation", _yes("atrial_fibrillation"),
            (Share(165, 34.3), Share(13, 16.9), Share(33, 28.0), Share(3, 18.8)),
        ),
        PrintedRow("smoker", _yes("smoker"), (Share(112, 23.3), Share(18, 23.4), Share(30, 25.4), Share(6, 37.5))),
        PrintedRow(
            "wake-up or unwitnessed", _yes("unwitnessed_onset"),
            (Share(176, 36.6), Share(28, 36.3), Share(71, 60.2), Share(7, 43.8)),
        ),
        PrintedRow(
            "thrombolysis", _yes("iv_thrombolysis"),
            (Share(179, 37.2), Share(44, 44.1), Share(25, 21.2), Share(4, 25.0)),
        ),
        PrintedRow(
            "NIHSS", _yes("nihss"), (Median(15, 9, 20), Median(15, 10, 21), Median(17, 12, 21), Median(19, 12, 34))
        ),
        PrintedRow(
            "ASPECTS", _yes("aspects"), (Median(9, 8, 10), Median(9, 8, 10), Median(7, 6, 8), Median(7, 6, 8))
        ),
        PrintedRow(
            "CBF < 30 %, ml", _yes("cbf_under_30_ml"),
            (Median(0, 0, 15), Median(0, 0, 18), Median(0, 0, 16), Median(0, 0, 21)),
        ),
        PrintedRow(
            "Tmax > 10 s, ml", _yes("tmax_over_10_s_ml"),
            (Median(40, 17, 82), Median(44, 20, 88), Median(38, 14, 72), Median(28, 18, 80)),
        ),
        PrintedRow(
            "Tmax > 6 s, ml", _yes("tmax_over_6_s_ml"),
            (Median(102, 61, 155), Median(115, 71, 164), Median(96, 56, 142), Median(78, 57, 145)),
        ),
        PrintedRow(
            "Tmax > 4 s, ml", _yes("tmax_over_4_s_ml"),
            (Median(191, 128, 261), Median(204, 149, 282), Median(189, 139, 289), Median(193, 119, 276)),
        ),
        PrintedRow(
            "HIR", lambda row: column_value(row, "hypoperfusion_intensity_ratio"),
            (Median(0.43, 0.25, 0.57), Median(0.45, 0.26, 0.61), Median(0.40, 0.26, 0.56), Median(0.46, 0.27, 0.55)),
        ),
        PrintedRow(
            "Tmax > 4 s / Tmax > 6 s", lambda row: column_value(row, "tmax4_to_tmax6_ratio"),
            (Median(1.78, 1.49, 2.29), Median(1.84, 1.50, 2.38), Median(1.91, 1.51, 2.76), Median(2.16, 1.55, 3.57)),
        ),
    ),
)  # fmt: skip

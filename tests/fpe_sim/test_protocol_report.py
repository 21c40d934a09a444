"""The report of a protocol: paper and here beside each other, and nothing that needs a network."""

import re
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from types import ModuleType

import pytest

from fpe_core.errors import ResultsUnreadable
from fpe_sim.protocol_report import render_protocol_report
from fpe_sim.run_record import RunRecord


class Cells(HTMLParser):
    """The rows of every table, each cell with its column span."""

    def __init__(self) -> None:
        super().__init__()
        self.tables: list[list[list[tuple[str, int]]]] = []
        self._inside = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.tables[-1][-1].append(("", int(dict(attrs).get("colspan") or 1)))
            self._inside = True

    def handle_endtag(self, tag: str) -> None:
        if tag in ("td", "th"):
            self._inside = False

    def handle_data(self, data: str) -> None:
        if self._inside:
            text, span = self.tables[-1][-1][-1]
            self.tables[-1][-1][-1] = (text + data, span)


@pytest.fixture(scope="module")
def figures(made_up: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("figures")
    made_up.made_up_figures(folder)
    return folder


@pytest.fixture(scope="module")
def report(made_up: ModuleType, figures: Path) -> str:
    return render_protocol_report(made_up.made_up_results(), made_up.SETTINGS, made_up.RECORD, figures=figures)


@pytest.fixture(scope="module")
def tables(report: str) -> list[list[list[tuple[str, int]]]]:
    parser = Cells()
    parser.feed(report)
    return parser.tables


def test_columns_with_a_number_of_the_paper_are_two(tables: list[list[list[tuple[str, int]]]]) -> None:
    _, paired, unpaired, very_wide = tables
    assert [span for _, span in paired[0]] == [1, 2, 2, 2, 2]
    assert [text for text, _ in paired[1]] == ["paper", "here"] * 4
    assert [text for text, _ in paired[2]][:3] == ["ADC-DL", ".7000 (.0500)", ".6000 (.0400)"]
    assert [span for _, span in unpaired[0]] == [1, 1, 1, 1]
    assert [text for text, _ in unpaired[1]] == ["A", "0.700 (0.600 to 0.800)", "0.171", "–"]
    # The specificity of validation is not in the paper: it alone is a single column.
    assert [span for _, span in very_wide[0]] == [1, 2, 2, 2, 1, 2, 2, 2, 2]
    assert {len(row) for row in very_wide[2:]} == {16}


def test_a_gap_is_shown_on_either_side(tables: list[list[list[tuple[str, int]]]]) -> None:
    rows = {row[0][0]: [text for text, _ in row[1:]] for row in tables[1]}
    assert rows["Only in the paper"] == [".7105 (.0333)", "–"] * 4
    assert rows["Only here: all columns of the table, logistic regression"] == ["–", ".6644 (.0555)"] * 4


def test_every_text_is_escaped_and_nothing_is_fetched(report: str) -> None:
    assert "MNT-DL + SSL &lt;script&gt;" in report
    assert "<script" not in report
    assert not re.search(r'(src|href)="(?!data:|#)', report)
    assert report.count("data:image/svg+xml;base64,") == 4


def test_findings_come_before_tables_and_all_is_there(report: str, made_up: ModuleType) -> None:
    results, text = made_up.made_up_results(), unescape(report)
    places = [text.index(part) for part in ("Phantoms", results.findings[0], "Who took part", '<h2 id="tables">')]
    assert places == sorted(places)
    for part in (
        *results.findings,
        *results.discrepancies,
        made_up.RECORD.command,
        "0.871 from images",
        "30 a sequence",
    ):
        assert part in text
    assert "20% of the protocol" in report
    assert "3 h 20 min with 2 jobs, in 2 parts" in report
    assert "training.learning_rate" in report


def test_patients_need_no_banner(made_up: ModuleType, figures: Path) -> None:
    real = made_up.made_up_results().model_copy(update={"synthetic": False, "cohorts": ()})
    text = render_protocol_report(real, made_up.SETTINGS, RunRecord(command="fpe-sim run x"), figures=figures)
    assert 'class="banner"' not in text
    assert "Who took part" not in text


def test_a_missing_figure_is_named(made_up: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(ResultsUnreadable, match=r"roc\.svg: a figure of the results is missing"):
        render_protocol_report(made_up.made_up_results(), made_up.SETTINGS, made_up.RECORD, figures=tmp_path)


def test_a_table_without_rows_says_so(made_up: ModuleType, figures: Path) -> None:
    results = made_up.made_up_results()
    empty = results.model_copy(update={"tables": (results.tables[0].model_copy(update={"rows": ()}),)})
    text = render_protocol_report(empty, made_up.SETTINGS, made_up.RECORD, figures=figures)
    assert "This run has no row for this table." in text

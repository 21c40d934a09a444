"""`results.json` of a protocol: what it refuses, and what survives a round trip. docs/protocol-results.md lists it."""

import math
import re
from pathlib import Path
from types import ModuleType

import pytest
from pydantic import BaseModel, ValidationError

from fpe_core.errors import ResultsUnreadable
from fpe_sim import protocol_results
from fpe_sim.csv_tables import COLUMNS
from fpe_sim.protocol_results import Entry, ResultTable, Row, load_protocol_results, save_protocol_results

DOCUMENT = Path(__file__).parents[2] / "docs" / "protocol-results.md"


def models() -> dict[str, type[BaseModel]]:
    found = vars(protocol_results).items()
    return {
        name: model
        for name, model in found
        if isinstance(model, type) and issubclass(model, BaseModel)
        if model.__module__ == protocol_results.__name__ and not name.startswith("_")
    }


def test_what_was_written_is_read_again(made_up: ModuleType, tmp_path: Path) -> None:
    results = made_up.made_up_results()
    save_protocol_results(results, tmp_path / "results.json")
    again = load_protocol_results(tmp_path / "results.json")
    assert math.isnan(again.numbers["undefined"])
    without = {"numbers": {"auc": 0.742}}
    assert again.model_copy(update=without) == results.model_copy(update=without)


@pytest.mark.parametrize("content", ["", "{}", '{"schema_version": 2}'])
def test_another_file_is_refused(content: str, tmp_path: Path) -> None:
    (tmp_path / "results.json").write_text(content)
    with pytest.raises(ResultsUnreadable):
        load_protocol_results(tmp_path / "results.json")
    with pytest.raises(ResultsUnreadable):
        load_protocol_results(tmp_path / "nowhere.json")


def test_a_row_has_an_entry_for_each_column() -> None:
    with pytest.raises(ValidationError, match="row B: should have 2 entries, got 1"):
        ResultTable(id="t", title="T", columns=("x", "y"), rows=(Row(name="B", entries=(Entry(),)),))


def test_the_page_lists_every_field_with_its_meaning() -> None:
    page = DOCUMENT.read_text()
    for name, model in models().items():
        section = page.split(f"### `{name}`")[1].split("### ")[0]
        listed = dict(re.findall(r"^\| `(\w+)` \| (.+) \|$", section, flags=re.MULTILINE))
        meant = {field: " ".join((info.description or "").split()) for field, info in model.model_fields.items()}
        assert listed == meant, name


def test_the_page_lists_the_columns_of_the_csv_files() -> None:
    assert ",".join(COLUMNS) in DOCUMENT.read_text()

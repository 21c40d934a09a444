"""The link table: names that stay, and a file that is never lost."""

import json
import re
from datetime import date
from pathlib import Path

import pytest

from fpe_core.errors import ImportFailed
from fpe_core.imaging.dicom.pseudonym import LinkTable, alone_with

DAY = date(2024, 3, 10)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "link-table.json"


def test_names_stay(path: Path) -> None:
    table = LinkTable.load(path)
    names = table.patient("4711"), table.case("4711", ["1.2.3"], DAY)
    table.save()
    again = LinkTable.load(path)
    assert (again.patient("4711"), again.case("4711", ["1.2.3"], DAY)) == names
    before = path.read_bytes()
    again.save()
    assert path.read_bytes() == before


def test_names_say_nothing_without_the_salt(path: Path, tmp_path: Path) -> None:
    table, other = LinkTable.load(path), LinkTable.load(tmp_path / "other.json")
    assert re.fullmatch(r"p-[0-9a-f]{12}", table.patient("4711"))
    assert re.fullmatch(r"case-[0-9a-f]{12}", table.case("4711", ["1.2.3"], DAY))
    assert table.patient("4711") != other.patient("4711")
    assert table.patient("4711") != table.patient("4712")
    assert table.case("4711", ["1.2.4"], DAY) != table.case("4712", ["1.2.5"], DAY)


def test_parts_cannot_be_shifted(path: Path) -> None:
    table = LinkTable.load(path)
    assert table.keyed_hash("ab", "c") != table.keyed_hash("a", "bc")


def test_the_table_says_who_is_behind_a_name_to_its_owner_only(path: Path) -> None:
    table = LinkTable.load(path)
    case_id = table.case("4711", ["1.2.3", "1.2.4"], DAY)
    table.save()
    content = json.loads(path.read_text())
    assert content["patients"] == {table.patient("4711"): "4711"}
    assert content["cases"][case_id] == {
        "patient_id": table.patient("4711"), "study_uids": ["1.2.3", "1.2.4"], "study_date": "2024-03-10"
    }  # fmt: skip
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_case_keeps_its_name_when_a_study_joins_it(path: Path) -> None:
    table = LinkTable.load(path)
    first = table.case("4711", ["1.2.3"], DAY)
    table.save()
    assert LinkTable.load(path).case("4711", ["1.2.1", "1.2.3"], DAY) == first


def test_a_case_that_is_parted_gives_two_names_that_stay(path: Path) -> None:
    table = LinkTable.load(path)
    first = table.case("4711", ["1", "2"], DAY)
    table.save()
    names = []
    for _ in range(2):
        table = LinkTable.load(path)
        names.append([table.case("4711", ["1"], DAY), table.case("4711", ["2"], DAY)])
        table.save()
    assert names[0] == names[1]
    assert names[0][0] == first != names[0][1]


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[:-20],
        lambda _: "",
        lambda _: "{}",
        lambda text: text.replace('"salt": "', '"salt": "zz'),
        lambda text: re.sub(
            r'"salt": ?"[0-9a-f]', lambda m: m.group()[:-1] + ("0" if m.group()[-1] != "0" else "1"), text
        ),
        lambda text: text.replace("4711", "4712"),
    ],
    ids=["cut", "empty", "no keys", "no salt", "another salt", "another patient"],
)
def test_a_damaged_table_is_refused_and_left_alone(path: Path, damage: object) -> None:
    table = LinkTable.load(path)
    table.case("4711", ["1.2.3"], DAY)
    table.save()
    damaged = damage(path.read_text())  # type: ignore[operator]
    assert damaged != path.read_text()
    path.write_text(damaged)
    with pytest.raises(ImportFailed, match=r"link-table\.json|link table") as error:
        LinkTable.load(path)
    assert "backup" in error.value.hint
    assert path.read_text() == damaged


def test_two_imports_at_a_time_are_refused(path: Path) -> None:
    with alone_with(path), pytest.raises(ImportFailed, match="another import"), alone_with(path):
        pass
    with alone_with(path):
        pass

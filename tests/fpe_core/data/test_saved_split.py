"""A split is drawn once: the same bytes, no silent change, and rules for a cohort that changes."""

import json
import stat
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fpe_core.config.study import SplitPlan
from fpe_core.data.saved_split import SavedSplit, saved_or_new_split
from fpe_core.data.splits import split_patients
from fpe_core.errors import NotEnoughCases, SplitUnusable

LABELS = {f"p{i:02}": int(i % 3 == 0) for i in range(30)}
PLAN = SplitPlan()
DAY = date(2020, 1, 1)


def test_two_calls_give_the_same_bytes_and_split(tmp_path: Path) -> None:
    path = tmp_path / "splits" / "study.json"
    first = saved_or_new_split(path, LABELS, PLAN, seed=5)
    content = path.read_bytes()
    assert first == split_patients(LABELS, PLAN, seed=5)
    assert saved_or_new_split(path, dict(reversed(LABELS.items())), PLAN, seed=5) == first
    assert path.read_bytes() == content
    path.unlink()
    saved_or_new_split(path, LABELS, PLAN, seed=5)
    assert path.read_bytes() == content
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_file_comes_back_as_it_was(tmp_path: Path) -> None:
    saved = SavedSplit.of_splits(split_patients(LABELS, PLAN, seed=1), PLAN, seed=1)
    saved.save(tmp_path / "split.json")
    assert SavedSplit.load(tmp_path / "split.json") == saved
    assert saved.kind == "random"
    assert saved.split_of == split_patients(LABELS, PLAN, seed=1)


def test_folds_are_kept_too(tmp_path: Path) -> None:
    saved = SavedSplit.of_folds(LABELS, num_folds=4, seed=2)
    saved.save(tmp_path / "folds.json")
    assert SavedSplit.load(tmp_path / "folds.json").fold_of == saved.fold_of
    assert sorted(set(saved.fold_of.values())) == [0, 1, 2, 3]
    with pytest.raises(NotEnoughCases):
        SavedSplit.of_folds(LABELS, num_folds=11, seed=2)


@pytest.mark.parametrize("change", ["cut", "moved", "seed", "twice", "empty", "parts", "binary"])
def test_a_changed_file_is_refused(tmp_path: Path, change: str) -> None:
    path = tmp_path / "split.json"
    saved_or_new_split(path, LABELS, PLAN, seed=5)
    document = json.loads(path.read_text())
    match change:
        case "cut":
            path.write_text(path.read_text()[:-40])
        case "moved":
            document["parts"]["train"].append(document["parts"]["test"].pop())
        case "seed":
            document["seed"] = 6
        case "twice":
            document["parts"]["train"].append(document["parts"]["test"][0])
        case "empty":
            path.write_text("")
        case "parts":
            del document["parts"]["test"]
        case "binary":
            path.write_bytes(b"\x00\xff" * 20)
    if change in {"moved", "seed", "twice", "parts"}:
        path.write_text(json.dumps(document))
    with pytest.raises(SplitUnusable) as refused:
        saved_or_new_split(path, LABELS, PLAN, seed=5)
    assert str(path) in str(refused.value)
    assert "backup" in refused.value.hint
    assert not any(patient in str(refused.value) for patient in LABELS)
    if change == "twice":
        assert "1 stand in several" in str(refused.value)


def test_new_patients_train_and_never_test(tmp_path: Path) -> None:
    path = tmp_path / "split.json"
    before = saved_or_new_split(path, LABELS, PLAN, seed=5)
    grown = LABELS | {f"new{i}": i % 2 for i in range(20)}
    after = saved_or_new_split(path, grown, PLAN, seed=5)
    assert {patient: after[patient] for patient in before} == before
    assert {after[patient] for patient in grown if patient not in before} == {"train"}
    content = path.read_bytes()
    assert saved_or_new_split(path, grown, PLAN, seed=5) == after
    assert path.read_bytes() == content


def test_new_patients_of_the_test_period_take_no_part(tmp_path: Path) -> None:
    path, plan = tmp_path / "split.json", SplitPlan(test_from=DAY)
    days = {patient: date(2019 + i % 2, 6, 1) for i, patient in enumerate(LABELS)}
    before = saved_or_new_split(path, LABELS, plan, seed=5, treated_on=days)
    assert SavedSplit.load(path).kind == "date"
    grown = LABELS | {"early": 1, "late": 1, "unknown": 0}
    after = saved_or_new_split(
        path, grown, plan, seed=5, treated_on=days | {"early": date(2019, 1, 1), "late": date(2020, 1, 1)}
    )
    assert after == before | {"early": "train"}


def test_who_is_gone_is_left_out_and_comes_back_to_the_same_place(tmp_path: Path) -> None:
    path = tmp_path / "split.json"
    before = saved_or_new_split(path, LABELS, PLAN, seed=5)
    content = path.read_bytes()
    fewer = {patient: label for patient, label in LABELS.items() if patient not in {"p00", "p07"}}
    assert saved_or_new_split(path, fewer, PLAN, seed=5) == {p: s for p, s in before.items() if p in fewer}
    assert path.read_bytes() == content
    assert saved_or_new_split(path, LABELS, PLAN, seed=5) == before


def test_another_cohort_plan_or_seed_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "split.json"
    before = saved_or_new_split(path, LABELS, PLAN, seed=5)
    with pytest.raises(SplitUnusable, match="30 of its 30 patients"):
        saved_or_new_split(path, {f"x{i}": i % 2 for i in range(10)}, PLAN, seed=5)
    without_test = {p: label for p, label in LABELS.items() if before[p] != "test"}
    with pytest.raises(SplitUnusable, match="of its 30 patients"):
        saved_or_new_split(path, without_test, PLAN, seed=5)
    for plan, seed in ((PLAN, 6), (SplitPlan(test=0.3), 5), (SplitPlan(test_from=DAY), 5)):
        with pytest.raises(SplitUnusable, match="another plan or seed"):
            saved_or_new_split(path, LABELS, plan, seed=seed)


def test_a_strict_reader_counts_who_came_and_went(tmp_path: Path) -> None:
    saved = SavedSplit.of_folds(LABELS, num_folds=3, seed=2)
    saved.check_fits(LABELS, tmp_path)
    changed = [*list(LABELS)[2:], "new"]
    with pytest.raises(SplitUnusable, match="of whom 2 are gone; 1 of the 29 present ones are new"):
        saved.check_fits(changed, tmp_path)


@given(changes=st.lists(st.tuples(st.booleans(), st.integers(0, 39)), max_size=15), by_date=st.booleans())
def test_whatever_comes_and_goes_nobody_moves_and_nobody_joins_the_test(
    changes: list[tuple[bool, int]], by_date: bool
) -> None:
    people = {f"p{i:02}": int(i % 3 == 0) for i in range(40)}
    days = {patient: date(2019 + i % 2, 6, 1) for i, patient in enumerate(people)}
    plan = SplitPlan(test_from=DAY) if by_date else PLAN
    with TemporaryDirectory() as folder:
        path = Path(folder) / "split.json"
        first = saved_or_new_split(path, LABELS, plan, seed=5, treated_on=days)
        seen, present = dict(first), dict(LABELS)
        for comes, number in changes:
            patient = f"p{number:02}"
            present = (
                present | {patient: people[patient]} if comes else {p: v for p, v in present.items() if p != patient}
            )
            try:
                now = saved_or_new_split(path, present, plan, seed=5, treated_on=days)
            except SplitUnusable:
                continue
            assert all(seen.get(patient, split) == split for patient, split in now.items())
            assert all(split == "train" for patient, split in now.items() if patient not in first)
            assert set(present) - set(now) <= {p for p in people if by_date and p not in first and days[p] >= DAY}
            seen |= now

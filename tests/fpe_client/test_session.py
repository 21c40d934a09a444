"""A site's cohort for a study: which cases are usable, how they are split, and what the policy refuses."""

import json
import logging
import stat
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
import torch

from fpe_client.session import SiteSession
from fpe_core.config.loader import load_site
from fpe_core.config.recipe import recipe_named
from fpe_core.config.study import ModelPlan, StudyPlan
from fpe_core.data.dataset import SplitCases
from fpe_core.errors import NotEnoughCases, SplitUnusable, StudyRefused
from fpe_core.training.hardware import Hardware

MakeSite = Callable[..., Path]
FOLDER = Path("state") / "preprocessed" / "mnt-dl-mr-small"


def plan(**changes: Any) -> StudyPlan:
    base = {"name": "small", "task": "fpe", "seed": 3, "recipe": "mnt-dl-mr-small", "model": {"base_width": 8}}
    return StudyPlan.model_validate(base | changes)


def session(site_file: Path) -> SiteSession:
    return SiteSession(load_site(site_file))


def cases_of(splits: SplitCases) -> dict[str, dict[str, int]]:
    """Label by case id, for each split."""
    return {
        name: {case.file.stem: case.label for case in getattr(splits, name).cases}
        for name in ("train", "validation", "test")
    }


def edit_table(site_file: Path, old: str, new: str) -> None:
    table = site_file.parent / "cases.csv"
    assert old in table.read_text()
    table.write_text(table.read_text().replace(old, new))


def test_every_case_is_in_one_split_with_its_label(make_site: MakeSite) -> None:
    splits = cases_of(session(make_site(num_positive=10, num_negative=10)).cases(plan()).splits)
    assert {name: len(cases) for name, cases in splits.items()} == {"train": 12, "validation": 4, "test": 4}
    found = {case: label for cases in splits.values() for case, label in cases.items()}
    assert found == {f"c{i}": int(i < 10) for i in range(20)}
    assert all(sum(cases.values()) * 2 == len(cases) for cases in splits.values())


def test_the_split_follows_from_the_seed_and_the_site(make_site: MakeSite) -> None:
    north, south = session(make_site("north")), session(make_site("south"))
    ours = cases_of(north.cases(plan()).splits)
    assert cases_of(session(north.config.data.cases.parent / "site.yaml").cases(plan()).splits) == ours
    assert cases_of(north.cases(plan(seed=4)).splits) != ours
    assert cases_of(south.cases(plan()).splits) != ours
    # The rest of the plan decides nothing: the same patients are held out from every network.
    assert cases_of(north.cases(plan(model={"base_width": 16})).splits) == ours


def with_dates(site_file: Path, first: str = "2018-01-01") -> None:
    """Gives the 16 rows of the table a treatment_date each, days 0 to 15 in an order that mixes the classes."""
    table = site_file.parent / "cases.csv"
    header, *rows = table.read_text().splitlines()
    day = date.fromisoformat(first)
    dated = [f"{row},{day + timedelta(days=5 * number % 16)}" for number, row in enumerate(rows)]
    table.write_text("\n".join([f"{header},treatment_date", *dated]) + "\n")


def test_a_patients_cases_stay_together(make_site: MakeSite) -> None:
    site_file = make_site()
    with_dates(site_file)
    edit_table(site_file, "c1,p1,", "c1,p0,")
    edit_table(site_file, "c9,p9,", "c9,p0,")
    for seed in range(6):
        splits = cases_of(session(site_file).cases(plan(seed=seed)).splits)
        assert sum({"c0", "c1", "c9"} <= set(cases) for cases in splits.values()) == 1
        assert next(cases["c9"] for cases in splits.values() if "c9" in cases) == 0


def test_a_patient_with_a_positive_case_is_a_positive_patient(make_site: MakeSite) -> None:
    """Three are needed, one for each split."""
    site_file = make_site(num_positive=3)
    with_dates(site_file)
    edit_table(site_file, "c9,p9,", "c9,p0,")
    splits = cases_of(session(site_file).cases(plan()).splits)
    assert [sum(cases.values()) for cases in splits.values()] == [1, 1, 1]


def test_cases_that_cannot_be_used_are_left_out(make_site: MakeSite) -> None:
    site_file = make_site()
    edit_table(site_file, "c0,p0,1,d.nii,f.nii,a.nii,1,3", "c0,p0,1,d.nii,f.nii,a.nii,,")
    edit_table(site_file, "c1,p1,1,d.nii,f.nii,", "c1,p1,1,d.nii,,")
    (site_file.parent / FOLDER / "c2.safetensors").unlink()
    manifest = site_file.parent / FOLDER / "manifest.json"
    entries = json.loads(manifest.read_text())
    entries["cases"]["c3"]["recipe_fingerprint"] = "f" * 64
    manifest.write_text(json.dumps(entries))
    splits = cases_of(session(site_file).cases(plan()).splits)
    assert {case for cases in splits.values() for case in cases} == {f"c{i}" for i in range(4, 16)}


def test_a_study_of_fewer_sequences_can_use_more_cases(make_site: MakeSite) -> None:
    site_file = make_site()
    edit_table(site_file, "c1,p1,1,d.nii,f.nii,", "c1,p1,1,d.nii,,")
    splits = session(site_file).cases(plan(model={"base_width": 8, "sequences": ["adc", "dwi"]})).splits
    assert sum(map(len, cases_of(splits).values())) == 16
    assert splits.train[0][0].shape[0] == 2


def test_quarantined_cases_are_counted_by_reason(make_site: MakeSite) -> None:
    site_file = make_site()
    entry = {"message": "/data/x", "key": ""}
    codes = {"a": "FPE-211", "b": "FPE-219", "c": "FPE-219"}
    quarantine = {"schema_version": 1, "cases": {name: entry | {"code": code} for name, code in codes.items()}}
    (site_file.parent / FOLDER / "quarantine.json").write_text(json.dumps(quarantine))
    cases = session(site_file).cases(plan())
    assert cases.quarantined == {"FPE-211": 1, "FPE-219": 2}
    assert cases.synthetic


def test_a_cohort_that_is_not_preprocessed_says_what_to_do(make_site: MakeSite) -> None:
    site = session(make_site())
    with pytest.raises(NotEnoughCases, match=r"none of 16 cases can take part with mnt-dl-mr .* 16 not") as caught:
        site.cases(plan(recipe="mnt-dl-mr"))
    assert "fpe-client preprocess" in caught.value.hint
    with pytest.raises(NotEnoughCases, match="16 outcome does not decide the label"):
        site.cases(plan(task="rlvo"))


def test_only_cases_past_the_quality_gate_take_part_unless_a_person_decides_otherwise(make_site: MakeSite) -> None:
    site_file = make_site()
    folder = site_file.parent / FOLDER
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["cases"]["c0"]["qc"] = {"template_dice": 0.5}
    manifest["cases"]["c1"]["qc"] = {"template_dice": 0.87}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    cases = session(site_file).cases(plan())
    assert cases.quarantined == {"FPE-226": 1, "FPE-227": 1}
    assert {case for split in cases_of(cases.splits).values() for case in split} == {f"c{i}" for i in range(2, 16)}


def test_a_row_that_cannot_be_used_is_counted_and_the_others_take_part(make_site: MakeSite) -> None:
    site_file = make_site()
    edit_table(site_file, "c3,p3,1,d.nii,f.nii,a.nii,1,3", "c3,p3,1,d.nii,f.nii,a.nii,99,3")
    cases = session(site_file).cases(plan())
    assert cases.quarantined == {"FPE-231": 1}
    assert sum(len(split) for split in cases_of(cases.splits).values()) == 15


def test_patients_of_a_day_on_are_the_test_set_where_the_plan_says_so(make_site: MakeSite) -> None:
    site_file = make_site()
    with_dates(site_file)
    chosen = plan(split={"test_from": "2018-01-13"})
    splits = cases_of(session(site_file).cases(chosen).splits)
    assert splits["test"] == {"c3": 1, "c6": 1, "c9": 0, "c12": 0}
    with pytest.raises(SplitUnusable):
        session(make_site("south")).cases(chosen)


def test_a_patient_who_comes_later_trains_and_moves_nobody(make_site: MakeSite) -> None:
    site_file = make_site(num_positive=10, num_negative=10)
    table = site_file.parent / "cases.csv"
    whole = table.read_text()
    table.write_text("".join(line for line in whole.splitlines(keepends=True) if not line.startswith("c4,")))
    before = cases_of(session(site_file).cases(plan()).splits)
    table.write_text(whole)
    after = cases_of(session(site_file).cases(plan()).splits)
    assert after["train"] == before["train"] | {"c4": 1}
    assert (after["validation"], after["test"]) == (before["validation"], before["test"])
    (saved,) = (site_file.parent / "state" / "splits").iterdir()
    assert stat.S_IMODE(saved.stat().st_mode) == 0o600


def test_the_regional_input_shows_the_territory_of_the_occluded_vessel_only(make_site: MakeSite) -> None:
    shape = recipe_named("mnt-dl-mr-small").grid.shape_zyx
    regional = plan(model={"base_width": 8, "region": "territory"})
    with pytest.raises(NotEnoughCases):
        session(make_site("south", shape=shape)).cases(regional)
    site_file = make_site(shape=shape)
    table = site_file.parent / "cases.csv"
    header, *rows = table.read_text().splitlines()
    table.write_text("\n".join([f"{header},occlusion_site", *(f"{row},m1" for row in rows)]))
    image = session(site_file).cases(regional).splits.train[0].image
    whole = session(site_file).cases(plan()).splits.train
    shown = image[0] != 0
    assert 0.05 < float(shown.float().mean()) < 0.4
    assert any(torch.equal(image[:, shown], other.image[:, shown]) for other in whole)


def test_a_class_with_too_few_patients_is_an_error(make_site: MakeSite) -> None:
    with pytest.raises(NotEnoughCases, match="label 1 has 2"):
        session(make_site(num_positive=2)).cases(plan())


def test_the_policy_decides_over_tasks(make_site: MakeSite) -> None:
    site = session(make_site(tasks="fpe, rlvo"))
    site.admit(plan())
    site.admit(plan(task="rlvo"))
    with pytest.raises(StudyRefused, match="allows fpe, rlvo; the study asks for recanalization"):
        site.admit(plan(task="recanalization"))


def test_cohort_and_network_are_made_once_for_each_plan(make_site: MakeSite) -> None:
    site = session(make_site())
    assert site.cases(plan()) is site.cases(plan())
    assert site.model(plan()) is site.model(plan())
    first = site.model(plan())
    assert site.model(plan(model={"base_width": 16})) is not first
    assert site.hardware == Hardware(torch.device("cpu"))


PERFUSION = ("tmax_over_4_s_ml", "tmax_over_6_s_ml", "tmax_over_10_s_ml", "hypoperfusion_intensity_ratio")


def clinical_plan(*columns: str) -> StudyPlan:
    """Of a network over volumes; the cohort's slices serve as its images, which nobody looks at here."""
    return plan().model_copy(update={"model": ModelPlan(name="densenet169", clinical=columns)})


def add_clinic(site_file: Path) -> None:
    """Case i is 60 + i years old and has i times 10 ml with Tmax above 4 s; no other perfusion value, no NIHSS."""
    table = site_file.parent / "cases.csv"
    header, *rows = table.read_text().splitlines()
    rows = [f"{row},{60 + i},{'FM'[i % 2]},,{10 * i}" for i, row in enumerate(rows)]
    table.write_text("\n".join([f"{header},age_years,sex,nihss,tmax_over_4_s_ml", *rows]) + "\n")


def tabular_of(splits: SplitCases) -> dict[str, tuple[float, ...]]:
    return {
        case.file.stem: case.tabular for split in (splits.train, splits.validation, splits.test) for case in split.cases
    }


def test_clinical_columns_come_scaled_by_their_declared_ranges(
    make_site: MakeSite, caplog: pytest.LogCaptureFixture
) -> None:
    """The same numbers at a site of older patients: 72 years are 0.6 wherever they are counted."""
    site_file = make_site()
    add_clinic(site_file)
    caplog.set_level(logging.INFO)
    splits = session(site_file).cases(clinical_plan("tmax_over_4_s_ml", "sex", "age_years", "nihss")).splits
    found = tabular_of(splits)
    assert len(found) == 16
    for i in range(16):
        assert found[f"c{i}"] == pytest.approx((i / 60, 1 - i % 2, (60 + i) / 120, 15 / 42))
    assert "clinical columns of 16 cases: filled in nihss 16" in caplog.messages
    sample = splits.train[0]
    assert sample.tabular.dtype == torch.float32
    assert sample.tabular.tolist() == pytest.approx(found[splits.train.cases[0].file.stem])


def test_a_network_of_images_alone_gets_no_clinical_columns(
    make_site: MakeSite, caplog: pytest.LogCaptureFixture
) -> None:
    site_file = make_site()
    add_clinic(site_file)
    caplog.set_level(logging.INFO)
    splits = session(site_file).cases(plan()).splits
    assert set(tabular_of(splits).values()) == {()}
    assert splits.train[0].tabular.shape == (0,)
    assert "clinical" not in caplog.text


def test_cases_without_perfusion_are_left_out_where_the_network_sees_it(
    make_site: MakeSite, caplog: pytest.LogCaptureFixture
) -> None:
    site_file = make_site()
    add_clinic(site_file)
    edit_table(site_file, ",62,F,,20", ",62,F,,")
    caplog.set_level(logging.INFO)
    site = session(site_file)
    found = tabular_of(site.cases(clinical_plan("age_years", *PERFUSION)).splits)
    assert found.keys() == {f"c{i}" for i in range(16)} - {"c2"}
    assert "1 of 16 lack too many CTP parameters, 0 the occlusion site" in caplog.messages
    assert "16 of 16 cases are included in small: none is excluded" in caplog.messages
    # Three of them may be missing; and what the network does not see need not be there.
    assert len(tabular_of(site.cases(clinical_plan(*PERFUSION[:3])).splits)) == 16
    assert len(tabular_of(site.cases(clinical_plan("age_years")).splits)) == 16
    assert len(tabular_of(site.cases(plan()).splits)) == 16


def test_a_cohort_without_perfusion_says_what_is_missing(make_site: MakeSite) -> None:
    with pytest.raises(NotEnoughCases, match="of 16 included cases 16 lack more than 3 CTP parameters") as caught:
        session(make_site()).cases(clinical_plan(*PERFUSION))
    assert "tmax_over_6_s_ml" in caught.value.hint

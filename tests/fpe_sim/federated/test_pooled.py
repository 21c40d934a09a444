"""The hospital that owns everybody's cases has exactly everybody's splits."""

from collections.abc import Callable
from pathlib import Path

import pytest

from fpe_client.paths import SitePaths
from fpe_client.session import SiteSession
from fpe_client.study_cases import split_file
from fpe_core.config.loader import load_site
from fpe_core.data.saved_split import SPLITS, SavedSplit
from fpe_core.errors import SplitUnusable
from fpe_core.preprocessing.decisions import decide
from fpe_core.preprocessing.manifest import Manifest, Quarantine, load_manifest, write_lists
from fpe_sim.federated import pooled
from fpe_sim.federated.cohorts import Group
from fpe_sim.federated.pooled import POOLED, make_pooled_site
from fpe_sim.federated.protocol import FederatedProtocol
from fpe_sim.virtual_site import session_of

Make = Callable[..., FederatedProtocol]


@pytest.fixture
def sessions(group: Group) -> list[SiteSession]:
    return [session_of(member.site_file) for member in group.members]


def test_each_split_is_the_union_of_the_sites_own(
    sessions: list[SiteSession], make_protocol: Make, tmp_path: Path
) -> None:
    plan = make_protocol().plan("mr", 1, arm="pooled", num_sites=1)
    owner = SiteSession(load_site(make_pooled_site(tmp_path / POOLED, sessions, plan, device="cpu")))
    for name in SPLITS:
        expected = {
            (case.file.resolve(), case.label)
            for session in sessions
            for case in getattr(session.cases(plan).splits, name).cases
        }
        cases = getattr(owner.cases(plan).splits, name).cases
        assert {(case.file, case.label) for case in cases} == expected
        assert len(cases) == len(expected)
    # Sites whose patients have the same names do not lose any of them.
    assert sum(len(getattr(owner.cases(plan).splits, name)) for name in SPLITS) == 16 + 16 + 20


def test_the_sites_have_the_same_split_with_and_without_the_others(
    sessions: list[SiteSession], make_protocol: Make, tmp_path: Path
) -> None:
    protocol = make_protocol()
    plans = [protocol.plan("mr", 1, arm=arm, num_sites=n) for arm, n in (("federated", 3), ("without-1", 2))]
    for session in sessions:
        first, second = (session.cases(plan).splits.test.cases for plan in plans)
        assert first == second
    again = make_pooled_site(tmp_path / POOLED, sessions, plans[0], device="cpu").read_bytes()
    assert make_pooled_site(tmp_path / POOLED, sessions, plans[0], device="cpu").read_bytes() == again


def test_a_split_that_is_not_the_union_is_refused(
    sessions: list[SiteSession], make_protocol: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = make_protocol().plan("mr", 1, arm="pooled", num_sites=1)
    of_splits = SavedSplit.of_splits

    def leaking(split_of: dict[str, str], *rest: object, **named: object) -> SavedSplit:
        moved = next(patient for patient, name in split_of.items() if name == "test")
        return of_splits({**split_of, moved: "train"}, *rest, **named)  # type: ignore[arg-type]

    for session in sessions:
        session.cases(plan)
    monkeypatch.setattr(pooled.SavedSplit, "of_splits", leaking)
    with pytest.raises(SplitUnusable, match="the pooled train split should be the union"):
        make_pooled_site(tmp_path / POOLED, sessions, plan, device="cpu")


def test_a_case_that_its_hospital_accepted_is_in_the_pool(
    sessions: list[SiteSession], make_protocol: Make, tmp_path: Path
) -> None:
    plan = make_protocol().plan("mr", 1, arm="pooled", num_sites=1)
    folder = SitePaths(sessions[0].config.state_dir).preprocessed(plan.recipe)
    listed = load_manifest(folder).cases
    unmeasured = {"c0": listed["c0"].model_copy(update={"qc": {}}), "c1": listed["c1"].model_copy(update={"qc": {}})}
    write_lists(folder, Manifest(recipe=plan.recipe, cases=listed | unmeasured), Quarantine())
    decide(folder, ["c0"], accepted=True, reason="looked at")
    owner = SiteSession(load_site(make_pooled_site(tmp_path / POOLED, sessions, plan, device="cpu")))
    pooled_from_north = {
        case.file.name
        for name in SPLITS
        for case in getattr(owner.cases(plan).splits, name).cases
        if case.file.is_relative_to(folder.resolve())
    }
    assert pooled_from_north == {f"c{number}.safetensors" for number in range(16) if number != 1}


def test_its_own_split_file_holds_no_patient_twice(
    sessions: list[SiteSession], make_protocol: Make, tmp_path: Path
) -> None:
    plan = make_protocol().plan("mr", 1, arm="pooled", num_sites=1)
    config = load_site(make_pooled_site(tmp_path / POOLED, sessions, plan, device="cpu"))
    saved = SavedSplit.load(split_file(config, plan))
    assert {patient.split(".")[0] for patient in saved.part_of} == {"north", "south", "east"}

"""The studies of all arms, run and scored; in this process instead of on Ray."""

import importlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from flwr.app import Context, Message, RecordDict
from flwr.clientapp import ClientApp

from fpe_core.config.loader import load_site
from fpe_core.errors import QuorumLost
from fpe_server.local_grid import LocalGrid
from fpe_sim import runner
from fpe_sim.federated import studies as studies_module
from fpe_sim.federated.cohorts import Group, Member
from fpe_sim.federated.protocol import FederatedProtocol, Hospitals
from fpe_sim.federated.scores import SCORES, SiteAuc, site_aucs
from fpe_sim.federated.studies import ArmStudy, left_out_members, planned_studies, run_studies
from fpe_sim.run_context import RunContext

# The package's own name `run` is the function.
whole = importlib.import_module("fpe_sim.federated.run")

Make = Callable[..., FederatedProtocol]
Chains = Sequence[Sequence[ArmStudy]]


def in_this_process(app: ClientApp, main: Callable[[LocalGrid], None], *, num_sites: int, **_: object) -> None:
    """Stands in for Flower's simulation engine."""

    def site(number: int) -> Callable[[Message], Message]:
        context = Context(1, number, {"partition-id": number}, RecordDict(), {})
        return lambda message: app(message, context)

    main(LocalGrid({str(number): site(number) for number in range(num_sites)}))


@pytest.fixture(autouse=True)
def engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "simulate", in_this_process)


@pytest.fixture
def context(tmp_path: Path) -> RunContext:
    return RunContext(tmp_path / "out", 1, device="cpu")


@pytest.fixture
def finished(make_protocol: Make, group: Group, context: RunContext) -> Chains:
    chains = planned_studies(make_protocol(), [group], context)
    run_studies(chains, context)
    return chains


def test_every_arm_is_run_among_its_sites(finished: Chains) -> None:
    found = {study.arm: study for chain in finished for study in chain}
    assert {arm: [site.site for site in study.results.sites] for arm, study in found.items()} == {
        "federated": ["east", "north", "south"],
        "leave-one-out": ["east", "south"],
        "pooled": ["pooled"],
    }
    # Those that share a site stand in one chain.
    assert [[study.arm for study in chain] for chain in finished] == [["federated", "leave-one-out"], ["pooled"]]
    federated, pooled = found["federated"].results, found["pooled"].results
    trained = [site.training.num_cases for site in federated.rounds[0].sites.values() if site.training]
    (owner,) = [site.training for site in pooled.rounds[0].sites.values() if site.training]
    assert owner.num_cases == sum(trained)
    assert not [failure for study in found.values() for failure in study.results.failures_in_rounds()]


def test_all_arms_are_scored_on_the_sites_own_held_out_cases(finished: Chains) -> None:
    scores = site_aucs(finished)
    by_arm: dict[str, dict[str, SiteAuc]] = {}
    for score in scores:
        by_arm.setdefault(score.arm, {})[score.site] = score
    everybody = {"north", "south", "east"}
    assert {arm: set(sites) for arm, sites in by_arm.items()} == {
        "local": everybody, "federated": everybody, "pooled": everybody, "leave-one-out": {"north"},
    }  # fmt: skip
    for site in everybody:
        assert len({sites[site].num_cases for sites in by_arm.values() if site in sites}) == 1
    federated = finished[0][0].results
    for found in federated.sites:
        assert found.test is not None
        assert found.alone_test is not None
        assert by_arm["federated"][found.site].auc == found.test.auc
        assert by_arm["local"][found.site].auc == found.alone_test.auc


def test_what_is_finished_is_neither_run_nor_scored_again(
    finished: Chains, make_protocol: Make, group: Group, context: RunContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    scores = site_aucs(finished)
    monkeypatch.setattr(studies_module, "studies_on_ray", None)
    monkeypatch.setattr("fpe_sim.federated.scores.score_model", None)
    again = planned_studies(make_protocol(), [group], context)
    run_studies(again, context)
    assert site_aucs(again) == scores
    (finished[0][0].study.run_folder / SCORES).write_text("{")
    with pytest.raises(TypeError):
        site_aucs(again)


def test_other_cases_or_another_plan_are_another_study(make_protocol: Make, group: Group, context: RunContext) -> None:
    def folders(protocol: FederatedProtocol) -> list[Path]:
        studies_module.session_of.cache_clear()
        fresh = Group(1, "mr", tuple(Member(member.site_file, member.recipe) for member in group.members))
        return [study.study.run_folder for chain in planned_studies(protocol, [fresh], context) for study in chain]

    before = folders(make_protocol())
    assert folders(make_protocol()) == before
    assert set(folders(make_protocol(seed=8))).isdisjoint(before)
    table = load_site(group.members[0].site_file).data.cases
    table.write_text(table.read_text().replace("c0,p0", "c0,p00"))
    changed = folders(make_protocol())
    # North is in the federation and in the pooled hospital, and it is the one that is left out.
    assert [old == new for old, new in zip(before, changed, strict=True)] == [False, True, False]


def test_over_the_seeds_every_site_is_left_out(make_protocol: Make, group: Group) -> None:
    def turns(left_out: int, **changes: Any) -> list[list[str]]:
        protocol = make_protocol(left_out=left_out, **changes)
        groups = [Group(seed, "mr", group.members) for seed in (1, 2, 3)]
        return [[member.site for member in left_out_members(protocol, each)] for each in groups]

    assert turns(1) == [["north"], ["south"], ["east"]]
    assert turns(2) == [["north", "south"], ["east", "north"], ["south", "east"]]
    assert turns(9) == [["north", "south", "east"]] * 3
    assert turns(1, arms=["federated"]) == [[], [], []]


def test_a_study_that_fails_says_why_and_the_others_stay(
    make_protocol: Make, group: Group, context: RunContext
) -> None:
    chains = planned_studies(make_protocol(arms=["federated", "pooled"]), [group], context)
    site_file = group.members[0].site_file
    site_file.write_text(site_file.read_text().replace("tasks: [fpe]", "tasks: [rlvo]"))
    studies_module.session_of.cache_clear()
    with pytest.raises(QuorumLost, match="north"):
        run_studies(chains[::-1], context)
    assert [study.finished for chain in chains for study in chain] == [False, True]


def test_a_whole_run_has_tables_figures_and_one_screen(
    make_protocol: Make,
    group: Group,
    context: RunContext,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    files = [member.site_file for member in group.members]
    protocol = make_protocol(hospitals={"site_files": files, "modalities": ["mr"]}, num_seeds=2)
    groups = tuple(Group(seed, "mr", group.members) for seed in (1, 2))
    monkeypatch.setattr(whole, "ready_groups", lambda *_: groups)
    results = whole.run(protocol, context)
    assert results.synthetic
    assert {cohort.name: cohort.num_included for cohort in results.cohorts} == {"north": 16, "south": 16, "east": 20}
    assert (results.numbers["num_studies"], results.numbers["num_pairs_of_site_and_seed"]) == (6, 6)
    assert 0 <= results.numbers["auc_federated"] <= 1
    assert {table.id for table in results.tables} == {"auc-by-arm", "differences", "leave-one-out", "auc-by-site"}
    for figure in results.figures:
        assert (context.figures / f"{figure.id}.svg").stat().st_size > 1000
    assert len(results.discrepancies) == 2
    shown = capsys.readouterr().err
    assert "Held-out AUC, mean over the sites" in shown
    assert whole.run(protocol, context).numbers == results.numbers


def test_what_the_sites_kept_back_is_said(
    make_protocol: Make, group: Group, context: RunContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    # One case of each class to choose by and one to judge by: the sites let nothing out about so few.
    protocol = make_protocol(study={"split": {"validation": 0.1, "test": 0.1}})
    monkeypatch.setattr(whole, "ready_groups", lambda *_: (group,))
    results = whole.run(protocol.model_copy(update={"hospitals": _as_real(group)}), context)
    *_, alone, chosen = results.discrepancies
    assert alone.startswith("At 3 of 3 pairs")
    assert alone.endswith("So there is no such arm.")
    # The pooled hospital has enough of both classes.
    assert chosen.startswith("In 2 of 3 studies")
    assert "in 2 of them, where no site had enough, it is the last round's" in chosen
    assert [row.name for row in results.tables[0].rows] == ["Federated", "All cases pooled"]


def _as_real(group: Group) -> Hospitals:
    return Hospitals(site_files=tuple(member.site_file for member in group.members))


def test_a_mixed_federation_learns_by_modality(
    make_protocol: Make, make_site: Callable[..., Path], context: RunContext
) -> None:
    protocol = make_protocol(arms=["federated"], hospitals={"number": 3, "modalities": ["mr", "ct", "both"]})
    groups = []
    for modality in protocol.group_modalities():
        recipe = protocol.plan(modality, 1, arm="federated", num_sites=2).recipe
        sites = [f"site-{number}-{modality}" for number in ((1, 3) if modality == "mr" else (2, 3))]
        files = [make_site(site, recipe=recipe, num_positive=6, num_negative=6) for site in sites]
        groups.append(Group(1, modality, tuple(Member(file.resolve(), recipe) for file in files)))
    chains = planned_studies(protocol, groups, context)
    run_studies(chains, context)
    plans = [study.results.plan for chain in chains for study in chain]
    assert [plan.model.sequences for plan in plans] == [("dwi", "flair", "adc"), ("ncct", "cta")]
    assert sorted((score.modality, score.site) for score in site_aucs(chains)) == [
        ("ct", "site-2-ct"), ("ct", "site-3-ct"), ("mr", "site-1-mr"), ("mr", "site-3-mr"),
    ]  # fmt: skip

"""What a comparison's YAML says, and what it refuses."""

from collections.abc import Callable

import pytest
from pydantic import ValidationError

from fpe_core.data.labels import label_fingerprint
from fpe_core.data.phantoms.generate import draw_cases
from fpe_core.errors import NotEnoughCases
from fpe_sim.federated import KIND
from fpe_sim.federated.draws import check_hospitals, cohort_draws
from fpe_sim.federated.hospitals import phantom_sites
from fpe_sim.federated.protocol import FederatedProtocol, Hospitals
from fpe_sim.kinds import kind_named
from fpe_sim.protocol import head_of, load_protocol, protocol_file, protocol_names

Make = Callable[..., FederatedProtocol]
OURS = [name for name in protocol_names() if name.startswith("federated")]


@pytest.mark.parametrize("name", OURS)
def test_every_protocol_that_comes_along_loads_and_has_a_check(name: str) -> None:
    path = protocol_file(name)
    assert head_of(path)[0] == "federated"
    protocol = load_protocol(path, FederatedProtocol)
    assert protocol.name == name
    assert protocol.check is not None
    load_protocol(path, FederatedProtocol, [f"{key}={value}" for key, value in protocol.check.set.items()])
    assert label_fingerprint(protocol.study.task)


def test_the_kind_is_found_by_its_name() -> None:
    assert kind_named("federated") is KIND


def test_all_arms_of_a_seed_have_one_seed_and_wait_for_all_of_their_sites(make_protocol: Make) -> None:
    protocol = make_protocol()
    federated = protocol.plan("mr", 1, arm="federated", num_sites=3)
    pooled = protocol.plan("mr", 1, arm="pooled", num_sites=1)
    assert federated.seed == pooled.seed != protocol.plan("mr", 2, arm="pooled", num_sites=1).seed
    assert (federated.federation.min_sites, federated.federation.quorum) == (3, 3)
    assert (pooled.federation.min_sites, pooled.federation.quorum) == (1, 1)
    assert federated.federation.compare_with_local
    assert not pooled.federation.compare_with_local
    assert federated.training == pooled.training
    assert federated.federation.rounds == pooled.federation.rounds


def test_any_option_of_a_study_passes_through(make_protocol: Make) -> None:
    study = {
        "task": "recanalization",
        "model": {"name": "scanet", "norm": "group", "num_slices": 25},
        "training": {"optimiser": "adam", "patience_epochs": 3},
        "federation": {"rounds": 11, "grace_s": 7.0},
    }
    protocol = make_protocol(study=study, dials={"images": "full"})
    plan = protocol.plan("ct", 1, arm="federated", num_sites=2)
    assert (plan.task, plan.recipe, plan.model.sequences) == ("recanalization", "mnt-dl-ct", ("ncct", "cta"))
    assert (plan.model.name, plan.model.norm, plan.model.num_slices, plan.model.base_width) == (
        "scanet",
        "group",
        25,
        64,
    )
    assert (plan.training.optimiser, plan.training.patience_epochs) == ("adam", 3)
    assert (plan.federation.rounds, plan.federation.grace_s) == (11, 7.0)


def test_the_small_dial_has_its_own_width_rounds_and_training(make_protocol: Make) -> None:
    plan = make_protocol().plan("mr", 1, arm="federated", num_sites=2)
    assert (plan.recipe, plan.model.base_width) == ("mnt-dl-mr-small", 8)
    assert (plan.federation.rounds, plan.training.batch_size) == (1, 6)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"arms": ["local", "pooled"]}, "federated among them"),
        ({"arms": ["federated", "federated"]}, "each once"),
        ({"hospitals": {"number": 2, "modalities": ["mr", "ct"]}}, "should have the same modality"),
        ({"hospitals": {"site_files": ["a.yaml"]}}, "two sites or more"),
        ({"inputs": {"ct": {"recipe": "mnt-dl-ct", "sequences": ["ncct"]}}}, "inputs should name mr"),
        ({"inputs": {"mr": {"recipe": "mnt-dl-mr", "sequences": ["cta"]}}}, "model.sequences should be among"),
    ],
)
def test_what_cannot_be_compared_is_refused(make_protocol: Make, changes: dict[str, object], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        make_protocol(**changes)


def test_a_mixed_federation_is_a_study_for_each_modality(make_protocol: Make) -> None:
    protocol = make_protocol(hospitals={"number": 5, "modalities": ["mr", "ct", "both"]})
    assert protocol.group_modalities() == ("mr", "ct")
    specs = phantom_sites(protocol.hospitals, "fpe", 1.0)
    assert [spec.name for spec in specs] == [
        "site-01-mr", "site-02-ct", "site-03-mr", "site-03-ct", "site-04-mr", "site-05-ct",
    ]  # fmt: skip
    assert [spec.num_cases for spec in specs] == [48, 48, 24, 24, 48, 48]


def test_sites_are_alike_unless_told_otherwise() -> None:
    specs = phantom_sites(Hospitals(number=4, cases_per_site=40), "fpe", 0.5)
    assert len({spec.model_copy(update={"name": "x"}).model_dump_json() for spec in specs}) == 1
    assert [spec.num_cases for spec in specs] == [20] * 4


def test_a_cohort_that_cannot_be_split_is_drawn_again(make_protocol: Make) -> None:
    protocol = make_protocol(num_seeds=20, hospitals={"number": 5, "cases_per_site": 12})
    specs = {spec.name: spec for spec in phantom_sites(protocol.hospitals, "fpe", 1.0)}
    found = cohort_draws(protocol)
    assert len(found) == 100
    assert {draw.number for draw in found.values()} >= {1, 2}
    for (_, site), draw in found.items():
        num_positive = sum(case.label for case in draw_cases(specs[site], seed=draw.seed))
        assert 3 <= num_positive <= 9
    assert cohort_draws(protocol) == found


def test_a_hospital_that_can_never_be_split_is_told_before_anything_is_made(make_protocol: Make) -> None:
    check_hospitals(make_protocol(num_seeds=3))
    rare = make_protocol(num_seeds=20, hospitals={"number": 3, "cases_per_site": 12, "log_odds_spread": 3})
    with pytest.raises(NotEnoughCases, match=r"site-01-mr .* none of 10 draws of its 12 patients has") as caught:
        check_hospitals(rare)
    assert "hospitals.log_odds_spread" in caught.value.hint


def test_sites_differ_in_what_is_skewed() -> None:
    sizes = [s.num_cases for s in phantom_sites(Hospitals(number=3, cases_per_site=70, size_ratio=4), "fpe", 1.0)]
    assert sizes == [120, 60, 30]
    labels = phantom_sites(Hospitals(number=3, log_odds_spread=1.5), "fpe", 1.0)
    assert [spec.case_mix.log_odds_shift for spec in labels] == [-1.5, 0.0, 1.5]
    scanners = [spec.scanner for spec in phantom_sites(Hospitals(number=4, scanners="different"), "fpe", 1.0)]
    assert scanners[0] == scanners[3] != scanners[1] != scanners[2]

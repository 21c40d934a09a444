"""The protocol's file: what it says of the papers, and what it refuses."""

from collections.abc import Callable
from pathlib import Path

import pytest

from fpe_core.errors import ConfigValueInvalid
from fpe_sim.external_validation.estimate import estimate
from fpe_sim.external_validation.protocol import ExternalValidationProtocol
from fpe_sim.kinds import kind_named
from fpe_sim.protocol import load_protocol, protocol_file, with_overrides
from fpe_sim.run_context import RunContext


@pytest.fixture
def built_in() -> ExternalValidationProtocol:
    return load_protocol(protocol_file("external-validation"), ExternalValidationProtocol)


def test_the_file_has_the_papers_settings(built_in: ExternalValidationProtocol) -> None:
    assert [pair.name for pair in built_in.pairs] == [
        "ucla-to-vdh-fpe", "ucla-to-vdh-rlvo", "vdh-to-ucla-fpe", "vdh-to-ucla-rlvo",
    ]  # fmt: skip
    assert (built_in.ucla.num_folds, built_in.vdh.num_folds) == (5, 4)
    plan = built_in.study(built_in.pairs[0])
    assert (plan.recipe, plan.model.base_width, plan.model.sequences) == ("mnt-dl-ct", 64, ("ncct", "cta"))
    training = plan.training
    assert (training.local_epochs, training.learning_rate, training.weight_decay) == (100, 5e-4, 0.05)
    assert kind_named("external-validation").protocol is ExternalValidationProtocol


def test_small_is_a_small_network_on_a_coarse_grid(built_in: ExternalValidationProtocol) -> None:
    small = with_overrides(built_in, ["dials.images=small"])
    plan = small.study(small.pairs[0])
    assert (plan.recipe, plan.model.base_width) == ("mnt-dl-ct-small", 16)
    assert plan.training.local_epochs < 100


def test_each_pair_has_its_own_seed(built_in: ExternalValidationProtocol) -> None:
    seeds = {built_in.study(pair).seed for pair in built_in.pairs}
    assert len(seeds) == 4
    other = with_overrides(built_in, ["seed=1"])
    assert not seeds & {other.study(pair).seed for pair in other.pairs}


def test_the_check_is_a_valid_run(built_in: ExternalValidationProtocol) -> None:
    check = built_in.check
    assert check is not None
    tiny = with_overrides(built_in, check.overrides)
    assert tiny.dials.images == "small"
    assert len({band.number for band in check.bands}) == len(check.bands)


@pytest.mark.parametrize("text", ["labels=[fpe, fpe]", "labels=[]", "homes=[ucla, boston]", "ucla.num_folds=1"])
def test_impossible_settings_are_refused(built_in: ExternalValidationProtocol, text: str) -> None:
    with pytest.raises(ConfigValueInvalid):
        with_overrides(built_in, [text])


def test_estimate_counts_cohorts_and_trainings(
    built_in: ExternalValidationProtocol, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("none")
    small = with_overrides(built_in, ["dials.images=small", "dials.scale=0.3"])
    found = estimate(small, RunContext(folder, jobs=2, device="cpu"))
    assert found.num_trainings == 2 * 5 + 2 * 4
    assert set(found.cohorts) == {"ucla-ct", "vdh"}
    assert 100 < found.seconds < 24 * 3600
    one = estimate(with_overrides(small, ["labels=[fpe]"]), RunContext(folder, jobs=2, device="cpu"))
    assert one.num_trainings == 9
    assert one.seconds < found.seconds
    assert not list(folder.iterdir())


def test_estimate_counts_the_rows_of_a_site(
    built_in: ExternalValidationProtocol, make_site: Callable[..., Path], tmp_path: Path
) -> None:
    site = make_site(num_positive=4, num_negative=3, recipe="mnt-dl-ct-small")
    own = with_overrides(built_in, ["dials.images=small", f"vdh.site={site}", f"ucla.site={site}"])
    found = estimate(own, RunContext(tmp_path, jobs=1, device="cpu"))
    assert found.cohorts == {"ucla-ct": 7, "vdh": 7}

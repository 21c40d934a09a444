"""The protocol's file says what the paper says, and its check asks for numbers that there are."""

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from fpe_sim.kinds import kind_named
from fpe_sim.protocol import load_protocol, protocol_file, with_overrides
from fpe_sim.run_context import RunContext
from fpe_sim.ucla_scanet.outcome import ScanetOutcome
from fpe_sim.ucla_scanet.protocol import UclaScanet
from fpe_sim.ucla_scanet.sentences import numbers

MakeSite = Callable[..., Path]


@pytest.fixture(scope="module")
def built_in() -> UclaScanet:
    return load_protocol(protocol_file("ucla-scanet"), UclaScanet)


def test_the_full_dial_is_the_papers(built_in: UclaScanet) -> None:
    """MIDL 2022, section 2."""
    setting = built_in.setting
    assert setting is built_in.full
    assert (setting.recipe, setting.base_width) == ("mnt-dl-ct", 64)
    training = setting.training
    assert (training.local_epochs, training.batch_size, training.learning_rate) == (200, 12, 1e-4)
    assert training.optimiser == "adam"
    assert training.weight_decay > 0
    assert training.patience_epochs < training.local_epochs


def test_the_small_dial_changes_grid_width_and_length_only(built_in: UclaScanet) -> None:
    small = with_overrides(built_in, ["dials.images=small"]).setting
    assert (small.recipe, small.base_width) == ("mnt-dl-ct-small", 16)
    shorter = {"local_epochs", "patience_epochs", "learning_rate"}
    full = built_in.full.training.model_dump(exclude=shorter)
    assert small.training.model_dump(exclude=shorter) == full
    assert small.training.local_epochs < built_in.full.training.local_epochs


def test_the_check_is_runnable_and_asks_for_numbers_that_there_are(
    built_in: UclaScanet, make_outcome: Callable[..., ScanetOutcome]
) -> None:
    assert built_in.check is not None
    checked = with_overrides(built_in, [f"{key}={yaml.safe_dump(value)}" for key, value in built_in.check.set.items()])
    assert checked.setting is checked.small
    assert checked.setting.training.local_epochs == 1
    assert {band.number for band in built_in.check.bands} <= numbers(make_outcome()).keys()


def test_an_estimate_counts_phantoms_or_a_sites_table(
    built_in: UclaScanet, make_site: MakeSite, tmp_path: Path
) -> None:
    kind, context = kind_named("ucla-scanet"), RunContext(tmp_path / "run", jobs=2, device="cpu")
    small = with_overrides(built_in, ["dials.images=small"])
    whole, third = (kind.estimate(with_overrides(small, [f"dials.scale={scale}"]), context) for scale in (1.0, 0.3))
    assert (whole.cohorts, whole.num_trainings) == ({"ucla-scanet": 254}, 10)
    assert 0.25 < third.seconds / whole.seconds < 0.35
    site = make_site(recipe="mnt-dl-ct-small", tasks="recanalization")
    assert kind.estimate(with_overrides(small, [f"site={site}"]), context).cohorts == {"ucla-scanet": 16}
    assert not (tmp_path / "run").exists()

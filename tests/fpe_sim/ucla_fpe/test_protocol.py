from pathlib import Path

import pytest

from fpe_sim.kinds import kind_named
from fpe_sim.protocol import load_protocol, protocol_file
from fpe_sim.run_context import RunContext
from fpe_sim.ucla_fpe.models import candidates, plan_of
from fpe_sim.ucla_fpe.paper import CROSS_VALIDATION, INCLUDED
from fpe_sim.ucla_fpe.protocol import Modality, UclaFpe


@pytest.mark.parametrize("modality", ["mr", "ct"])
def test_the_full_dial_is_as_the_paper_has_it(modality: Modality) -> None:
    protocol = load_protocol(protocol_file(f"ucla-fpe-{modality}"), UclaFpe)
    training = protocol.settings.training
    assert protocol.recipe == f"mnt-dl-{modality}"
    assert protocol.settings.base_width == 64
    assert (training.local_epochs, training.learning_rate, training.weight_decay) == (100, 5e-4, 0.05)
    assert (training.optimiser, training.subnet_loss_weight, protocol.num_folds) == ("adamw", 0.5, 5)
    assert (str(protocol.test_from), protocol.region) == ("2020-01-01", "territory")


@pytest.mark.parametrize("modality", ["mr", "ct"])
def test_the_networks_are_the_rows_of_the_papers_table(modality: Modality) -> None:
    assert [one.name for one in candidates(modality)] == list(CROSS_VALIDATION[modality])
    assert [one.name for one in candidates(modality) if one.pretrained] == ["MNT-DL + SSL"]


def test_all_networks_have_the_same_seed_and_as_many_channels(protocol: UclaFpe) -> None:
    plans = [plan_of(protocol, one) for one in candidates("mr")]
    assert {plan.seed for plan in plans} == {protocol.seed}
    assert {len(plan.model.channels) for plan in plans} == {3}
    assert {plan.model.base_width for plan in plans} == {16}
    assert {plan.recipe for plan in plans} == {"mnt-dl-mr-small"}
    assert len({plan.name for plan in plans}) == 5


def test_an_estimate_counts_every_fold_and_scales_with_the_cohort(protocol: UclaFpe, tmp_path: Path) -> None:
    kind, context = kind_named("ucla-fpe"), RunContext(tmp_path, jobs=2, device="cpu")
    whole = kind.estimate(protocol, context)
    part = kind.estimate(
        protocol.model_copy(update={"dials": protocol.dials.model_copy(update={"scale": 0.3})}), context
    )
    assert whole.num_trainings == part.num_trainings == 25
    assert whole.cohorts["ucla-mr"] > int(INCLUDED["mr"])
    assert whole.cohorts["ucla-mr-unlabelled"] == 599
    assert part.cohorts["ucla-mr-unlabelled"] == 180
    assert part.disk_bytes < whole.disk_bytes
    assert not list(tmp_path.iterdir())

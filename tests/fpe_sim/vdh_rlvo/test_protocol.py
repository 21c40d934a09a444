"""The protocol's file, and the plans that follow from it."""

import pytest

from fpe_core.data.clinical_columns import RLVO_COLUMNS
from fpe_core.errors import ConfigValueInvalid
from fpe_sim.protocol import load_protocol, protocol_file
from fpe_sim.vdh_rlvo import paper
from fpe_sim.vdh_rlvo.networks import Variant, all_variants, study_plan
from fpe_sim.vdh_rlvo.protocol import VdhProtocol


def loaded(*overrides: str) -> VdhProtocol:
    return load_protocol(protocol_file("vdh-rlvo"), VdhProtocol, overrides)


def test_the_full_protocol_is_the_papers() -> None:
    protocol = loaded()
    assert not protocol.narrowed
    assert len(all_variants(protocol)) * len(protocol.inputs) * protocol.num_folds == 96
    training = protocol.used_training
    assert (training.local_epochs, training.batch_size, training.learning_rate) == (60, 1, 1e-4)
    assert training.plateau_patience_epochs is not None
    assert training.patience_epochs >= training.local_epochs
    assert not training.flip_left_right
    assert protocol.recipe == "daft-ct"


def test_small_images_have_their_own_recipe_and_training() -> None:
    protocol = loaded("dials.images=small")
    assert protocol.recipe == "daft-ct-small"
    assert protocol.used_training == protocol.small.training
    assert protocol.used_training.local_epochs < 60


def test_the_check_narrows_the_run_and_is_a_valid_protocol() -> None:
    protocol = loaded()
    assert protocol.check is not None
    assert loaded(*(f"{key}={value}" for key, value in protocol.check.set.items())).narrowed


def test_a_network_stands_once() -> None:
    with pytest.raises(ConfigValueInvalid, match="each name should stand once"):
        loaded("encoders=[densenet169, densenet169]")


def test_every_variant_has_a_printed_row_in_table_3() -> None:
    assert [variant.id for variant in all_variants(loaded())] == list(paper.TABLE_3)
    assert Variant("densenet169", "prior-daft").label == "D169 + prior + DAFT"


def test_plans_differ_by_what_the_network_sees_and_share_their_seed() -> None:
    protocol = loaded()
    plain = study_plan(protocol, Variant("efficientnet-b0", "plain"), "both")
    full = study_plan(protocol, Variant("efficientnet-b0", "prior-daft"), "both")
    assert plain.model.sequences == ("ncct", "cta")
    assert plain.model.clinical == ()
    assert full.model.sequences == ("ncct", "cta", "vessels")
    assert full.model.clinical == RLVO_COLUMNS
    assert plain.seed == full.seed != study_plan(loaded("seed=1"), Variant("efficientnet-b0", "plain"), "both").seed
    fewer = study_plan(protocol, Variant("densenet169", "daft"), "cta", ("nihss", "age_years"))
    assert fewer.model.clinical == ("nihss", "age_years")
    assert study_plan(protocol, Variant("densenet169", "prior"), "cta", ("nihss",)).model.clinical == ()


def test_what_daft_is_compared_with() -> None:
    assert Variant("densenet169", "daft").without_daft == Variant("densenet169", "plain")
    assert Variant("densenet169", "prior-daft").without_daft == Variant("densenet169", "prior")

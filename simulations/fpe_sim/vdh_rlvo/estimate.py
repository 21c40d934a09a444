"""What a run of the protocol would take."""

from fpe_core.config.study import ModelPlan, TrainingPlan
from fpe_core.data.clinical_columns import RLVO_COLUMNS
from fpe_sim import rates
from fpe_sim.kinds import Estimate
from fpe_sim.run_context import RunContext
from fpe_sim.vdh_rlvo import paper
from fpe_sim.vdh_rlvo.protocol import VdhProtocol


def estimate(protocol: VdhProtocol, context: RunContext) -> Estimate:
    """Phantoms, preprocessing and trainings; models B and C are counted as the slowest encoder's."""
    eligible = round(protocol.dials.scale * paper.ELIGIBLE)
    development = round(protocol.dials.scale * paper.DEVELOPMENT[0])
    folds_of_one = len(protocol.inputs) * protocol.num_folds
    variants = {encoder: len(protocol.configurations) for encoder in protocol.encoders}
    if any("daft" in name for name in protocol.configurations):
        variants["densenet169" if "densenet169" in variants else protocol.encoders[0]] += 2
    recipe, training = protocol.recipe, protocol.used_training
    seconds = rates.phantom_seconds("ct", eligible, context.jobs) if protocol.site is None else 0.0
    seconds += rates.preprocessing_seconds(recipe, eligible, context.jobs)
    disk = rates.phantom_bytes("ct", eligible) + rates.preprocessed_bytes(recipe, eligible)
    for encoder, count in variants.items():
        model = ModelPlan(name=encoder, sequences=("ncct", "cta"), clinical=RLVO_COLUMNS)
        cases = count * len(protocol.inputs) * (protocol.num_folds - 1) * development
        seconds += _training_seconds(model, recipe, cases, training, context)
        disk += rates.weights_bytes(model, recipe, count * folds_of_one)
    return Estimate({"vdh": eligible}, sum(variants.values()) * folds_of_one, seconds, disk)


def _training_seconds(model: ModelPlan, recipe: str, cases: int, training: TrainingPlan, context: RunContext) -> float:
    return rates.training_seconds(model, recipe, cases, training.local_epochs, context.jobs, context.device)

"""What a run of the protocol would take."""

from fpe_core.config.study import ModelPlan, TrainingPlan
from fpe_core.data.clinical_columns import RLVO_COLUMNS
from fpe_sim import rates
from fpe_sim.cohorts.flows import FLOWS, scaled
from fpe_sim.kinds import Estimate
from fpe_sim.run_context import RunContext
from fpe_sim.vdh_rlvo.protocol import VdhProtocol

_MODELS_B_AND_C = 2


def estimate(protocol: VdhProtocol, context: RunContext) -> Estimate:
    """Phantoms, preprocessing and trainings; models B and C are counted as the slowest encoder's, and a site's own
    cohort as the paper's."""
    flow, scale = FLOWS["vdh"], protocol.dials.scale if protocol.site is None else 1.0
    cases = flow.num_cases(scale)
    development = sum(sum(scaled(part, scale).values()) for part in flow.parts if part.group == "development")
    folds_of_one = len(protocol.inputs) * protocol.num_folds
    variants = {encoder: len(protocol.configurations) for encoder in protocol.encoders}
    if any("daft" in name for name in protocol.configurations):
        variants["densenet169" if "densenet169" in variants else protocol.encoders[0]] += _MODELS_B_AND_C
    recipe = protocol.recipe
    seconds = rates.preprocessing_seconds(recipe, cases, context.jobs)
    disk = rates.preprocessed_bytes(recipe, cases)
    if protocol.site is None:
        seconds += rates.phantom_seconds("ct", cases, context.jobs)
        disk += rates.phantom_bytes("ct", cases)
    for encoder, count in variants.items():
        model = ModelPlan(name=encoder, sequences=("ncct", "cta"), clinical=RLVO_COLUMNS)
        steps = count * len(protocol.inputs) * (protocol.num_folds - 1) * development
        seconds += _training_seconds(model, recipe, steps, protocol.used_training, context)
        disk += rates.weights_bytes(model, recipe, count * folds_of_one)
    return Estimate({"vdh": cases}, sum(variants.values()) * folds_of_one, seconds, disk)


def _training_seconds(model: ModelPlan, recipe: str, cases: int, training: TrainingPlan, context: RunContext) -> float:
    return rates.training_seconds(model, recipe, cases, training.local_epochs, context.jobs, context.device)

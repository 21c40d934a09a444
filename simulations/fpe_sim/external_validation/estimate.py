"""What an external validation would take."""

from fpe_core.config.loader import load_site
from fpe_core.data.case_table import read_site_table
from fpe_sim import rates
from fpe_sim.cohorts.flows import FLOWS, scaled
from fpe_sim.external_validation.pairs import HOSPITALS, PAPER_COHORTS, HospitalName
from fpe_sim.external_validation.protocol import ExternalValidationProtocol
from fpe_sim.kinds import Estimate
from fpe_sim.run_context import RunContext

_DEVELOPMENT_SHARE = 0.8
"""Of the included cases, about: the rest is the home test cohort."""


def estimate(protocol: ExternalValidationProtocol, context: RunContext) -> Estimate:
    """Cases, trainings, time and room of a run.

    Raises:
        FpeError: a site's file or case table is wrong.
    """
    names = {name for pair in protocol.pairs for name in (pair.home, pair.away)}
    cases = {name: _cases(protocol, name) for name in HOSPITALS if name in names}
    recipe, total = protocol.network.recipe, sum(cases.values())
    num_trainings = sum(protocol.hospital(pair.home).num_folds for pair in protocol.pairs)
    made = sum(count for name, count in cases.items() if protocol.hospital(name).site is None)
    return Estimate(
        cohorts={str(PAPER_COHORTS[name]): count for name, count in cases.items()},
        num_trainings=num_trainings,
        seconds=rates.phantom_seconds("ct", made, context.jobs)
        + rates.preprocessing_seconds(recipe, total, context.jobs)
        + _training_seconds(protocol, context),
        disk_bytes=rates.phantom_bytes("ct", made)
        + rates.preprocessed_bytes(recipe, total)
        + rates.weights_bytes(protocol.study(protocol.pairs[0]).model, recipe, num_trainings),
    )


def _cases(protocol: ExternalValidationProtocol, hospital: HospitalName) -> int:
    """Rows of the hospital's table."""
    site = protocol.hospital(hospital).site
    if site is not None:
        return len(read_site_table(load_site(site).data).rows)
    return FLOWS[PAPER_COHORTS[hospital]].num_cases(protocol.dials.scale)


def _training_seconds(protocol: ExternalValidationProtocol, context: RunContext) -> float:
    """Trainings of all pairs; the predictions away are a small part of an epoch and are left out."""
    pairs_of_a_home = len(protocol.labels)
    return sum(
        rates.training_seconds(
            protocol.study(pair).model,
            protocol.network.recipe,
            cases=_cases_of_an_epoch(protocol, pair.home),
            epochs=protocol.network.training.local_epochs,
            jobs=min(context.jobs, pairs_of_a_home * protocol.hospital(pair.home).num_folds),
            device=context.device,
        )
        for pair in protocol.pairs
    )


def _cases_of_an_epoch(protocol: ExternalValidationProtocol, home: HospitalName) -> int:
    """Training cases summed over the folds."""
    included = _cases(protocol, home)
    if protocol.hospital(home).site is None:
        parts = FLOWS[PAPER_COHORTS[home]].parts
        included = sum(sum(scaled(part, protocol.dials.scale).values()) for part in parts)
    return round((protocol.hospital(home).num_folds - 1) * _DEVELOPMENT_SHARE * included)

"""External validation: a network trained and locked at one hospital is judged at the other, and the reverse."""

from fpe_sim.external_validation.estimate import estimate
from fpe_sim.external_validation.protocol import ExternalValidationProtocol
from fpe_sim.external_validation.run import run
from fpe_sim.kinds import Kind

KIND = Kind(protocol=ExternalValidationProtocol, estimate=estimate, run=run)

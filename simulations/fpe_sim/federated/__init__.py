"""The multi-site comparison: each site alone, federated, all cases pooled, and federated without the site."""

from fpe_sim.federated.estimate import estimate
from fpe_sim.federated.protocol import FederatedProtocol
from fpe_sim.federated.run import run
from fpe_sim.kinds import Kind

KIND = Kind(protocol=FederatedProtocol, estimate=estimate, run=run)

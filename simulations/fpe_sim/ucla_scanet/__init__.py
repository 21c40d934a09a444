"""UCLA, SCANet (Zhang et al., MIDL 2022): final mTICI of 2c or better from CT and CTA, three models."""

from fpe_sim.kinds import Kind
from fpe_sim.ucla_scanet.estimate import estimate
from fpe_sim.ucla_scanet.protocol import UclaScanet
from fpe_sim.ucla_scanet.run import run

KIND = Kind(protocol=UclaScanet, estimate=estimate, run=run)

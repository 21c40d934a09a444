"""The UCLA protocol: first-pass effect from MR or CT with MNT-DL (Zhang et al., AJNR 2024)."""

from fpe_sim.kinds import Kind
from fpe_sim.ucla_fpe.estimate import estimate
from fpe_sim.ucla_fpe.protocol import UclaFpe
from fpe_sim.ucla_fpe.run import run

KIND = Kind(protocol=UclaFpe, estimate=estimate, run=run)

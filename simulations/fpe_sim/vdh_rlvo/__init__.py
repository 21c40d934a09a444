"""The Vall d'Hebron protocol: refractory occlusion from CT, CTA and the clinical table with DAFT (EJR 2025)."""

from fpe_sim.kinds import Kind
from fpe_sim.vdh_rlvo.estimate import estimate
from fpe_sim.vdh_rlvo.protocol import VdhProtocol
from fpe_sim.vdh_rlvo.run import run

KIND = Kind(protocol=VdhProtocol, estimate=estimate, run=run)

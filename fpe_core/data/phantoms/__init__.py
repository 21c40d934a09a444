"""Phantom hospitals: made-up patients whose label follows a known link. Never evidence about real patients."""

from fpe_core.data.phantoms.generate import generate_site
from fpe_core.data.phantoms.spec import CaseMix, PhantomSite, Scanner

__all__ = ["CaseMix", "PhantomSite", "Scanner", "generate_site"]

"""The networks."""

from fpe_core.models.factory import build_model

__all__ = ["build_model"]

"""MNT-DL, the multisequence neighbourhood transformer."""

from fpe_core.models.released import load_released_state_dict

__all__ = ["load_released_state_dict"]

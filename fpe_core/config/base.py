"""The base of every configuration model: frozen, and closed to keys that nobody defined."""

from pydantic import BaseModel, ConfigDict


class FrozenModel(BaseModel):
    """Immutable after validation; an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

"""A protocol or scenario as YAML with every key and what each key is for: a file to start one's own from."""

from collections.abc import Iterator
from textwrap import wrap

import yaml
from pydantic import BaseModel

_WIDTH = 118


def settings_text(settings: BaseModel) -> str:
    """YAML that loads as `settings` does; a comment above each key says what it is for."""
    return "\n".join(_lines(settings, "")) + "\n"


def _lines(model: BaseModel, indent: str) -> Iterator[str]:
    content = model.model_dump(mode="json")
    for name, field in type(model).model_fields.items():
        if field.description:
            text = " ".join(field.description.split())
            yield from (f"{indent}# {line}" for line in wrap(text, _WIDTH - len(indent)))
        value = getattr(model, name)
        if isinstance(value, BaseModel):
            yield f"{indent}{name}:"
            yield from _lines(value, f"{indent}  ")
        else:
            text = yaml.safe_dump({name: content[name]}, sort_keys=False, allow_unicode=True, width=_WIDTH)
            yield from (f"{indent}{line}" for line in text.splitlines())

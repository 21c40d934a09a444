"""Reads YAML into a configuration model, and says file, line, key, what was expected and the nearest valid key."""

import difflib
from collections.abc import Mapping
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from fpe_core.config.base import FrozenModel
from fpe_core.config.site import SiteConfig
from fpe_core.config.study import StudyPlan
from fpe_core.errors import ConfigError, ConfigFileMissing, ConfigKeyUnknown, ConfigSyntaxError, ConfigValueInvalid

M = TypeVar("M", bound=FrozenModel)
Location = tuple[int | str, ...]


def load_site(path: Path) -> SiteConfig:
    """Read a site file; its relative paths are resolved against the file's own folder.

    Raises:
        ConfigError: the file is missing, is not YAML, or does not fit `SiteConfig`.
    """
    return load_yaml(path, SiteConfig).resolved(path.resolve().parent)


def load_study(path: Path) -> StudyPlan:
    """Read a study plan.

    Raises:
        ConfigError: the file is missing, is not YAML, or does not fit `StudyPlan`.
    """
    return load_yaml(path, StudyPlan)


def load_yaml(path: Path, model: type[M]) -> M:
    """Read `path` as YAML and validate it as `model`; the first problem in the file is the one reported in full."""
    root = _compose(path)
    try:
        return model.model_validate(_plain(path, root))
    except ValidationError as error:
        # A misspelt key is also a missing one; the misspelling is what to tell.
        problems = sorted(error.errors(), key=lambda p: (p["type"] == "missing", _line(root, p["loc"])))
        raise _explain(path, root, model, problems) from None


def _compose(path: Path) -> yaml.Node:
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigFileMissing(f"{path}: no such file", hint=_similar_file(path)) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigSyntaxError(f"{path}: cannot be read as UTF-8 text ({type(error).__name__})") from None
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        line = mark.line + 1 if mark else 1
        raise ConfigSyntaxError(
            f"{path}:{line}: not valid YAML: {error.problem}", hint="check the indentation and the quotes on this line"
        ) from None
    if not isinstance(root, yaml.MappingNode):
        raise ConfigSyntaxError(f"{path}:1: expected keys and values, got {'nothing' if root is None else 'a list'}")
    return root


def _plain(path: Path, root: yaml.Node) -> dict[str, Any]:
    _refuse_duplicates(path, root)
    loader = yaml.SafeLoader("")
    try:
        value: dict[str, Any] = loader.construct_document(root)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ConfigSyntaxError(f"{path}:{line}: not valid YAML: {error.problem}") from None
    return value


def _refuse_duplicates(path: Path, node: yaml.Node) -> None:
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            if key.value in seen:
                raise ConfigSyntaxError(f"{path}:{key.start_mark.line + 1}: the key {key.value!r} stands here twice")
            seen.add(key.value)
            _refuse_duplicates(path, value)
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            _refuse_duplicates(path, item)


def _explain(path: Path, root: yaml.Node, model: type[BaseModel], problems: list[ErrorDetails]) -> ConfigError:
    first = problems[0]
    where = f"{path}:{_line(root, first['loc'])}: {_dotted(first['loc'])}"
    more = f" ({len(problems) - 1} more after this one)" if len(problems) > 1 else ""
    if first["type"] == "extra_forbidden":
        valid = _valid_keys(model, first["loc"][:-1])
        near = difflib.get_close_matches(str(first["loc"][-1]), valid, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]!r}?" if near else "remove it"
        return ConfigKeyUnknown(f"{where}: unknown key, expected one of {', '.join(valid)}{more}", hint=hint)
    if first["type"] == "missing":
        return ConfigValueInvalid(f"{where}: required, and missing{more}", hint=_description(model, first["loc"]))
    return ConfigValueInvalid(
        f"{where}: {expectation(first)}, got {_shown(first['input'])}{more}", hint=_description(model, first["loc"])
    )


def expectation(problem: ErrorDetails) -> str:
    """What pydantic wanted, in the words of somebody who writes YAML."""
    said = problem["msg"].removeprefix("Value error, ").removeprefix("Input ")
    if problem["type"] in ("dict_type", "model_type"):
        return "should be keys with values below it, such as 'key: value'"
    return said.replace("a valid tuple", "a list, such as [a, b]")


def _line(root: yaml.Node, location: Location) -> int:
    """Line of the deepest part of `location` that exists in the file, counted from 1."""
    node, line = root, root.start_mark.line
    for part in location:
        if isinstance(node, yaml.MappingNode):
            match = next(((k, v) for k, v in node.value if k.value == str(part)), None)
            if match is None:
                break
            line, node = match[0].start_mark.line, match[1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
            line = node.start_mark.line
    return int(line) + 1


def _owner(model: type[BaseModel], location: Location) -> type[BaseModel]:
    """The model that the deepest part of `location` is a key of; keys of mappings and places in lists are passed."""
    kind: Any = model
    for part in location:
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            field = kind.model_fields.get(str(part))
            kind = field.annotation if field else None
        else:
            kind = _inside(kind)
        kind = _without_none(kind)
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            model = kind
    return model


def _inside(kind: Any) -> Any:
    """What a mapping, a list or a tuple of any length holds."""
    arguments = get_args(kind)
    if get_origin(kind) in (dict, Mapping):
        return arguments[1]
    return arguments[0] if get_origin(kind) in (list, tuple) else None


def _without_none(kind: Any) -> Any:
    """X of `X | None` and of `Annotated[X, ...]`."""
    if get_origin(kind) is Annotated:
        return _without_none(get_args(kind)[0])
    if get_origin(kind) in (Union, UnionType):
        return next((_without_none(arg) for arg in get_args(kind) if arg is not type(None)), None)
    return kind


def _valid_keys(model: type[BaseModel], location: Location) -> list[str]:
    return sorted(_owner(model, location).model_fields)


def _description(model: type[BaseModel], location: Location) -> str:
    """What the key that `location` ends in, or ends inside of, is for."""
    while location and not isinstance(location[-1], str):
        location = location[:-1]
    if not location:
        return ""
    field = _owner(model, location[:-1]).model_fields.get(str(location[-1]))
    return (field.description or "") if field else ""


def _dotted(location: Location) -> str:
    return ".".join(str(part) for part in location) or "the file"


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _similar_file(path: Path) -> str:
    if not path.parent.is_dir():
        return f"the folder {path.parent} does not exist either"
    near = difflib.get_close_matches(path.name, [p.name for p in path.parent.iterdir()], n=1, cutoff=0.5)
    return f"did you mean {path.parent / near[0]}?" if near else f"create it, or give another path than {path}"

"""A protocol: what is simulated, as one YAML file with a name, a kind and two dials."""

import json
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import yaml
from pydantic import AfterValidator, Field, ValidationError

from fpe_core.config.base import FrozenModel
from fpe_core.config.loader import expectation, load_yaml
from fpe_core.errors import ConfigFileMissing, ConfigValueInvalid

BUILT_IN = Path(str(files("fpe_sim"))) / "protocols"
KindName = Literal["ucla-fpe", "ucla-scanet", "vdh-rlvo", "external-validation", "federated"]


SiteFile = Annotated[Path, AfterValidator(Path.absolute)]
"""A hospital's site file; a relative one is below the folder in which the command was given, which `--resume` need not
be."""


class Dials(FrozenModel):
    """How much of a protocol is run; its structure stays."""

    scale: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Cohort sizes as a share of the paper's."""
    images: Literal["small", "full"] = "full"
    """full: the grid of the paper and its published network width. small: a coarse grid and a narrow network."""


class Band(FrozenModel):
    """Where one number of a run has to lie."""

    number: str
    """Name of the number in `ProtocolResults.numbers`."""
    low: float
    """Least accepted value."""
    high: float
    """Greatest accepted value."""


class Check(FrozenModel):
    """How `fpe-sim reproduce-check` runs the protocol in a minute or two, and what has to come out."""

    set: dict[str, str | int | float | bool] = Field(default_factory=dict)
    """Settings by dotted key, as `--set` takes them: text is read as YAML, so that "[a, b]" is a list."""
    bands: tuple[Band, ...]
    """Acceptance bands."""

    @property
    def overrides(self) -> tuple[str, ...]:
        """The settings as `--set` takes them."""
        return tuple(
            f"{key}={value if isinstance(value, str) else json.dumps(value)}" for key, value in self.set.items()
        )


class ProtocolBase(FrozenModel):
    """What all protocols have. Each kind adds its own sections."""

    schema_version: Literal[1] = 1
    """Version of this file's format."""
    kind: KindName
    """Which code runs it."""
    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
    """Name for reports and folders."""
    summary: str
    """One sentence for `fpe-sim list`."""
    seed: Annotated[int, Field(ge=0, lt=2**32)]
    """Every random draw of cohorts and trainings is derived from this number."""
    dials: Dials = Dials()
    check: Check | None = None


P = TypeVar("P", bound=ProtocolBase)


class _Head(FrozenModel):
    """As much of a protocol as must be known to choose its model."""

    model_config = FrozenModel.model_config | {"extra": "ignore"}
    kind: KindName
    summary: str = ""


def protocol_names() -> tuple[str, ...]:
    """Names of the protocols that come with the software."""
    return tuple(sorted(path.stem for path in BUILT_IN.glob("*.yaml")))


def protocol_file(name_or_file: str) -> Path:
    """The file of a protocol given by its name, or a file of one's own.

    Raises:
        ConfigFileMissing: there is no such name or file.
    """
    path = BUILT_IN / f"{name_or_file}.yaml" if name_or_file in protocol_names() else Path(name_or_file)
    if not path.is_file():
        raise ConfigFileMissing(
            f"{name_or_file}: neither a protocol nor a file", hint=f"protocols: {', '.join(protocol_names())}"
        )
    return path


def head_of(path: Path) -> tuple[KindName, str]:
    """Kind and summary of a protocol file.

    Raises:
        ConfigError: it is no protocol.
    """
    head = load_yaml(path, _Head)
    return head.kind, head.summary


def load_protocol(path: Path, model: type[P], overrides: Sequence[str] = ()) -> P:
    """A protocol with some values replaced.

    Args:
        path: the file.
        model: of the file's kind.
        overrides: `key=value`, the key dotted, the value as YAML; for example `training.local_epochs=5`. Places in a
            list are counted from 0: `arms.0.epochs=5`.

    Raises:
        ConfigError: the file does not fit, or an override is not of that form, names no key or has an impossible value.
    """
    return with_overrides(load_yaml(path, model), overrides)


def with_overrides(protocol: P, overrides: Sequence[str]) -> P:
    """`protocol` with some values replaced; see `load_protocol`."""
    content = protocol.model_dump(mode="json")
    for text in overrides:
        key, equals, value = text.partition("=")
        if not equals:
            raise ConfigValueInvalid(f"--set {text}: should be key=value", hint="for example --set dials.scale=0.2")
        _replace(content, key.strip().split("."), _value(value, text), text)
    try:
        return type(protocol).model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the settings together"
        raise ConfigValueInvalid(
            f"--set: {where}: {expectation(first)}", hint="fpe-sim show NAME lists keys"
        ) from error


def _value(value: str, text: str) -> object:
    try:
        return yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise ConfigValueInvalid(f"--set {text}: the value is not valid YAML") from error


def _replace(content: dict[str, Any], key: list[str], value: object, text: str) -> None:
    *sections, last = key
    inside: Any = content
    for section in sections:
        inside = inside[_place(inside, section, text)]
        if not isinstance(inside, (dict, list)):
            raise ConfigValueInvalid(f"--set {text}: {section} is no section", hint="fpe-sim show NAME lists keys")
    inside[_place(inside, last, text)] = value


def _place(inside: dict[str, Any] | list[Any], key: str, text: str) -> Any:
    """A key of a section, or a place in a list, counted from 0."""
    if isinstance(inside, list):
        if not key.isdecimal() or int(key) >= len(inside):
            raise ConfigValueInvalid(f"--set {text}: {key} should be a place in the list, 0 to {len(inside) - 1}")
        return int(key)
    if key not in inside:
        raise ConfigValueInvalid(f"--set {text}: there is no key {key}", hint=f"keys here: {', '.join(sorted(inside))}")
    return key

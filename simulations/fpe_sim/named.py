"""What a name on the command line stands for: a protocol, a scenario, or a file with one of them."""

from pathlib import Path
from typing import Any

import yaml

from fpe_core.errors import ConfigFileMissing
from fpe_sim.kinds import kind_named
from fpe_sim.protocol import ProtocolBase, head_of, load_protocol, protocol_file, protocol_names, with_overrides
from fpe_sim.scenario import Scenario, load_scenario, scenario_file, scenario_names


def find_settings(name_or_file: str, overrides: tuple[str, ...] = ()) -> ProtocolBase | Scenario:
    """The protocol or scenario of this name, or in this file.

    Args:
        name_or_file: as it was typed.
        overrides: of a protocol, as `load_protocol` takes them; a scenario has none.

    Raises:
        ConfigError: there is no such name or file, or it does not fit.
    """
    path = settings_file(name_or_file)
    if _is_scenario(path):
        return load_scenario(name_or_file)
    kind, _ = head_of(path)
    return load_protocol(path, kind_named(kind).protocol, overrides)


def settings_file(name_or_file: str) -> Path:
    """The file of a protocol or scenario.

    Raises:
        ConfigFileMissing: there is no such name or file.
    """
    if name_or_file in protocol_names():
        return protocol_file(name_or_file)
    path = scenario_file(name_or_file) if name_or_file in scenario_names() else Path(name_or_file)
    if not path.is_file():
        raise ConfigFileMissing(
            f"{name_or_file}: neither a protocol, nor a scenario, nor a file",
            hint=f"protocols: {', '.join(protocol_names()) or 'none'}; scenarios: {', '.join(scenario_names())}",
        )
    return path


def protocol_from(content: dict[str, Any], overrides: tuple[str, ...] = ()) -> ProtocolBase:
    """The protocol of a run folder's settings."""
    return with_overrides(kind_named(content["kind"]).protocol.model_validate(content), overrides)


def _is_scenario(path: Path) -> bool:
    """Whether a file is about a study's sites. What is neither is left to the protocol's loader, which says why."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return False
    return isinstance(content, dict) and "study" in content and "kind" not in content

"""The folder of one run of a protocol.

DIR/
├── protocol.json     every setting, resolved: what `--resume` reads
├── run.json          command, machine, versions, wall time of each stage, over all interruptions
├── cohorts/          phantoms, or preprocessed cases
├── trainings/        NAME/fold-K/predictions.json and weights.safetensors
├── results.json      everything that the run found; a run that has it is finished
├── tables/ID.csv     the tables, a line for each cell
├── figures/ID.svg    and ID.png
└── report.html       for people
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fpe_core.errors import ConfigFileMissing, ConfigValueInvalid, ResultsUnreadable
from fpe_core.files import write_atomic
from fpe_core.preprocessing.storage import locked
from fpe_sim.protocol import ProtocolBase
from fpe_sim.protocol_results import ProtocolResults, load_protocol_results
from fpe_sim.stages import STAGE_SECONDS

_ELSEWHERE = "give another --out, or delete that folder"
_MOST_SHOWN = 4


@dataclass(frozen=True)
class ProtocolFolder:
    """Names in the folder, and whose it is.

    Attributes:
        path: of the folder.
    """

    path: Path

    @property
    def protocol(self) -> Path:
        """Every setting, resolved."""
        return self.path / "protocol.json"

    @property
    def record(self) -> Path:
        """Command, machine and times."""
        return self.path / "run.json"

    @property
    def results(self) -> Path:
        """What the run found."""
        return self.path / "results.json"

    @property
    def tables(self) -> Path:
        """A CSV file for each table."""
        return self.path / "tables"

    @property
    def figures(self) -> Path:
        """SVG and PNG files."""
        return self.path / "figures"

    @property
    def report(self) -> Path:
        """The report for people."""
        return self.path / "report.html"

    @contextmanager
    def held(self) -> Iterator[None]:
        """Make the folder, or find it again, and keep other runs out until the block ends.

        Raises:
            ConfigValueInvalid: it holds a run of a scenario, or another process works on it.
        """
        if (self.path / "run" / "plan.json").exists() or (self.path / "federation").exists():
            raise ConfigValueInvalid(f"{self.path} holds a run of a scenario", hint=_ELSEWHERE)
        self.path.mkdir(parents=True, exist_ok=True)
        try:
            with locked(self.path / ".lock", wait=False):
                yield
        except BlockingIOError:
            raise ConfigValueInvalid(
                f"{self.path}: another fpe-sim is at work there", hint="wait for its end, or give another --out"
            ) from None

    def claim(self, protocol: ProtocolBase) -> None:
        """Write the settings down, or find the same ones.

        A run that was refused before it made anything leaves nothing to protect: other settings take its place.

        Raises:
            ConfigValueInvalid: the folder holds a run of another protocol or of other settings.
        """
        wanted = protocol.model_dump(mode="json")
        if not self.protocol.exists() or self._is_untouched():
            self.record.unlink(missing_ok=True)
            (self.path / STAGE_SECONDS).unlink(missing_ok=True)
            write_atomic(self.protocol, (json.dumps(wanted, indent=1) + "\n").encode())
            return
        there = self.content()
        if there.get("name") != wanted["name"]:
            raise ConfigValueInvalid(f"{self.path} holds a run of {there.get('name')}", hint=_ELSEWHERE)
        if differences := _differences(there, wanted):
            more = f" and {len(differences) - _MOST_SHOWN} more" if len(differences) > _MOST_SHOWN else ""
            raise ConfigValueInvalid(
                f"{self.path} holds a run with other settings: {'; '.join(differences[:_MOST_SHOWN])}{more}",
                hint=f"{_ELSEWHERE}; fpe-sim run --resume --out {self.path} goes on with what it has",
            )

    def _is_untouched(self) -> bool:
        before_anything = {".lock", self.protocol.name, self.record.name, STAGE_SECONDS}
        return {path.name for path in self.path.iterdir()} <= before_anything

    def content(self) -> dict[str, Any]:
        """The settings of the run that the folder holds.

        Raises:
            ConfigFileMissing: it holds none.
            ConfigValueInvalid: they are damaged.
        """
        try:
            content = json.loads(self.protocol.read_bytes())
        except FileNotFoundError:
            raise ConfigFileMissing(
                f"{self.path}: there is no run of a protocol here", hint="start one with fpe-sim run NAME --out DIR"
            ) from None
        except ValueError as error:
            raise ConfigValueInvalid(f"{self.protocol} is damaged", hint=_ELSEWHERE) from error
        return dict(content)

    def finished(self) -> ProtocolResults | None:
        """The results of a finished run; None where it is not finished, or finished by a version that wrote others."""
        if not self.results.is_file():
            return None
        try:
            return load_protocol_results(self.results)
        except ResultsUnreadable:
            return None


def _differences(there: dict[str, Any], wanted: dict[str, Any]) -> list[str]:
    """A sentence for each setting that differs. What `check` asks for decides nothing of a run."""
    here, before = ({key: _shown(value) for key, value in flat(content).items()} for content in (wanted, there))
    return [
        f"{key} is {before.get(key, 'absent')} there and {here.get(key, 'absent')} here"
        for key in dict.fromkeys((*before, *here))
        if not key.startswith("check.") and before.get(key) != here.get(key)
    ]


def _shown(value: object) -> str:
    return json.dumps(value)


def flat(content: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Dotted keys and values, as `--set` takes them; a list is one value."""
    found: dict[str, Any] = {}
    for name, value in content.items():
        if isinstance(value, dict) and value:
            found |= flat(value, f"{prefix}{name}.")
        else:
            found[f"{prefix}{name}"] = value
    return found

"""What `fpe-sim run` does with what was asked for."""

import hashlib
import json
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import typer

from fpe_core.errors import ConfigValueInvalid
from fpe_sim.console import interruptible, say
from fpe_sim.dry_run import estimate_data, estimate_text
from fpe_sim.kinds import kind_named
from fpe_sim.named import find_settings, protocol_from, settings_file
from fpe_sim.protocol import ProtocolBase
from fpe_sim.protocol_results import ProtocolResults
from fpe_sim.ray_cluster import check_ray_address
from fpe_sim.run_context import RunContext, default_jobs
from fpe_sim.run_folder import ProtocolFolder
from fpe_sim.run_protocol import protocol_headline, publish_again, run_protocol
from fpe_sim.run_record import Request, load_record
from fpe_sim.scenario import Scenario


@dataclass(frozen=True)
class Asked:
    """The command line of `fpe-sim run`; see its help."""

    name: str | None
    out: Path | None
    scale: float | None
    images: Literal["small", "full"] | None
    settings: tuple[str, ...]
    jobs: int | None
    device: str
    gpus_per_training: float
    ray_address: str | None
    gpus_per_site: float
    dry_run: bool
    resume: bool

    @property
    def overrides(self) -> tuple[str, ...]:
        """The dials and --set together, as `load_protocol` takes them."""
        dials = {"dials.scale": self.scale, "dials.images": self.images}
        return (*(f"{key}={value}" for key, value in dials.items() if value is not None), *self.settings)

    def folder(self) -> ProtocolFolder:
        """Where it runs.

        Raises:
            typer.BadParameter: nobody said.
        """
        if self.out is None:
            raise typer.BadParameter("--out DIR is needed")
        return ProtocolFolder(self.out)

    def context(self) -> RunContext:
        """Where and on what a protocol runs."""
        return RunContext(
            folder=(self.out or Path()).resolve(),
            jobs=self.jobs or default_jobs(),
            device=self.device,
            gpus_per_training=self.gpus_per_training,
            ray_address=self.ray_address,
        )

    def request(self, name: str) -> Request:
        """How the protocol `name` was asked for."""
        words = ["fpe-sim", "run", Path(name).name]
        words += ["--scale", f"{self.scale:g}"] if self.scale is not None else []
        words += ["--images", self.images] if self.images is not None else []
        words += [word for setting in self.settings for word in ("--set", setting)]
        content = settings_file(name).read_bytes() + json.dumps(self.overrides).encode()
        return Request(f"{shlex.join(words)} --out DIR", hashlib.sha256(content).hexdigest())


def run_asked(asked: Asked) -> dict[str, object]:
    """Do it, and return the data of the JSON envelope.

    Raises:
        typer.BadParameter: options that do not go together.
        FpeError: what was wrong with the run.
    """
    if asked.resume:
        return _resumed(asked)
    if asked.name is None:
        raise typer.BadParameter("give a NAME or FILE (fpe-sim list shows names), or --resume --out DIR")
    request = asked.request(asked.name)
    if not asked.dry_run and asked.out and (results := _finished_before(asked.folder(), request)):
        return _told(asked.folder(), results)
    found = find_settings(asked.name, asked.overrides)
    if isinstance(found, Scenario):
        return _scenario(found, asked)
    if asked.dry_run:
        return _estimated(found, asked)
    return _protocol(found, asked, request)


def _finished_before(folder: ProtocolFolder, request: Request) -> ProtocolResults | None:
    record = load_record(folder.record)
    return publish_again(folder) if record and record.request == request.digest else None


def _resumed(asked: Asked) -> dict[str, object]:
    if asked.name is not None or asked.overrides or asked.dry_run:
        raise typer.BadParameter("--resume takes protocol and settings from the folder: give --out alone")
    folder = asked.folder()
    content, results = folder.content(), publish_again(folder)
    if results:
        return _told(folder, results)
    protocol = protocol_from(content)
    return _protocol(protocol, asked, Request(f"fpe-sim run {protocol.name} --out DIR"))


def _protocol(protocol: ProtocolBase, asked: Asked, request: Request) -> dict[str, object]:
    folder = asked.folder()
    if asked.ray_address:
        check_ray_address(asked.ray_address)
    with interruptible(shlex.join(["fpe-sim", "run", "--resume", "--out", str(folder.path)])):
        results = run_protocol(protocol, asked.context(), request)
    return _told(folder, results)


def _told(folder: ProtocolFolder, results: ProtocolResults) -> dict[str, object]:
    say(protocol_headline(results, folder))
    return {
        "out": folder.path,
        "results": folder.results,
        "report": folder.report,
        "findings": results.findings,
        "numbers": results.model_dump(mode="json")["numbers"],
    }


def _estimated(protocol: ProtocolBase, asked: Asked) -> dict[str, object]:
    context = asked.context()
    estimate = kind_named(protocol.kind).estimate(protocol, context)
    say(estimate_text(estimate, protocol, context))
    return estimate_data(estimate)


def _scenario(scenario: Scenario, asked: Asked) -> dict[str, object]:
    from fpe_sim.publish import headline
    from fpe_sim.runner import run_scenario

    out = asked.folder().path
    if asked.overrides or asked.dry_run or asked.gpus_per_training or asked.ray_address or asked.device != "auto":
        raise typer.BadParameter("a scenario takes --out, --jobs and --gpus-per-site only")
    if asked.folder().protocol.exists():
        raise ConfigValueInvalid(f"{out} holds a run of a protocol", hint="give another --out, or delete that folder")
    with interruptible():
        jobs = asked.jobs or default_jobs()
        results = run_scenario(scenario, out, jobs=jobs, gpus_per_site=asked.gpus_per_site)
    say(headline(results, out))
    return {"out": out, "results": out / "results.json", "report": out / "report.html"}

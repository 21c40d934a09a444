"""`fpe-server`: the coordinating centre's program.

Every command but `init` works on the federation folder that `--folder` names; by default that is the current folder.
"""

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer
from pydantic import BaseModel, ValidationError

from fpe_core.errors import ConfigValueInvalid, ServerNotRunning
from fpe_server.output import emit, reported_errors, say

if TYPE_CHECKING:
    from fpe_server.federation import Federation

M = TypeVar("M", bound=BaseModel)

EXIT_INTERRUPTED = 130
STOP_TIMEOUT_S = 60.0

app = typer.Typer(
    help="The coordinating centre of a federation: admits hospitals, and runs studies with them.\n\n"
    "A first federation:  fpe-server init fed  ·  cd fed  ·  fpe-server admit north north.pub  ·  "
    "fpe-server start --study study.yaml",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Folder = Annotated[
    Path,
    typer.Option("--folder", "-C", envvar="FPE_FEDERATION", help="The federation folder, made by `fpe-server init`."),
]
Json = Annotated[bool, typer.Option("--json", help="One JSON envelope on stdout, for machines.")]
Hosts = Annotated[
    list[str] | None, typer.Option("--host", help="A name or IP address under which sites reach it; repeat.")
]
HERE = Path()


def main() -> None:
    """Entry point of the program."""
    app()


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"fpe-server {version('fpe-federation')}")
        raise typer.Exit


@app.callback()
def _options(
    show: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    pass


@app.command()
def init(
    directory: Annotated[Path, typer.Argument(help="A new or empty folder.")],
    host: Hosts = None,
    port: Annotated[int, typer.Option(help="Port that the sites connect to.", min=1, max=65535)] = 9092,
    as_json: Json = False,
) -> None:
    """Make a federation folder: its own certificate authority, a server certificate and federation.yaml.

    Example:  fpe-server init fed --host fpe.example.org --host 192.0.2.7
    """
    from fpe_server.federation import FederationConfig, create

    with reported_errors(as_json=as_json):
        federation = create(directory, _checked(FederationConfig, hosts=tuple(host or ()), port=port))
        certificate = federation.authority_certificate
        emit({"folder": str(federation.folder), "ca_certificate": str(certificate)}, as_json=as_json)
        say(f"federation made in {federation.folder}")
        say(f"give every site a copy of {certificate}")
        say(f"next: fpe-server admit SITE PUBLIC_KEY --folder {directory}")


@app.command()
def renew(folder: Folder = HERE, as_json: Json = False) -> None:
    """Make a new server certificate, for the hosts that federation.yaml names. The sites need no change.

    Example:  fpe-server renew --folder fed
    """
    from fpe_server.federation import Federation, issue_server_certificate

    with reported_errors(as_json=as_json):
        federation = Federation.open(folder)
        issue_server_certificate(federation)
        emit({"server_certificate": str(federation.server_certificate)}, as_json=as_json)
        say("new server certificate made; a running server uses it after its next start")


@app.command()
def admit(
    site: Annotated[str, typer.Argument(help="The site's name: lower-case letters, digits and hyphens.")],
    public_key: Annotated[Path, typer.Argument(help="The site's public key, made by `fpe-client keygen`.")],
    folder: Folder = HERE,
    replace: Annotated[
        bool, typer.Option("--replace", help="Put this key in the place of the site's old one.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Admit a site: from now on the holder of this key may connect under this name.

    Example:  fpe-server admit north keys/north.pub --folder fed
    """
    from fpe_server.admission import admit as remember
    from fpe_server.admission import read_public_key
    from fpe_server.federation import Federation

    with reported_errors(as_json=as_json):
        federation = Federation.open(folder)
        remember(federation, site, read_public_key(public_key), replace=replace)
        at_once = _reconcile_if_running(federation)
        emit({"site": site, "at_once": at_once}, as_json=as_json)
        say(f"{site} is admitted" + ("" if at_once else "; the server will know it when it starts"))


@app.command()
def revoke(
    site: Annotated[str, typer.Argument(help="The site's name.")], folder: Folder = HERE, as_json: Json = False
) -> None:
    """Shut a site out. A connected site is disconnected within seconds.

    Example:  fpe-server revoke north --folder fed
    """
    from fpe_server.admission import revoke as forget
    from fpe_server.federation import Federation

    with reported_errors(as_json=as_json):
        federation = Federation.open(folder)
        forget(federation, site)
        emit({"site": site, "at_once": _reconcile_if_running(federation)}, as_json=as_json)
        say(f"{site} is shut out")


@app.command()
def start(
    folder: Folder = HERE,
    study: Annotated[Path | None, typer.Option(help="Study plan (YAML) to run; goes on from its last round.")] = None,
    as_json: Json = False,
) -> None:
    """Open the federation and, with --study, run a study to its end. Ctrl-C stops it in order.

    Without --study the fleet stays open until stopped. A study that was interrupted goes on from its last good round
    when it is started again.

    Example:  fpe-server start --folder fed --study study.yaml
    """
    from fpe_server.coordinator import Coordinator, sole_server
    from fpe_server.federation import Federation
    from fpe_server.progress import make_reporter
    from fpe_server.study_run import StudyRun
    from fpe_server.study_state import prepare_run_folder, read_state

    with reported_errors(as_json=as_json):
        federation = Federation.open(folder)
        run_folder = prepare_run_folder(federation, study)[1] if study else None
        run = StudyRun(run_folder) if run_folder else None
        if run is None or run.state().status != "finished":
            with (
                _stop_signals() as stopping,
                sole_server(federation),
                make_reporter() as reporter,
                Coordinator(federation, reporter, stopping) as coordinator,
            ):
                coordinator.serve(run)
        state = read_state(run_folder) if run_folder else None
        code = EXIT_INTERRUPTED if state and state.status != "finished" else 0
        data = {"run_folder": str(run_folder) if run_folder else None, "study_status": state.status if state else None}
        emit(data, as_json=as_json, exit_code=code)
        if run_folder:
            say(f"study {'finished' if code == 0 else 'interrupted'}: {run_folder}")
        raise typer.Exit(code)


@app.command()
def status(
    folder: Folder = HERE,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until the server is serving.")] = False,
    timeout: Annotated[float, typer.Option(help="Longest wait, in seconds.", min=0)] = 60.0,
    as_json: Json = False,
) -> None:
    """Show whether the server is up, which sites are connected and how the study stands.

    Example:  fpe-server status --folder fed --wait --json
    """
    from fpe_server.federation import Federation
    from fpe_server.status import in_words, look

    with reported_errors(as_json=as_json):
        federation = Federation.open(folder)
        end = time.monotonic() + (timeout if wait else 0.0)
        found = look(federation)
        while found["health"] != "SERVING" and time.monotonic() < end:
            time.sleep(0.3)
            found = look(federation)
        code = 0 if found["health"] == "SERVING" else ServerNotRunning.exit_code
        emit(found, as_json=as_json, text=in_words(found), exit_code=code)
        raise typer.Exit(code)


@app.command()
def stop(
    folder: Folder = HERE,
    timeout: Annotated[float, typer.Option(help="Longest wait, in seconds.", min=0)] = STOP_TIMEOUT_S,
    as_json: Json = False,
) -> None:
    """End the running server in order, and wait until it is gone. A study keeps its last checkpoint.

    Example:  fpe-server stop --folder fed
    """
    from fpe_server.federation import Federation
    from fpe_server.locks import holder

    with reported_errors(as_json=as_json):
        federation = Federation.open(folder)
        pid = holder(federation.lock)
        if not pid:
            raise ServerNotRunning(f"no server runs in {federation.folder}")
        os.kill(pid, signal.SIGTERM)
        end = time.monotonic() + timeout
        while holder(federation.lock) == pid:
            if time.monotonic() > end:
                raise ServerNotRunning(f"process {pid} did not end in {timeout:.0f} s", hint=f"kill -9 {pid}")
            time.sleep(0.1)
        emit({"pid": pid}, as_json=as_json)
        say("the server has stopped")


@app.command("bundle-hash")
def bundle_hash(as_json: Json = False) -> None:
    """Print the sha256 of the app bundle that the sites are asked to run.

    Example:  fpe-server bundle-hash
    """
    from fpe_server.flower import bundle_sha256

    digest = bundle_sha256()
    emit({"sha256": digest}, as_json=as_json, text=digest)


def _checked(model: type[M], **values: object) -> M:
    """Build a configuration from the command line; what a file says and what a person types obey the same rules."""
    try:
        return model.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0])
        raise ConfigValueInvalid(f"{name}: {first['msg']}, got {first['input']!r}") from None


def _reconcile_if_running(federation: "Federation") -> bool:
    """Tell a running server about the keys. False when none runs: it will read them when it starts."""
    from fpe_server.control import reconcile
    from fpe_server.flower import Control
    from fpe_server.status import look

    if look(federation)["health"] != "SERVING":
        return False
    with Control(federation) as control:
        reconcile(federation, control)
    return True


@contextmanager
def _stop_signals() -> Iterator[threading.Event]:
    """An event that SIGINT and SIGTERM set; a second signal does the same and breaks nothing off half-way."""
    stopping = threading.Event()
    before = {number: signal.signal(number, lambda *_: stopping.set()) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stopping
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)

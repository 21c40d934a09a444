"""The federation folder: what it is called, where everything in it lies, and how it is made."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import Field

from fpe_core.config import load_yaml
from fpe_core.config.base import FrozenModel
from fpe_core.errors import ConfigFileMissing, ConfigValueInvalid
from fpe_core.files import write_atomic
from fpe_server.certificates import ALWAYS_NAMED, make_authority, make_server_certificate

DEFAULT_PORT = 9092
FOLDER_VARIABLE = "FPE_FEDERATION"
"""Environment variable that names the federation folder to the programs that the server starts."""

_HEADER = """\
# A federation of hospitals, made by `fpe-server init`. The certificate is valid for `hosts` only:
# after a change here run `fpe-server renew`.
"""

Host = Annotated[str, Field(pattern=r"^[0-9A-Za-z][0-9A-Za-z.:-]*$", max_length=253)]


class FederationConfig(FrozenModel):
    """What `federation.yaml` says."""

    schema_version: Literal[1] = 1
    """Version of this file's format."""
    hosts: tuple[Host, ...] = ()
    """Names and IP addresses under which the sites reach this server, beside localhost and 127.0.0.1."""
    bind: Annotated[str, Field(pattern=r"^[0-9A-Fa-f.:]+$")] = "0.0.0.0"  # noqa: S104 - the gate decides who sees what
    """Address that the server listens on. 0.0.0.0 is every network interface."""
    port: Annotated[int, Field(ge=1, le=65535)] = DEFAULT_PORT
    """The one port that the sites need to reach."""


@dataclass(frozen=True)
class Federation:
    """A federation folder and its configuration.

    Attributes:
        folder: absolute path; mode 0700.
        config: the content of `federation.yaml`.
    """

    folder: Path
    config: FederationConfig

    @classmethod
    def open(cls, folder: Path) -> "Federation":
        """Read an existing federation folder.

        Raises:
            ConfigError: there is no `federation.yaml`, or it is not valid.
        """
        path = folder.resolve() / "federation.yaml"
        if not path.is_file():
            raise ConfigFileMissing(
                f"{folder} is not a federation folder: it has no federation.yaml",
                hint="make one with `fpe-server init DIR`, or name it with `--folder DIR`",
            )
        return cls(path.parent, load_yaml(path, FederationConfig))

    @property
    def authority_certificate(self) -> Path:
        """The CA certificate (PEM); every site gets a copy."""
        return self.folder / "certificates" / "ca.crt"

    @property
    def authority_key(self) -> Path:
        """The CA's private key (PEM, 0600)."""
        return self.folder / "certificates" / "ca.key"

    @property
    def server_certificate(self) -> Path:
        """The server's certificate (PEM)."""
        return self.folder / "certificates" / "server.crt"

    @property
    def server_key(self) -> Path:
        """The server's private key (PEM, 0600)."""
        return self.folder / "certificates" / "server.key"

    @property
    def sites(self) -> Path:
        """Folder with one public key, `SITE.pub`, per admitted site."""
        return self.folder / "sites"

    @property
    def runs(self) -> Path:
        """Folder with one folder per study."""
        return self.folder / "runs"

    @property
    def server(self) -> Path:
        """Folder of the running server: token, lock, database, Flower home, log."""
        return self.folder / "server"

    @property
    def lock(self) -> Path:
        """Locked for as long as a server runs; holds its process id."""
        return self.server / "lock"

    @property
    def facts(self) -> Path:
        """JSON file: where the running server's health service listens, and which study it works on."""
        return self.server / "facts.json"

    @property
    def token(self) -> Path:
        """Bearer token for the Control paths (0600), made at each start."""
        return self.server / "control.token"

    @property
    def executor_secret(self) -> Path:
        """Shared secret of SuperLink and executor (0600), made at each start."""
        return self.server / "executor.secret"

    @property
    def fleet_open(self) -> Path:
        """There while the running SuperLink knows every admitted key: sites are let in from then on."""
        return self.server / "fleet.open"

    @property
    def database(self) -> Path:
        """SQLite file of the SuperLink: nodes, and the runs since its last start."""
        return self.server / "superlink.db"

    @property
    def log(self) -> Path:
        """What the SuperLink and the ServerApp say."""
        return self.server / "superlink.log"

    @property
    def local_address(self) -> str:
        """host:port of the server as seen from this machine."""
        return f"127.0.0.1:{self.config.port}"

    def run_folder(self, study: str) -> Path:
        """Folder of one study."""
        return self.runs / study


def create(folder: Path, config: FederationConfig) -> Federation:
    """Make a federation folder: authority, server certificate, `federation.yaml`, sub-folders (0700).

    Raises:
        ConfigValueInvalid: `folder` exists and is not an empty folder.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigValueInvalid(
            f"{folder} exists and is not empty", hint="choose a new folder; an existing federation is never overwritten"
        )
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    federation = Federation(folder.resolve(), config)
    for name in ("certificates", "sites", "runs", "server", "server/flower"):
        (federation.folder / name).mkdir(mode=0o700)
    authority = make_authority()
    write_private(federation.authority_key, authority.key_pem)
    write_atomic(federation.authority_certificate, authority.certificate_pem)
    issue_server_certificate(federation)
    # The configuration comes last: a folder without it is not a federation, so a crash half-way leaves none behind.
    text = _HEADER + yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False)
    write_atomic(folder / "federation.yaml", text.encode())
    return federation


def issue_server_certificate(federation: Federation) -> None:
    """Write a new server certificate for the hosts of the configuration, signed by the federation's authority."""
    pair = make_server_certificate(
        hosts=(*ALWAYS_NAMED, *federation.config.hosts),
        authority_key_pem=federation.authority_key.read_bytes(),
        authority_certificate_pem=federation.authority_certificate.read_bytes(),
    )
    write_private(federation.server_key, pair.key_pem)
    write_atomic(federation.server_certificate, pair.certificate_pem)


def write_private(path: Path, data: bytes) -> None:
    """Write a secret: readable by its owner only, from the first byte on."""
    write_atomic(path, data, mode=0o600)


def is_inside(path: Path, folder: Path) -> bool:
    """Whether `path`, with every link and `..` resolved, lies below `folder`."""
    return Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder))

"""A coordinator's SuperLink and a hospital's folder, for the tests that start real processes."""

import contextlib
import datetime
import ipaddress
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

PROGRAMS = Path(sys.executable).parent
DAY = datetime.timedelta(days=1)


@dataclass(frozen=True)
class Authority:
    """A certificate authority of a test, with its files in one folder."""

    folder: Path
    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @property
    def file(self) -> Path:
        return self.folder / "ca.crt"

    def issue(self, name: str, *, host: str = "127.0.0.1", until: datetime.timedelta = 30 * DAY) -> tuple[Path, Path]:
        """A server certificate for an address or a name; returns certificate and key file."""
        now = datetime.datetime.now(datetime.UTC)
        key = ec.generate_private_key(ec.SECP256R1())
        try:
            alternative: x509.GeneralName = x509.IPAddress(ipaddress.ip_address(host))
        except ValueError:
            alternative = x509.DNSName(host)
        builder = _builder("server", self.certificate.subject, key.public_key(), now - 400 * DAY, now + until)
        certificate = (
            builder.add_extension(x509.SubjectAlternativeName([alternative]), critical=False)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False)
            .sign(self.key, hashes.SHA256())
        )
        return _save(self.folder, name, key, certificate)


def make_authority(folder: Path) -> Authority:
    folder.mkdir(parents=True)
    now = datetime.datetime.now(datetime.UTC)
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, folder.name)])
    usage = dict.fromkeys(
        (
            "digital_signature",
            "content_commitment",
            "key_encipherment",
            "data_encipherment",
            "key_agreement",
            "encipher_only",
            "decipher_only",
        ),
        False,
    )
    certificate = (
        _builder(folder.name, name, key.public_key(), now - 500 * DAY, now + 500 * DAY)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.KeyUsage(key_cert_sign=True, crl_sign=True, **usage), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    _save(folder, "ca", key, certificate)
    return Authority(folder, key, certificate)


def _builder(
    name: str,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey,
    start: datetime.datetime,
    end: datetime.datetime,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(end)
    )


def _save(folder: Path, name: str, key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate) -> tuple[Path, Path]:
    certificate_file, key_file = folder / f"{name}.crt", folder / f"{name}.key"
    certificate_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return certificate_file, key_file


@dataclass(frozen=True)
class SuperLink:
    """A running SuperLink of Flower's own, with TLS and node authentication."""

    authority: Authority
    port: int
    folder: Path

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def flwr(self, *words: str) -> str:
        """Run a `flwr` command against it and return what it prints."""
        done = subprocess.run(
            [PROGRAMS / "flwr", *words],
            env=flower_environment(self.folder),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def nodes(self) -> list[dict[str, Any]]:
        listed: list[dict[str, Any]] = json.loads(self.flwr("supernode", "list", "test", "--format", "json"))["nodes"]
        return listed

    def admit(self, public_key: Path, name: str) -> None:
        self.flwr("supernode", "register", str(public_key), "test", "--name", name)


def flower_environment(folder: Path) -> dict[str, str]:
    quiet = {"FLWR_TELEMETRY_ENABLED": "0", "FLWR_DISABLE_UPDATE_CHECK": "1"}
    path = os.pathsep.join([str(PROGRAMS), os.environ["PATH"]])
    return {**os.environ, **quiet, "FLWR_HOME": str(folder / "home"), "PATH": path}


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return make_authority(tmp_path_factory.mktemp("authority") / "coordinator")


@pytest.fixture(scope="module")
def superlink(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SuperLink]:
    folder = tmp_path_factory.mktemp("superlink")
    certificate, key = authority.issue("superlink")
    port = free_port()
    _write_connection(folder, port, authority)
    command = [PROGRAMS / "flower-superlink", "--port", str(port), "--database", folder / "state.db"]
    command += ["--ssl-ca-certfile", authority.file, "--ssl-certfile", certificate, "--ssl-keyfile", key]
    command += ["--enable-supernode-auth", "--disable-runtime-dependency-installation"]
    with (folder / "superlink.log").open("wb") as log:
        process = subprocess.Popen(
            command, env=flower_environment(folder), stdout=log, stderr=log, start_new_session=True
        )
    try:
        wait_until(lambda: listens(port), 30)
        yield SuperLink(authority, port, folder)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _write_connection(folder: Path, port: int, authority: Authority) -> None:
    home = folder / "home"
    home.mkdir()
    (home / "config.toml").write_text(
        f'[superlink]\ndefault = "test"\n[superlink.test]\n'
        f'address = "127.0.0.1:{port}"\nroot-certificates = "{authority.file}"\n'
    )


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def wait_until(true: Callable[[], bool], timeout_s: float) -> None:
    end = time.monotonic() + timeout_s
    while not true():
        assert time.monotonic() < end, f"still not so after {timeout_s} s"
        time.sleep(0.1)


@dataclass
class Site:
    """A hospital's folder, and the `fpe-client` that works on it."""

    folder: Path
    server: str
    ca: Path
    overdue_after_s: float = 5.0
    process: "subprocess.Popen[str] | None" = None

    @property
    def file(self) -> Path:
        return self.folder / "site.yaml"

    def prepare(self) -> Path:
        """Write the site file and make a key; returns the public key."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.file.write_text(
            f"site: north\nserver: {{address: '{self.server}', ca_certificate: {self.ca}}}\n"
            f"private_key: site.key\nstate_dir: state\ndata: {{cases: cases.csv}}\n"
            f"trainer: {{overdue_after_s: {self.overdue_after_s}}}\n"
        )
        self.run("keygen", str(self.folder / "site.key"))
        return self.folder / "site.key.pub"

    def run(self, *words: str) -> "subprocess.CompletedProcess[str]":
        """Run `fpe-client` with these words to its end."""
        return subprocess.run(
            [PROGRAMS / "fpe-client", *words], capture_output=True, text=True, timeout=90, check=False
        )

    def start(self) -> None:
        """Start `fpe-client --site FILE`; its words go to a file."""
        with (self.folder / "words.txt").open("w") as words:
            self.process = subprocess.Popen(
                [PROGRAMS / "fpe-client", "--site", self.file], stdout=words, stderr=words, text=True
            )

    def words(self) -> str:
        return (self.folder / "words.txt").read_text()

    def status(self) -> dict[str, Any]:
        try:
            status: dict[str, Any] = json.loads((self.folder / "state" / "status.json").read_text())
        except FileNotFoundError:
            return {"state": "new", "supernode": {"connected": False, "pid": None}, "trainer": {"health": ""}}
        return status

    def is_up(self) -> bool:
        status = self.status()
        fresh = self.process is not None and status.get("pid") == self.process.pid
        return fresh and bool(status["supernode"]["connected"]) and status["trainer"]["health"] == "serving"

    def members(self) -> list[int]:
        """Every living process of this site but `fpe-client` itself."""
        return [pid for pid in processes_naming(str(self.file)) if not (self.process and pid == self.process.pid)]

    def stop(self) -> int:
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(20)


def processes_naming(text: str) -> list[int]:
    """Processes, zombies not counted, that name `text` among their arguments or in their environment."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            words = (folder / "cmdline").read_bytes() + (folder / "environ").read_bytes()
            if text.encode() in words and int(folder.name) != os.getpid():
                found.append(int(folder.name))
    return found


@pytest.fixture
def make_bare_site(tmp_path: Path) -> Iterator[Callable[..., Site]]:
    """Builds sites; whatever they started is gone at the end."""
    sites: list[Site] = []

    def make(server: str, ca: Path, **settings: Any) -> Site:
        site = Site(tmp_path / f"site-{len(sites)}", server, ca, **settings)
        sites.append(site)
        return site

    yield make
    for site in sites:
        clean_up(site)


def clean_up(site: Site) -> None:
    if site.process is not None:
        site.process.kill()
        site.process.wait()
    for pid in site.members():
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


@pytest.fixture(scope="session")
def site_tools() -> SimpleNamespace:
    """The helpers of this file, for tests that build their own fixtures."""
    return SimpleNamespace(
        Site=Site, make_authority=make_authority, clean_up=clean_up, wait_until=wait_until, free_port=free_port
    )

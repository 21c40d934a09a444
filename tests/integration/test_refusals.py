"""Each refusal ends in one plain sentence and an exit code of its own."""

import http.server
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest

from fpe_client.doctor import examine
from fpe_client.flower import deactivate_session, probe_admission
from fpe_client.paths import SitePaths
from fpe_client.supernode import node_settings
from fpe_core.config.loader import load_site
from fpe_core.errors import (
    CertificateExpired,
    CertificateNameWrong,
    CertificateUntrusted,
    ClockSkewed,
    ConnectionRefused,
    FpeError,
    KeyNotAdmitted,
    ServerUnreachable,
)

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]


@contextmanager
def health_server(certificate: Path, key: Path, *, clock_ahead_s: float = 0.0) -> Iterator[str]:
    """A TLS server that answers GET /health, with a clock of its own; yields its address."""

    class Health(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response_only(200)
            date = datetime.now(UTC) + timedelta(seconds=clock_ahead_s)
            self.send_header("Date", format_datetime(date, usegmt=True))
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Silence."""

    class Server(http.server.ThreadingHTTPServer):
        def handle_error(self, *_: object) -> None:
            """A client that turns away in the handshake is what the tests are about."""

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server = Server(("127.0.0.1", 0), Health)
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory, site_tools: Any) -> Any:
    return site_tools.make_authority(tmp_path_factory.mktemp("stranger") / "stranger")


@contextmanager
def scene(name: str, authority: Any, stranger: Any) -> Iterator[str]:
    """A server that is wrong in one way."""
    if name == "untrusted":
        files, ahead_s = stranger.issue("server"), 0.0
    elif name == "expired":
        files, ahead_s = authority.issue("expired", until=timedelta(days=-30)), 0.0
    elif name == "name":
        files, ahead_s = authority.issue("elsewhere", host="fpe.example.org"), 0.0
    else:
        files, ahead_s = authority.issue("server"), -3600.0
    with health_server(*files, clock_ahead_s=ahead_s) as address:
        yield address


SCENES: list[tuple[str, type[ConnectionRefused], str]] = [
    ("untrusted", CertificateUntrusted, "unable to get local issuer certificate"),
    ("expired", CertificateExpired, "certificate has expired"),
    ("name", CertificateNameWrong, "IP address mismatch"),
    ("clock", ClockSkewed, "3600 s ahead of the server's"),
]


@pytest.mark.parametrize(("name", "error", "words"), SCENES)
def test_a_wrong_server_is_named_and_not_tried_again(
    name: str, error: type[FpeError], words: str, authority: Any, stranger: Any, make_bare_site: Callable[..., Any]
) -> None:
    with scene(name, authority, stranger) as address:
        site = make_bare_site(address, authority.file)
        site.prepare()
        started = time.monotonic()
        joined = site.run("--site", str(site.file))
        assert time.monotonic() - started < 30
        checked = site.run("check", "--site", str(site.file), "--json")
    assert joined.returncode == error.exit_code
    last, hint = joined.stderr.strip().splitlines()[-2:]
    assert last.startswith(f"error [{error.code}]: {error.safe_sentence} ")
    assert words in last
    assert hint.startswith("hint: ")
    assert "Traceback" not in joined.stderr
    assert f"fail  server: [{error.code}]" in checked.stderr
    assert site.members() == []


def test_the_exit_codes_are_all_different() -> None:
    codes = [error.exit_code for _, error, _ in SCENES]
    assert codes == [11, 12, 13, 15]


def test_a_server_that_is_right_passes(authority: Any, make_bare_site: Callable[..., Any]) -> None:
    for ahead_s in (0.0, 200.0):
        with health_server(*authority.issue("server"), clock_ahead_s=ahead_s) as address:
            site = make_bare_site(address, authority.file)
            site.prepare()
            facts = examine(load_site(site.file))
        assert facts.ahead_s == pytest.approx(-ahead_s, abs=1.5)
        assert facts.certificate_until > datetime.now(UTC)


@pytest.mark.parametrize("ahead_s", [-8.0, 400.0])
def test_the_clock_may_differ_by_as_much_as_the_server_takes(
    ahead_s: float, authority: Any, make_bare_site: Callable[..., Any]
) -> None:
    with health_server(*authority.issue("server"), clock_ahead_s=ahead_s) as address:
        site = make_bare_site(address, authority.file)
        site.prepare()
        with pytest.raises(ClockSkewed, match="ahead of" if ahead_s < 0 else "behind"):
            examine(load_site(site.file))


def test_a_server_that_is_away_is_waited_for(
    authority: Any, make_bare_site: Callable[..., Any], site_tools: Any
) -> None:
    site = make_bare_site(f"127.0.0.1:{site_tools.free_port()}", authority.file)
    site.prepare()
    with pytest.raises(ServerUnreachable, match="refused"):
        examine(load_site(site.file))
    site.start()
    site_tools.wait_until(lambda: site.words().count("trying again in") >= 2, 30)
    assert "The federation server cannot be reached." in site.words()
    assert site.stop() == 0


def test_a_port_without_tls_is_unreachable(authority: Any, make_bare_site: Callable[..., Any]) -> None:
    class Plain(http.server.BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            """Silence."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Plain) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        site = make_bare_site(f"127.0.0.1:{server.server_port}", authority.file)
        site.prepare()
        try:
            with pytest.raises(ServerUnreachable, match="not with TLS"):
                examine(load_site(site.file))
        finally:
            server.shutdown()
            thread.join()


def test_a_key_that_was_not_admitted(superlink: Any, make_bare_site: Callable[..., Any]) -> None:
    site = make_bare_site(superlink.address, superlink.authority.file)
    site.prepare()
    joined = site.run("--site", str(site.file))
    assert joined.returncode == 14
    assert "error [FPE-705]: The site's key has not been admitted by the coordinator." in joined.stderr
    assert "fpe-server admit" in joined.stderr.splitlines()[-1]
    checked = site.run("check", "--site", str(site.file))
    assert "fail  admission: [FPE-705]" in checked.stderr


def test_admission_is_seen_without_opening_a_session(superlink: Any, make_bare_site: Callable[..., Any]) -> None:
    site = make_bare_site(superlink.address, superlink.authority.file)
    public_key = site.prepare()
    config = load_site(site.file)
    settings = node_settings(config, SitePaths(config.state_dir))
    with pytest.raises(KeyNotAdmitted):
        probe_admission(settings)
    superlink.admit(public_key, "seen")
    probe_admission(settings)
    assert superlink.nodes()[-1]["status"] == "registered"
    assert not deactivate_session(settings, 12345)


FOREIGN_APP = """
import time
from pathlib import Path
from flwr.app import Message, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp import ServerApp

app = ServerApp()
client = ClientApp()

@app.main()
def main(grid, context):
    while not (nodes := list(grid.get_node_ids())):
        time.sleep(0.2)
    message = Message(RecordDict(), dst_node_id=nodes[0], message_type="train")
    for reply in grid.send_and_receive([message], timeout=40):
        Path("{folder}/answer").write_text(str(reply.error.code if reply.has_error() else "ran"))

@client.train()
def train(message, context):
    Path("{folder}/ran").touch()
    return Message(RecordDict(), reply_to=message)
"""
FOREIGN_PROJECT = """
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"
[project]
name = "foreign"
version = "1.0.0"
license = "Apache-2.0"
dependencies = ["flwr>=1.41"]
[tool.flwr.app]
publisher = "stranger"
[tool.flwr.app.components]
serverapp = "foreign.code:app"
clientapp = "foreign.code:client"
"""


def test_a_foreign_bundle_is_refused(
    superlink: Any, make_bare_site: Callable[..., Any], site_tools: Any, tmp_path: Path
) -> None:
    """The server is told, nothing of the bundle runs, and the client leaves with its own code."""
    site = make_bare_site(superlink.address, superlink.authority.file)
    superlink.admit(site.prepare(), "careful")
    app = tmp_path / "app" / "foreign"
    app.mkdir(parents=True)
    (app / "__init__.py").touch()
    (app / "code.py").write_text(FOREIGN_APP.replace("{folder}", str(tmp_path)))
    (app.parent / "pyproject.toml").write_text(FOREIGN_PROJECT)
    site.start()
    site_tools.wait_until(site.is_up, 60)
    superlink.flwr("run", str(app.parent), "test")
    assert site.process.wait(60) == 16
    assert "error [FPE-707]: The server offered an app bundle that this site does not trust." in site.words()
    site_tools.wait_until(lambda: (tmp_path / "answer").exists(), 20)
    assert (tmp_path / "answer").read_text() == "7"
    assert not (tmp_path / "ran").exists()
    assert site.members() == []

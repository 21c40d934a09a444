"""A site's processes: they join, they come back, they leave nothing behind."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]


@pytest.fixture(scope="module")
def site(request: pytest.FixtureRequest, superlink: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """One site that is up, shared by the tests below in their order."""
    tools = request.getfixturevalue("site_tools")
    site = tools.Site(tmp_path_factory.mktemp("north") / "site", superlink.address, superlink.authority.file)
    superlink.admit(site.prepare(), "north")
    site.start()
    tools.wait_until(site.is_up, 60)
    yield site
    tools.clean_up(site)


def gone(pid: int) -> bool:
    """Not there, and not a zombie either."""
    return not Path(f"/proc/{pid}").exists()


def test_it_says_that_it_is_connected(site: Any) -> None:
    assert f"connected to {site.server} as north" in site.words()
    status = site.run("status", "--site", str(site.file))
    assert status.returncode == 0
    assert status.stdout == "north: running, connected, trainer serving\n"


def test_the_trainer_has_no_network_socket(site: Any) -> None:
    pid = site.status()["trainer"]["pid"]
    folder = Path(f"/proc/{pid}")
    network = set()
    for table in ("tcp", "tcp6", "udp", "udp6", "raw", "raw6"):
        network |= {line.split()[9] for line in (folder / "net" / table).read_text().splitlines()[1:]}
    links = [str(entry.readlink()) for entry in (folder / "fd").iterdir()]
    sockets = {link[8:-1] for link in links if link.startswith("socket:")}
    unix = {line.split()[6] for line in (folder / "net" / "unix").read_text().splitlines()[1:]}
    assert sockets
    assert sockets <= unix
    assert not sockets & network


def test_torch_is_in_the_trainer_alone(site: Any) -> None:
    """The processes on the network side map no torch library."""
    trainer = site.status()["trainer"]["pid"]
    maps = {pid: Path(f"/proc/{pid}/maps").read_text() for pid in site.members()}
    assert "libtorch" in maps.pop(trainer)
    assert maps
    assert not any("libtorch" in text for text in maps.values())


def test_a_killed_trainer_comes_back(site: Any, site_tools: Any) -> None:
    old = site.status()["trainer"]["pid"]
    os.kill(old, signal.SIGKILL)
    site_tools.wait_until(lambda: site.is_up() and site.status()["trainer"]["pid"] not in (old, None), 60)
    assert gone(old)
    assert "the trainer ended (signal 9)" in site.words()


def test_a_killed_supernode_comes_back_at_once(site: Any, site_tools: Any) -> None:
    old = site.status()["supernode"]["pid"]
    family = [pid for pid in site.members() if os.getsid(pid) == old]
    assert len(family) >= 2
    os.kill(old, signal.SIGKILL)
    started = time.monotonic()
    site_tools.wait_until(lambda: site.is_up() and site.status()["supernode"]["pid"] not in (old, None), 40)
    assert time.monotonic() - started < 30, "the old session blocked the new one"
    assert all(gone(pid) for pid in family)


def test_a_second_client_on_the_same_folder_is_refused(site: Any) -> None:
    second = site.run("--site", str(site.file), "--json")
    assert second.returncode == 7
    assert "error [FPE-612]: another fpe-client works on" in second.stderr
    assert '"exit_code": 7' in second.stdout
    assert site.is_up()


def test_a_killed_client_takes_all_with_it_and_comes_back(site: Any, site_tools: Any) -> None:
    members = site.members()
    assert len(members) >= 3
    site.process.kill()
    site.process.wait()
    site_tools.wait_until(lambda: not site.members(), 15)
    assert site.run("status", "--site", str(site.file)).stdout == "north: stopped\n"
    site.start()
    site_tools.wait_until(site.is_up, 60)


def test_a_wedged_trainer_is_killed_and_started_again(site: Any, site_tools: Any) -> None:
    """Frozen, it answers no health question; after `overdue_after_s` it is replaced."""
    old = site.status()["trainer"]["pid"]
    os.kill(old, signal.SIGSTOP)
    site_tools.wait_until(lambda: site.is_up() and site.status()["trainer"]["pid"] not in (old, None), 60)
    assert gone(old)
    assert "makes no progress" in site.words()


def test_sigterm_stops_everything_in_order_and_fast(site: Any) -> None:
    members = site.members()
    started = time.monotonic()
    assert site.stop() == 0
    assert time.monotonic() - started < 7
    assert all(gone(pid) for pid in members)
    assert site.members() == []
    assert site.status()["state"] == "stopped"

"""The SuperLink as a child process: start, health, orderly end."""

import contextlib
import os
import secrets
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable

import httpx

from fpe_core.errors import ConfigValueInvalid, ServerNotRunning
from fpe_server.federation import Federation, write_private
from fpe_server.flower import environment

START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 10.0
PORT_WAIT_S = 6.0
MAX_LOG_BYTES = 20_000_000


class SuperLinkProcess:
    """A running SuperLink with its executor and ServerApp, all in one process group.

    Args:
        federation: the folder that it serves.

    Raises:
        ConfigValueInvalid: its port is taken by another program.
    """

    def __init__(self, federation: Federation) -> None:
        self._federation = federation
        _wait_for_port(federation)
        federation.fleet_open.unlink(missing_ok=True)
        write_private(federation.token, secrets.token_urlsafe(32).encode())
        write_private(federation.executor_secret, secrets.token_bytes(32))
        _rotate_log(federation)
        command = [sys.executable, "-m", "fpe_server.superlink", str(federation.folder), str(os.getpid())]
        with federation.log.open("ab") as log:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment(federation, os.environ),
                # A Ctrl-C at the terminal reaches the coordinator alone, which then ends things in order.
                start_new_session=True,
            )
        context = ssl.create_default_context(cafile=str(federation.authority_certificate))
        self._client = httpx.Client(verify=context, timeout=2.0, trust_env=False)

    @property
    def pid(self) -> int:
        """Process id, which is also the id of its process group."""
        return self._process.pid

    def is_alive(self) -> bool:
        """Whether the process exists."""
        return self._process.poll() is None

    def answers(self) -> bool:
        """Whether it answers its health path."""
        try:
            return self._client.get(f"https://{self._federation.local_address}/health").status_code == 200
        except httpx.HTTPError:
            return False

    def wait_until_healthy(self, keep_waiting: Callable[[], bool]) -> None:
        """Block until it answers, or until `keep_waiting` says no.

        Raises:
            ServerNotRunning: it ended, or did not answer within `START_TIMEOUT_S`.
        """
        end = time.monotonic() + START_TIMEOUT_S
        while keep_waiting() and not self.answers():
            if not self.is_alive() or time.monotonic() > end:
                raise ServerNotRunning("the SuperLink did not start", hint=f"its log says why: {self._federation.log}")
            time.sleep(0.1)

    def stop(self) -> None:
        """End the SuperLink, its executor and a ServerApp: politely first, and without fail."""
        self._client.close()
        if self.is_alive():
            self._process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(timeout=STOP_TIMEOUT_S)
        # ProcessLookupError: all of the group are gone already.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(timeout=STOP_TIMEOUT_S)


def _wait_for_port(federation: Federation) -> None:
    """Wait until the port is free: the SuperLink of a coordinator that was killed needs a moment to notice."""
    config = federation.config
    family = socket.AF_INET6 if ":" in config.bind else socket.AF_INET
    end = time.monotonic() + PORT_WAIT_S
    while True:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((config.bind, config.port))
            except OSError as error:
                if time.monotonic() > end:
                    raise ConfigValueInvalid(
                        f"cannot listen on {config.bind}:{config.port}: {error.strerror}",
                        hint=f"change `bind` or `port` in {federation.folder / 'federation.yaml'}",
                    ) from None
            else:
                return
        time.sleep(0.3)


def _rotate_log(federation: Federation) -> None:
    if federation.log.exists() and federation.log.stat().st_size > MAX_LOG_BYTES:
        federation.log.replace(federation.log.with_suffix(".log.old"))

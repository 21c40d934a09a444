"""What the adapter uses of Flower's inside is still there, and does what the adapter needs."""

import hashlib
import importlib
import inspect
import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import flwr
import pytest
from flwr.supercore.fab import Fab

from fpe_client import flower
from fpe_client.bundle import PINNED_SHA256
from fpe_core.errors import BundleRefused, ClockSkewed, KeyNotAdmitted, ServerUnreachable


@pytest.fixture
def loop() -> Any:
    return importlib.import_module("flwr.supernode.start_client_internal")


def test_the_version_is_the_one_that_was_read() -> None:
    assert flwr.__version__.startswith("1.41.")


def test_the_main_loop_takes_what_it_is_given(loop: Any) -> None:
    parameters = set(inspect.signature(loop.start_client_internal).parameters)
    used = {
        "state_factory",
        "server_address",
        "node_config",
        "root_certificates",
        "insecure",
        "authentication_keys",
        "isolation",
        "runtime_api_address",
        "superexec_auth_secret",
        "trusted_entities",
        "runtime_dependency_install",
    }
    assert used <= parameters
    source = inspect.getsource(loop.start_client_internal)
    assert "time.sleep(3)" in source
    assert "register_signal_handlers(" in source
    assert "trusted_entities=trusted_entities" in source


def test_the_connection_still_yields_what_is_wrapped(loop: Any) -> None:
    source = inspect.getsource(loop.start_client_internal)
    names = ["node_id", "receive", "send", "get_run", "get_fab"]
    positions = [source.index(f"            {name},\n") for name in names]
    assert positions == sorted(positions)
    assert "with http_request_response(" in inspect.getsource(loop._init_connection)


def test_a_bundle_is_verified_before_it_is_stored(loop: Any) -> None:
    source = inspect.getsource(loop._pull_and_store_message)
    assert source.index('fab.verifications.get("valid_license"') < source.index("_verify_fab(fab, trusted_entities)")
    assert source.index("_verify_fab(fab, trusted_entities)") < source.index("state.store_fab(fab)")


def test_the_local_server_takes_what_it_is_given() -> None:
    command = importlib.import_module("flwr.supernode.cli.flower_supernode")
    source = inspect.getsource(command._start_supernode_http_api)
    used = {"host", "port", "superexec_auth_secret", "runtime_ssl_certfile", "runtime_ssl_keyfile"}
    assert set(re.findall(r"config\.(\w+)", source)) == used


def test_the_executor_has_its_options() -> None:
    module = importlib.import_module("flwr.supercore.cli.flower_superexec")
    options = ["--insecure", "--runtime-api-address", "127.0.0.1:1", "--superexec-auth-secret-file", "secret"]
    parsed = module._parse_args().parse_args(options)
    assert parsed.superexec_auth_secret_file == "secret"
    assert parsed.parent_pid is None


def fake_loop(receive: Any, get_fab: Any) -> Any:
    """A module with the two names that are replaced; nothing of Flower's own is touched."""

    @contextmanager
    def connect(*_: Any, **__: Any) -> Iterator[tuple[Any, ...]]:
        yield 7, receive, "send", "get_run", get_fab, "pull", "push", "confirm"

    return SimpleNamespace(http_request_response=connect, _verify_fab=None)


def test_only_a_pinned_bundle_is_verified(monkeypatch: pytest.MonkeyPatch) -> None:
    good, bad = b"good", b"bad"
    monkeypatch.setattr(flower, "PINNED_SHA256", frozenset({hashlib.sha256(good).hexdigest()}))
    monkeypatch.setattr(flower, "REFUSAL_LINGER_S", 0.0)
    connected: list[int] = []
    loop = fake_loop(lambda: "message", lambda content, _run: Fab("", content, {}))
    bundles = flower._pin_bundles(loop, connected.append)
    with loop.http_request_response() as connection:
        assert connected == [7]
        _, receive, send, _, get_fab, *rest = connection
        assert (send, rest) == ("send", ["pull", "push", "confirm"])
        assert loop._verify_fab(get_fab(good, 1), {})
        assert receive() == "message"
        marked = get_fab(bad, 1)
        assert marked.verifications["valid_license"]
        assert not loop._verify_fab(marked, {})
        with pytest.raises(BundleRefused):
            receive()
    assert bundles.refused == hashlib.sha256(bad).hexdigest()


def test_waits_are_cut_for_the_loop_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr(flower.time, "sleep", slept.append)
    module = SimpleNamespace()
    flower._cut_waits(module)
    module.time.sleep(3)
    module.time.sleep(0.01)
    assert slept == [flower.IDLE_POLL_S, 0.01]
    assert module.time.time() > 0


def test_a_stop_from_outside_is_told_from_flowers_own() -> None:
    left: list[int] = []
    stops: list[bool] = []
    old = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    try:

        def register(**_: Any) -> None:
            for number in old:
                signal.signal(number, lambda number, _frame: left.append(number))

        module = SimpleNamespace(register_signal_handlers=register)
        flower._notice_stop(module, lambda: stops.append(True))
        module.register_signal_handlers(event_type=None)
        signal.raise_signal(signal.SIGINT)
        assert (left, stops) == ([signal.SIGINT], [])
        signal.raise_signal(signal.SIGTERM)
        assert (left, stops) == ([signal.SIGINT, signal.SIGTERM], [True])
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)


@pytest.mark.parametrize(
    ("status", "error"),
    [(412, KeyNotAdmitted), (401, ClockSkewed), (500, ServerUnreachable), (404, ServerUnreachable)],
)
def test_the_servers_refusals_are_read(status: int, error: type[Exception]) -> None:
    with pytest.raises(error):
        flower._read_refusal(status)


def test_an_admitted_key_is_read_from_the_refused_interval() -> None:
    flower._read_refusal(400)


def test_the_pin_is_a_hash() -> None:
    assert all(len(pin) == 64 and set(pin) <= set("0123456789abcdef") for pin in PINNED_SHA256)

"""The adapter: fails when an upgrade of Flower moves something that it uses."""

import inspect
import io
import os
import sqlite3
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from flwr.supercore.primitives.asymmetric import bytes_to_public_key
from flwr.superlink.cli.flower_superlink import SuperLinkLifespan

from fpe_server.admission import read_public_key
from fpe_server.federation import Federation
from fpe_server.flower import (
    bundle_bytes,
    bundle_sha256,
    environment,
    forget_runs,
    make_superlink,
    node_key,
)

# Flower's database migrations are configured in a way that the newest Alembic calls deprecated.
pytestmark = pytest.mark.filterwarnings("ignore:No path_separator found:DeprecationWarning")


def test_bundle_is_one_project_file() -> None:
    with zipfile.ZipFile(io.BytesIO(bundle_bytes())) as bundle:
        assert sorted(bundle.namelist()) == [".info/CONTENT", "pyproject.toml"]
        text = bundle.read("pyproject.toml").decode()
    assert 'serverapp = "fpe_server.app:app"' in text
    assert 'clientapp = "fpe_client.app:app"' in text


def test_bundle_does_not_depend_on_place_or_time(tmp_path: Path) -> None:
    surroundings = {"TZ": "Asia/Tokyo", "LC_ALL": "C", "PYTHONHASHSEED": "7", "HOME": str(tmp_path)}
    result = subprocess.run(
        [sys.executable, "-c", "from fpe_server.flower import bundle_sha256; print(bundle_sha256())"],
        env={**os.environ, **surroundings},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert result.stdout.strip() == bundle_sha256()


def test_environment_keeps_flower_quiet_and_at_home(federation: Federation) -> None:
    outer = {"HOME": "/root", "FLWR_HOME": "/elsewhere", "FLWR_OIDC_ENABLED": "1", "FORWARDED_ALLOW_IPS": "*"}
    inner = environment(federation, outer)
    assert inner["FLWR_HOME"] == str(federation.server / "flower")
    assert inner["FLWR_TELEMETRY_ENABLED"] == "0"
    assert inner["FLWR_DISABLE_UPDATE_CHECK"] == "1"
    assert inner["FLWR_DISABLE_RUNTIME_DEPENDENCY_INSTALLATION"] == "1"
    assert inner["FPE_FEDERATION"] == str(federation.folder)
    assert "FLWR_OIDC_ENABLED" not in inner
    assert "FORWARDED_ALLOW_IPS" not in inner
    assert "flower-superexec" in os.listdir(inner["PATH"].split(os.pathsep)[0])  # noqa: PTH208 - a name on PATH


def test_flower_reads_each_switch() -> None:
    from flwr.common import constant
    from flwr.supercore import constant as supercore
    from flwr.supercore import telemetry
    from flwr.supercore.superexec import run_superexec

    assert supercore.FLWR_DISABLE_UPDATE_CHECK == "FLWR_DISABLE_UPDATE_CHECK"
    assert constant.FLWR_DISABLE_RUNTIME_DEPENDENCY_INSTALLATION == "FLWR_DISABLE_RUNTIME_DEPENDENCY_INSTALLATION"
    assert "FLWR_TELEMETRY_ENABLED" in inspect.getsource(telemetry)
    assert "FLWR_SUPEREXEC_TASK_POLL_INTERVAL" in inspect.getsource(run_superexec)


def test_superlink_authenticates_nodes_and_executor(started_federation: Federation) -> None:
    state = make_superlink(started_federation).state  # type: ignore[attr-defined]
    assert state.enable_supernode_auth is True
    assert state.superexec_auth_secret == b"secret"


def test_superlink_keeps_weights_in_memory_and_nodes_on_disk(started_federation: Federation) -> None:
    factory = make_superlink(started_federation).state.linkstate_factory  # type: ignore[attr-defined]
    assert type(factory.objectstore_factory.store()).__name__ == "InMemoryObjectStore"
    assert factory.database == str(started_federation.database)


def test_executor_is_started_where_we_take_its_place() -> None:
    source = inspect.getsource(SuperLinkLifespan.startup)
    assert "_start_superexec_if_needed()" in source
    assert "superexec_process.terminate()" in inspect.getsource(SuperLinkLifespan.shutdown)


def test_forgetting_runs_keeps_the_nodes(started_federation: Federation, make_key: Callable[..., Path]) -> None:
    state = make_superlink(started_federation).state.linkstate_factory.state()  # type: ignore[attr-defined]
    kept, gone = (node_key(read_public_key(make_key(name))) for name in "ab")
    node_id = state.create_node("<id:none>", "none", kept, 30.0, name="north")
    other = state.create_node("<id:none>", "none", gone, 30.0, name="south")
    state.delete_node("<id:none>", other)
    run_id = state.create_run("a/b", "1.0.0", "0" * 64, {}, "@none/default", None, "<id:none>", "flwr-serverapp")
    assert state.get_run_info(run_ids=[run_id])
    forget_runs(started_federation.database)
    assert not state.get_run_info(run_ids=[run_id])
    assert [node.node_id for node in state.get_node_info()] == [node_id]
    assert state.create_node("<id:none>", "none", gone, 30.0, name="south") != other


def test_forgetting_runs_shrinks_the_file(tmp_path: Path) -> None:
    path = tmp_path / "superlink.db"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE node (node_id INTEGER, status TEXT)")
    connection.execute("CREATE TABLE logs (text BLOB)")
    connection.execute("INSERT INTO node VALUES (1, 'online')")
    connection.execute("INSERT INTO logs VALUES (zeroblob(3000000))")
    connection.commit()
    connection.close()
    assert path.stat().st_size > 3_000_000
    forget_runs(path)
    assert path.stat().st_size < 100_000
    forget_runs(tmp_path / "none.db")
    assert not (tmp_path / "none.db").exists()


def test_node_key_is_the_form_that_flower_compares(make_key: Callable[..., Path]) -> None:
    key = node_key(read_public_key(make_key("a")))
    assert bytes_to_public_key(key).curve.name == "secp384r1"

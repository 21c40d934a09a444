"""The command line: envelope, errors, hints, help."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from fpe_server.cli import app
from fpe_server.federation import Federation
from fpe_server.flower import bundle_sha256

COMMANDS = ["init", "renew", "admit", "revoke", "start", "status", "stop", "bundle-hash"]


def run(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


def envelope(result: Result) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(result.stdout)
    assert set(content) == {"schema_version", "status", "exit_code", "data"}
    assert content["exit_code"] == result.exit_code
    return content


def test_init_makes_a_federation_once(tmp_path: Path) -> None:
    folder = tmp_path / "fed"
    first = run("init", folder, "--host", "fpe.example.org", "--port", 9555, "--json")
    assert envelope(first)["data"]["ca_certificate"] == str(folder / "certificates" / "ca.crt")
    assert Federation.open(folder).config.hosts == ("fpe.example.org",)
    assert Federation.open(folder).config.port == 9555
    before = (folder / "certificates" / "ca.crt").read_bytes()
    second = run("init", folder)
    assert second.exit_code == 3
    assert "error [FPE-104]" in second.stderr
    assert "hint:" in second.stderr
    assert second.stdout == ""
    assert (folder / "certificates" / "ca.crt").read_bytes() == before


def test_init_checks_hosts_before_it_writes(tmp_path: Path) -> None:
    result = run("init", tmp_path / "fed", "--host", "not a host")
    assert result.exit_code == 3
    assert "hosts" in result.stderr
    assert not (tmp_path / "fed").exists()


def test_wrong_command_line_ends_with_2(tmp_path: Path) -> None:
    assert run("init", tmp_path / "fed", "--port", 0).exit_code == 2
    assert run("admit", "north").exit_code == 2


def test_admit_and_revoke_without_a_server(federation: Federation, make_key: Callable[..., Path]) -> None:
    result = run("admit", "north", make_key("a"), "-C", federation.folder, "--json")
    assert envelope(result)["data"] == {"site": "north", "at_once": False}
    assert run("revoke", "north", "-C", federation.folder).exit_code == 0
    refused = run("revoke", "north", "-C", federation.folder, "--json")
    assert refused.exit_code == 7
    assert envelope(refused)["data"]["code"] == "FPE-608"


def test_status_of_a_stopped_server(federation: Federation, make_key: Callable[..., Path]) -> None:
    run("admit", "north", make_key("a"), "-C", federation.folder)
    result = run("status", "-C", federation.folder, "--json")
    assert result.exit_code == 7
    data = envelope(result)["data"]
    assert (data["health"], data["pid"], data["study"]) == ("STOPPED", None, None)
    assert data["bundle_sha256"] == bundle_sha256()
    words = run("status", "-C", federation.folder)
    assert words.stdout.splitlines() == ["server   STOPPED", "site     north: not connected"]


def test_folder_can_come_from_the_environment(federation: Federation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FPE_FEDERATION", str(federation.folder))
    assert envelope(run("status", "--json"))["data"]["folder"] == str(federation.folder)


def test_folder_that_is_no_federation_is_named(tmp_path: Path) -> None:
    for command in ("status", "start", "stop", "renew"):
        result = run(command, "-C", tmp_path)
        assert result.exit_code == 3
        assert "is not a federation folder" in result.stderr
        assert "fpe-server init" in result.stderr


def test_start_names_what_is_wrong_with_a_plan(federation: Federation, tmp_path: Path) -> None:
    (tmp_path / "study.yaml").write_text("name: trial\ntask: fpe\nseed: 1\nmodle: {}\n")
    result = run("start", "-C", federation.folder, "--study", tmp_path / "study.yaml")
    assert result.exit_code == 3
    assert "study.yaml:4: modle" in result.stderr
    assert "'model'" in result.stderr


def test_finished_study_is_not_run_again(federation: Federation, tmp_path: Path) -> None:
    (tmp_path / "study.yaml").write_text("name: trial\ntask: fpe\nseed: 1\n")
    folder = federation.run_folder("trial")
    folder.mkdir()
    state = {"status": "finished", "round": 3, "rounds": 3, "sites": {}, "message": "", "code": None}
    (folder / "state.json").write_text(json.dumps(state))
    result = run("start", "-C", federation.folder, "--study", tmp_path / "study.yaml", "--json")
    assert result.exit_code == 0
    assert envelope(result)["data"] == {"run_folder": str(folder), "study_status": "finished"}


def test_stop_without_a_server(federation: Federation) -> None:
    assert run("stop", "-C", federation.folder).exit_code == 7


def test_bundle_hash_is_all_that_it_prints() -> None:
    assert run("bundle-hash").stdout == bundle_sha256() + "\n"


@pytest.mark.parametrize("command", COMMANDS)
def test_help_teaches_by_example(command: str) -> None:
    result = run(command, "--help")
    assert result.exit_code == 0
    assert f"fpe-server {command}" in result.stdout.split("Example:")[1]


def test_all_commands_are_listed_and_the_version_is_shown() -> None:
    listed = run("--help").stdout
    assert all(command in listed for command in COMMANDS)
    assert "--install-completion" in listed
    assert run("--version").stdout.startswith("fpe-server 0.")

"""`fpe-client` from outside: data on stdout, words on stderr, exit codes, one envelope."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from fpe_client.keys import generate_key
from fpe_client.preparation import HINTS
from fpe_core import __version__
from fpe_core.errors import CaseError

pytestmark = pytest.mark.integration
PROGRAM = Path(sys.executable).with_name("fpe-client")


def run(*words: str | Path, cwd: Path | None = None) -> "subprocess.CompletedProcess[str]":
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [PROGRAM, *words], capture_output=True, text=True, timeout=120, check=False, cwd=cwd, env=environment
    )


def envelope(done: "subprocess.CompletedProcess[str]") -> dict[str, Any]:
    parsed: dict[str, Any] = json.loads(done.stdout)
    assert set(parsed) == {"schema_version", "status", "exit_code", "data"}
    assert parsed["exit_code"] == done.returncode
    assert parsed["status"] == ("ok" if done.returncode == 0 else "error")
    return parsed


def test_help_teaches_the_first_steps_and_the_exit_codes() -> None:
    done = run("--help")
    assert done.returncode == 0
    for words in ("keygen", "check --site", "preprocess --site", "Exit codes:", "14\n  key not admitted"):
        assert words in done.stdout
    assert done.stdout == run("-h").stdout


@pytest.mark.parametrize(
    "command",
    ["keygen", "check", "preprocess", "status", "table", "flow", "conformance", "brain-mask", "forget", "qc list"],
)
def test_every_command_has_an_example(command: str) -> None:
    assert f"Example: fpe-client {command}" in " ".join(run(*command.split(), "--help").stdout.split())


def test_version() -> None:
    assert run("--version").stdout == f"fpe-client {__version__}\n"


def test_without_a_command_and_a_site_it_teaches() -> None:
    done = run()
    assert done.returncode == 2
    assert "First steps" in done.stdout


def test_completion_is_offered() -> None:
    # The program looks for the shell among the processes that started it: here there is one, whatever started the test.
    done = subprocess.run(
        ["bash", "-c", '"$0" --show-completion; exit $?', PROGRAM],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "_FPE_CLIENT_COMPLETE=complete_bash" in done.stdout


def test_keygen_prints_the_public_key_alone_on_stdout(tmp_path: Path) -> None:
    done = run("keygen", tmp_path / "site.key")
    assert done.stdout == (tmp_path / "site.key.pub").read_text()
    assert done.stdout.startswith("ecdsa-sha2-nistp384 ")
    assert "coordinator" in done.stderr
    again = run("keygen", tmp_path / "site.key", "--json")
    assert again.returncode == 3
    assert envelope(again)["data"]["code"] == "FPE-104"
    assert again.stderr == f"error [FPE-104]: {tmp_path}/site.key exists already\nhint: keep it, or give another path\n"


def test_keygen_for_machines(tmp_path: Path) -> None:
    data = envelope(run("keygen", tmp_path / "site.key", "--json"))["data"]
    assert data["private_key"] == str(tmp_path / "site.key")
    assert data["public_key"] + "\n" == Path(data["public_key_file"]).read_text()


@pytest.mark.parametrize("words", [["--site"], ["check", "--site"], ["preprocess", "--site"], ["status", "--site"]])
def test_a_missing_site_file_is_code_3_everywhere(words: list[str], tmp_path: Path) -> None:
    done = run(*words, tmp_path / "none.yaml", "--json")
    assert done.returncode == 3
    assert envelope(done)["status"] == "error"
    assert "[FPE-101]" in done.stderr
    assert "Traceback" not in done.stderr


def test_status_of_a_site_that_never_ran(site_file: Path) -> None:
    assert run("status", "--site", site_file).stdout == "north: stopped\n"
    assert envelope(run("status", "--site", site_file, "--json"))["data"] == {"site": "north", "state": "stopped"}


def test_status_of_a_client_that_is_gone(site_file: Path) -> None:
    folder = site_file.parent / "state"
    folder.mkdir()
    (folder / "status.json").write_text(json.dumps({"site": "north", "state": "running", "pid": 2**22 + 1}))
    assert run("status", "--site", site_file).stdout == "north: stopped\n"


def write_table(site_file: Path, rows: list[str]) -> None:
    (site_file.parent / "cases.csv").write_text("\n".join(["case_id,patient_id,dwi,adc,flair", *rows]) + "\n")


def test_check_says_everything_that_is_wrong_and_leaves_with_the_first_code(site_file: Path) -> None:
    write_table(site_file, ["c1,p1,c1_dwi.nii.gz,c1_adc.nii.gz,c1_flair.nii.gz"])
    done = run("check", "--site", site_file, "--json")
    assert done.returncode == 4
    findings = {finding["what"]: finding for finding in envelope(done)["data"]["findings"]}
    verdicts = {what: finding["verdict"] for what, finding in findings.items()}
    assert verdicts["configuration"] == verdicts["case table"] == verdicts["disk"] == "ok"
    assert verdicts["image files"] == verdicts["private key"] == verdicts["CA certificate"] == "fail"
    assert verdicts["preprocessed"] == "warn"
    assert "3 image files are missing" in findings["image files"]["detail"]
    assert "fpe-client keygen" in findings["private key"]["hint"]
    for finding in findings.values():
        assert finding["verdict"] == "ok" or finding["hint"]
        assert f"{finding['verdict']:<4}  {finding['what']}: " in done.stderr


def test_check_warns_of_a_key_that_others_may_read(site_file: Path) -> None:
    generate_key(site_file.parent / "site.key").private.chmod(0o644)
    done = run("check", "--site", site_file)
    assert "warn  private key: " in done.stderr
    assert "hint: chmod 600" in done.stderr


def test_preprocess_lists_what_it_set_aside_and_why(site_file: Path) -> None:
    for name in ("dwi", "adc", "flair"):
        (site_file.parent / f"c1_{name}.nii.gz").write_bytes(b"not an image: " + name.encode())
    write_table(site_file, ["c1,p1,c1_dwi.nii.gz,c1_adc.nii.gz,c1_flair.nii.gz", "c2,p2,c2_dwi.nii.gz,c2_adc.nii.gz,"])
    done = run("preprocess", "--site", site_file, "--jobs", "1")
    assert done.returncode == 4
    assert "  c1 [FPE-212] An image file is truncated or not an image." in done.stderr
    assert "  c2 [FPE-211] An image file of a case is missing." in done.stderr
    assert f"hint for FPE-212: {HINTS['FPE-212']}" in done.stderr
    assert "error [FPE-202]: no case could be preprocessed" in done.stderr


def test_preprocess_of_an_unknown_recipe(site_file: Path) -> None:
    write_table(site_file, [])
    done = run("preprocess", "--site", site_file, "--recipe", "mnt-dl-mrr")
    assert done.returncode == 3
    assert "mnt-dl-mr" in done.stderr


def test_every_reason_for_setting_a_case_aside_has_a_hint() -> None:
    assert set(HINTS) == {error.code for error in CaseError.__subclasses__()}

import json

from fpe_core.errors import CaseTableInvalid, ConfigFileMissing
from fpe_core.spoken import envelope, error_envelope, error_text


def test_an_error_is_said_with_its_code_and_its_hint() -> None:
    assert error_text(ConfigFileMissing("a.yaml: no such file", hint="name it")).splitlines() == [
        f"error [{ConfigFileMissing.code}]: a.yaml: no such file",
        "hint: name it",
    ]
    assert "\n" not in error_text(CaseTableInvalid("row 3"))


def test_the_envelope_says_whether_the_command_succeeded() -> None:
    assert json.loads(envelope({"a": 1})) == {"schema_version": 1, "status": "ok", "exit_code": 0, "data": {"a": 1}}
    assert json.loads(envelope([], exit_code=9))["status"] == "error"


def test_an_error_in_the_envelope_keeps_its_code() -> None:
    got = json.loads(error_envelope(ConfigFileMissing("no such file", hint="name it")))
    assert (got["status"], got["exit_code"]) == ("error", ConfigFileMissing.exit_code)
    assert got["data"] == {"code": ConfigFileMissing.code, "message": "no such file", "hint": "name it"}

"""The federation folder: modes, refusals, and what a second look finds."""

import stat
from pathlib import Path

import pytest

from fpe_core.errors import ConfigFileMissing, ConfigKeyUnknown, ConfigValueInvalid
from fpe_server.federation import Federation, FederationConfig, create, is_inside


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_folders_and_keys_are_private(federation: Federation) -> None:
    folders = [federation.folder, *(path for path in federation.folder.rglob("*") if path.is_dir())]
    assert len(folders) == 6
    assert {mode(path) for path in folders} == {0o700}
    assert mode(federation.authority_key) == mode(federation.server_key) == 0o600


def test_opening_finds_what_was_made(federation: Federation) -> None:
    assert Federation.open(federation.folder) == federation


def test_folder_with_content_is_refused(tmp_path: Path) -> None:
    (tmp_path / "note.txt").write_text("mine")
    with pytest.raises(ConfigValueInvalid, match="not empty"):
        create(tmp_path, FederationConfig())
    assert [path.name for path in tmp_path.iterdir()] == ["note.txt"]


def test_folder_without_configuration_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigFileMissing, match=r"federation\.yaml"):
        Federation.open(tmp_path)


def test_unknown_key_is_named(federation: Federation) -> None:
    path = federation.folder / "federation.yaml"
    path.write_text(path.read_text().replace("port:", "prot:"))
    with pytest.raises(ConfigKeyUnknown, match="prot") as caught:
        Federation.open(federation.folder)
    assert "'port'" in caught.value.hint


@pytest.mark.parametrize(
    ("path", "inside"), [("runs/a", True), ("runs/../certificates", False), ("link", False), ("", False)]
)
def test_is_inside_resolves_links_and_dots(tmp_path: Path, path: str, inside: bool) -> None:
    (tmp_path / "runs").mkdir()
    (tmp_path / "link").symlink_to("/")
    assert is_inside(tmp_path / path, tmp_path / "runs") is inside

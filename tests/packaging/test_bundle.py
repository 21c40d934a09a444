"""The app bundle that the server offers and each site pins."""

import io
import tomllib
import zipfile
from pathlib import Path

from fpe_client.bundle import PINNED_SHA256
from fpe_server.flower import bundle_bytes, bundle_sha256

FOLDER = Path(__file__).parents[2] / "server" / "fpe_server" / "bundle"


def test_the_sites_pin_what_this_server_offers() -> None:
    assert {bundle_sha256()} == PINNED_SHA256


def test_the_bundle_holds_one_project_file_and_no_code() -> None:
    with zipfile.ZipFile(io.BytesIO(bundle_bytes())) as bundle:
        assert {name for name in bundle.namelist() if not name.startswith(".info/")} == {"pyproject.toml"}
        project = tomllib.loads(bundle.read("pyproject.toml").decode())
    components = project["tool"]["flwr"]["app"]["components"]
    assert components == {"serverapp": "fpe_server.app:app", "clientapp": "fpe_client.app:app"}


def test_nothing_else_lies_in_the_bundles_folder() -> None:
    assert [path.name for path in FOLDER.iterdir() if path.name != "__pycache__"] == ["pyproject.toml"]

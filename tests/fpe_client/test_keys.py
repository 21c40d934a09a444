"""The key pair that Flower's node authentication wants, and no overwriting of one that is known."""

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_ssh_public_key,
)

from fpe_client.keys import generate_key, load_key, readable_by_others
from fpe_core.errors import ConfigFileMissing, ConfigValueInvalid


def test_a_new_pair_belongs_together(tmp_path: Path) -> None:
    pair = generate_key(tmp_path / "keys" / "site.key")
    public = load_ssh_public_key(pair.public.read_bytes())
    private = load_key(pair.private)
    assert isinstance(public, ec.EllipticCurvePublicKey)
    assert isinstance(private.curve, ec.SECP384R1)
    assert private.public_key().public_numbers() == public.public_numbers()
    assert pair.public.read_text() == pair.public_line + "\n"
    assert pair.private.stat().st_mode & 0o777 == 0o600
    assert not readable_by_others(pair.private)


@pytest.mark.parametrize("existing", ["site.key", "site.key.pub"])
def test_a_key_is_never_overwritten(tmp_path: Path, existing: str) -> None:
    (tmp_path / existing).write_text("precious")
    with pytest.raises(ConfigValueInvalid, match="exists already"):
        generate_key(tmp_path / "site.key")
    assert (tmp_path / existing).read_text() == "precious"
    assert len(list(tmp_path.iterdir())) == 1


def test_a_missing_key_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigFileMissing) as caught:
        load_key(tmp_path / "site.key")
    assert "fpe-client keygen" in caught.value.hint


def test_a_key_of_another_kind_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "site.key"
    path.write_text("not a key")
    with pytest.raises(ConfigValueInvalid, match="not a readable"):
        load_key(path)
    other = ed25519.Ed25519PrivateKey.generate()
    path.write_bytes(other.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()))
    with pytest.raises(ConfigValueInvalid, match="ECDSA"):
        load_key(path)


def test_a_key_that_others_may_read_is_noticed(tmp_path: Path) -> None:
    path = generate_key(tmp_path / "site.key").private
    path.chmod(0o640)
    assert readable_by_others(path)

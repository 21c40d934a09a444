"""The site's key pair: ECDSA P-384, in OpenSSH's form, as Flower's node authentication wants it."""

import os
import stat
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_ssh_private_key,
)

from fpe_core.errors import ConfigFileMissing, ConfigValueInvalid


@dataclass(frozen=True)
class KeyPair:
    """Paths of a new key pair, and the public half as one line of text."""

    private: Path
    public: Path
    public_line: str


def generate_key(path: Path) -> KeyPair:
    """Write a new private key (mode 0600) to `path` and the public one beside it.

    Raises:
        ConfigValueInvalid: one of the two files exists: a key that the coordinator knows is never overwritten.
    """
    public_path = path.with_name(path.name + ".pub")
    for existing in (path, public_path):
        if existing.exists():
            raise ConfigValueInvalid(f"{existing} exists already", hint="keep it, or give another path")
    key = ec.generate_private_key(ec.SECP384R1())
    line = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()))
    public_path.write_text(line + "\n")
    return KeyPair(path, public_path, line)


def load_key(path: Path) -> ec.EllipticCurvePrivateKey:
    """Read the site's private key.

    Raises:
        ConfigFileMissing: there is none.
        ConfigValueInvalid: it is not an unencrypted ECDSA key in OpenSSH's form.
    """
    try:
        key = load_ssh_private_key(path.read_bytes(), None)
    except FileNotFoundError:
        raise ConfigFileMissing(f"private_key: {path}: no such file", hint=f"fpe-client keygen {path}") from None
    except (OSError, ValueError, TypeError, UnsupportedAlgorithm):
        raise ConfigValueInvalid(
            f"private_key: {path}: not a readable, unencrypted OpenSSH key", hint="make one with fpe-client keygen"
        ) from None
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise ConfigValueInvalid(f"private_key: {path}: expected an ECDSA key", hint="make one with fpe-client keygen")
    return key


def readable_by_others(path: Path) -> bool:
    """Whether anybody but the owner may read the file."""
    return bool(path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO))

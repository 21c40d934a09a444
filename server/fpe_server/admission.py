"""Which sites are admitted: one public key per site, kept as `sites/SITE.pub`."""

import re
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from fpe_core.errors import AdmissionFailed
from fpe_core.files import write_atomic
from fpe_server.federation import Federation

_SITE_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")


def admitted_keys(federation: Federation) -> dict[str, bytes]:
    """Site name to public key (OpenSSH line without comment), sorted by name."""
    return {path.stem: read_public_key(path) for path in sorted(federation.sites.glob("*.pub"))}


def read_public_key(path: Path) -> bytes:
    """The OpenSSH line of an EC P-384 public key, without its comment.

    Raises:
        AdmissionFailed: the file is missing, or holds anything else.
    """
    try:
        text = path.read_bytes()
        key = serialization.load_ssh_public_key(text)
    except OSError as error:
        raise AdmissionFailed(f"{path}: cannot be read ({error.strerror})") from None
    except (ValueError, UnsupportedAlgorithm):
        raise AdmissionFailed(
            f"{path}: expected an OpenSSH public key", hint="the site makes one with `fpe-client keygen`"
        ) from None
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP384R1):
        raise AdmissionFailed(
            f"{path}: expected an EC key on the curve P-384, got {text.split()[0].decode(errors='replace')}",
            hint="the site makes one with `fpe-client keygen`",
        )
    return key.public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)


def admit(federation: Federation, site: str, key: bytes, *, replace: bool = False) -> None:
    """Remember `key` as the key of `site`. The same key again changes nothing.

    Raises:
        AdmissionFailed: the name is not allowed, the site has another key and `replace` is false, or the key belongs
            to another site.
    """
    path = _key_file(federation, site)
    known = admitted_keys(federation)
    other = next((name for name, known_key in known.items() if known_key == key and name != site), None)
    if other is not None:
        raise AdmissionFailed(f"this key is admitted as {other!r} already", hint="one key belongs to one site")
    if known.get(site, key) != key and not replace:
        raise AdmissionFailed(
            f"{site!r} is admitted with another key",
            hint="`--replace` puts this key in its place; ask the site by phone whether it made a new one",
        )
    write_atomic(path, key + b"\n")


def revoke(federation: Federation, site: str) -> None:
    """Forget the key of `site`.

    Raises:
        AdmissionFailed: the site is not admitted.
    """
    path = _key_file(federation, site)
    if not path.exists():
        known = ", ".join(admitted_keys(federation)) or "none"
        raise AdmissionFailed(f"{site!r} is not admitted", hint=f"admitted sites: {known}")
    path.unlink()


def _key_file(federation: Federation, site: str) -> Path:
    if not _SITE_NAME.fullmatch(site):
        raise AdmissionFailed(
            f"a site's name should be lower-case letters, digits and hyphens, at most 63 of them, got {site!r}"
        )
    return federation.sites / f"{site}.pub"

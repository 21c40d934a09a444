"""Which keys are admitted under which names."""

from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from fpe_core.errors import AdmissionFailed
from fpe_server.admission import admit, admitted_keys, read_public_key, revoke
from fpe_server.federation import Federation

MakeKey = Callable[..., Path]


def test_admitted_key_is_kept_without_its_comment(federation: Federation, make_key: MakeKey) -> None:
    admit(federation, "north", read_public_key(make_key("a")))
    (key,) = admitted_keys(federation).values()
    assert key.startswith(b"ecdsa-sha2-nistp384 ")
    assert b"somewhere" not in key


def test_same_key_again_changes_nothing(federation: Federation, make_key: MakeKey) -> None:
    key = read_public_key(make_key("a"))
    admit(federation, "north", key)
    admit(federation, "north", key)
    assert admitted_keys(federation) == {"north": key}


def test_other_key_needs_replace(federation: Federation, make_key: MakeKey) -> None:
    old, new = (read_public_key(make_key(name)) for name in "ab")
    admit(federation, "north", old)
    with pytest.raises(AdmissionFailed, match="another key"):
        admit(federation, "north", new)
    assert admitted_keys(federation) == {"north": old}
    admit(federation, "north", new, replace=True)
    assert admitted_keys(federation) == {"north": new}


def test_one_key_is_one_site(federation: Federation, make_key: MakeKey) -> None:
    key = read_public_key(make_key("a"))
    admit(federation, "north", key)
    with pytest.raises(AdmissionFailed, match="'north' already"):
        admit(federation, "south", key, replace=True)


@pytest.mark.parametrize("name", ["North", "-a", "", "a/b", "../x", "a" * 64, "a\n"])
def test_site_names_are_checked(federation: Federation, make_key: MakeKey, name: str) -> None:
    with pytest.raises(AdmissionFailed, match="lower-case"):
        admit(federation, name, read_public_key(make_key("a")))


@pytest.mark.parametrize("content", [b"", b"ssh-rsa AAAA", b"\xff\xfe"])
def test_anything_but_a_public_key_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.pub").write_bytes(content)
    with pytest.raises(AdmissionFailed, match="expected an OpenSSH public key"):
        read_public_key(tmp_path / "x.pub")


def test_private_key_is_refused(make_key: MakeKey) -> None:
    with pytest.raises(AdmissionFailed):
        read_public_key(make_key("a").with_suffix(""))


def test_other_curve_is_refused(make_key: MakeKey) -> None:
    with pytest.raises(AdmissionFailed, match="P-384"):
        read_public_key(make_key("a", ec.SECP256R1()))


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(AdmissionFailed, match=r"none\.pub"):
        read_public_key(tmp_path / "none.pub")


def test_revoked_site_is_forgotten(federation: Federation, make_key: MakeKey) -> None:
    admit(federation, "north", read_public_key(make_key("a")))
    revoke(federation, "north")
    assert admitted_keys(federation) == {}
    with pytest.raises(AdmissionFailed, match="not admitted"):
        revoke(federation, "north")

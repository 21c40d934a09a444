"""The certificates in a real TLS handshake."""

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from cryptography import x509

from fpe_server.certificates import make_authority, make_server_certificate
from fpe_server.federation import Federation, issue_server_certificate


@contextmanager
def tls_server(federation: Federation) -> Iterator[int]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(federation.server_certificate, federation.server_key)
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(5)

    def serve() -> None:
        connection, _ = listener.accept()
        connection.settimeout(5)
        try:
            context.wrap_socket(connection, server_side=True).close()
        except (ssl.SSLError, OSError):
            connection.close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        thread.join(timeout=10)
        listener.close()


def handshake(federation: Federation, name: str, authority: bytes) -> None:
    context = ssl.create_default_context(cadata=authority.decode())
    # Strict, as Python 3.13 is by default: every X.509 v3 extension has to be in order.
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    with tls_server(federation) as port, socket.create_connection(("127.0.0.1", port), timeout=5) as raw:
        context.wrap_socket(raw, server_hostname=name).close()


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "fpe.example.org", "192.0.2.7"])
def test_every_host_is_named(federation: Federation, name: str) -> None:
    handshake(federation, name, federation.authority_certificate.read_bytes())


def test_another_name_is_refused(federation: Federation) -> None:
    with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
        handshake(federation, "other.example.org", federation.authority_certificate.read_bytes())


def test_another_authority_is_refused(federation: Federation) -> None:
    with pytest.raises(ssl.SSLCertVerificationError, match="certificate verify failed"):
        handshake(federation, "localhost", make_authority().certificate_pem)


def test_renewed_certificate_has_the_same_authority(federation: Federation) -> None:
    before = federation.server_certificate.read_bytes()
    issue_server_certificate(federation)
    assert federation.server_certificate.read_bytes() != before
    handshake(federation, "localhost", federation.authority_certificate.read_bytes())


def test_the_server_certificate_signs_nothing() -> None:
    authority = make_authority()
    pair = make_server_certificate(
        hosts=["a"], authority_key_pem=authority.key_pem, authority_certificate_pem=authority.certificate_pem
    )
    certificate = x509.load_pem_x509_certificate(pair.certificate_pem)
    assert not certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert not certificate.extensions.get_extension_for_class(x509.KeyUsage).value.key_cert_sign


def test_keys_do_not_show_in_messages() -> None:
    assert "PRIVATE" not in repr(make_authority())

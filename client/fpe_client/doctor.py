"""Why a connection to the server does not stand: one cause, one sentence, one exit code.

Used by `fpe-client check`, and by the supervisor before a SuperNode starts and after it has gone, because Flower itself
names none of these causes.
"""

import http.client
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path

from fpe_core.config.site import ServerAddress, SiteConfig
from fpe_core.errors import (
    CertificateExpired,
    CertificateNameWrong,
    CertificateUntrusted,
    ClockSkewed,
    ConfigFileMissing,
    ConfigValueInvalid,
    ServerUnreachable,
)

MAX_AHEAD_S = 4.5
MAX_BEHIND_S = 300.0
"""The server accepts signatures from 5 s in its future to 305 s in its past; the margins are for the way there."""

_EXPIRED_CODES = (9, 10)  # X509_V_ERR_CERT_NOT_YET_VALID, X509_V_ERR_CERT_HAS_EXPIRED
_NAME_CODES = (62, 64)  # X509_V_ERR_HOSTNAME_MISMATCH, X509_V_ERR_IP_ADDRESS_MISMATCH


@dataclass(frozen=True)
class ServerFacts:
    """What a server that answers says about itself.

    Attributes:
        certificate_until: end of the server certificate's validity.
        ahead_s: how far this machine's clock is ahead of the server's, in seconds, to about one second.
    """

    certificate_until: datetime
    ahead_s: float


def examine(config: SiteConfig, *, timeout_s: float = 10.0) -> ServerFacts:
    """Connect, check the certificate, and compare the clocks.

    Raises:
        ConfigError: the CA certificate cannot be read.
        ServerUnreachable, CertificateUntrusted, CertificateExpired, CertificateNameWrong, ClockSkewed: as named.
    """
    reach(config.server, timeout_s=timeout_s)
    with _handshake(config.server, timeout_s) as stream:
        certificate = stream.getpeercert() or {}
        until = datetime.fromtimestamp(ssl.cert_time_to_seconds(str(certificate["notAfter"])), UTC)
        ahead_s = _ahead_s(config.server, stream)
    judge_clock(ahead_s)
    return ServerFacts(until, ahead_s)


def reach(server: ServerAddress, *, timeout_s: float) -> None:
    """Open and close a TCP connection. Raises ServerUnreachable."""
    with _tcp(server, timeout_s):
        pass


def trust(ca_certificate: Path) -> ssl.SSLContext:
    """A TLS context that trusts this authority and no other.

    Raises:
        ConfigFileMissing, ConfigValueInvalid: the file is missing or holds no certificate.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_verify_locations(cafile=ca_certificate)
    except FileNotFoundError:
        raise ConfigFileMissing(
            f"server.ca_certificate: {ca_certificate}: no such file", hint="ask the coordinator for ca.crt"
        ) from None
    except (OSError, ssl.SSLError):
        raise ConfigValueInvalid(
            f"server.ca_certificate: {ca_certificate}: not a PEM certificate", hint="ask the coordinator for ca.crt"
        ) from None
    return context


def judge_clock(ahead_s: float) -> None:
    """Raise ClockSkewed when the server would refuse signatures made by this clock."""
    if ahead_s > MAX_AHEAD_S or ahead_s < -MAX_BEHIND_S:
        direction = "ahead of" if ahead_s > 0 else "behind"
        raise ClockSkewed(
            f"this machine's clock is {abs(ahead_s):.0f} s {direction} the server's",
            hint="set the clock with NTP (timedatectl set-ntp true)",
        )


@contextmanager
def _tcp(server: ServerAddress, timeout_s: float) -> Iterator[socket.socket]:
    host, port = server.address.rsplit(":", 1)
    try:
        stream = socket.create_connection((host, int(port)), timeout=timeout_s)
    except (OSError, OverflowError) as error:
        raise ServerUnreachable(
            f"{server.address}: {getattr(error, 'strerror', None) or error or 'no answer'}",
            hint="check the address, and that the hospital's firewall lets this machine out to it",
        ) from None
    with stream:
        yield stream


@contextmanager
def _handshake(server: ServerAddress, timeout_s: float) -> Iterator[ssl.SSLSocket]:
    context = trust(server.ca_certificate)
    host = server.address.rsplit(":", 1)[0]
    with _tcp(server, timeout_s) as stream:
        try:
            secure = context.wrap_socket(stream, server_hostname=host)
        except ssl.SSLCertVerificationError as error:
            raise _certificate_error(server, error) from None
        except (ssl.SSLError, OSError):
            raise ServerUnreachable(
                f"{server.address}: something answers there, but not with TLS", hint="check the port"
            ) from None
        with secure:
            yield secure


def _certificate_error(
    server: ServerAddress, error: ssl.SSLCertVerificationError
) -> CertificateUntrusted | CertificateExpired | CertificateNameWrong:
    if error.verify_code in _EXPIRED_CODES:
        return CertificateExpired(
            f"{server.address}: {error.verify_message}",
            hint="check this machine's date; if it is right, the coordinator must renew the certificate",
        )
    if error.verify_code in _NAME_CODES:
        return CertificateNameWrong(
            f"{server.address}: {error.verify_message}",
            hint="use the name that the coordinator gave, or ask for a certificate that holds this one",
        )
    return CertificateUntrusted(
        f"{server.address}: {error.verify_message}",
        hint=f"ask the coordinator for the current ca.crt; this one was used: {server.ca_certificate}",
    )


def _ahead_s(server: ServerAddress, stream: ssl.SSLSocket) -> float:
    connection = http.client.HTTPConnection(server.address.rsplit(":", 1)[0])
    connection.sock = stream
    before = time.time()
    try:
        connection.request("GET", "/health", headers={"Connection": "close"})
        date = connection.getresponse().headers.get("date")
        server_s = parsedate_to_datetime(date or "").timestamp()
    except (OSError, http.client.HTTPException, ValueError):
        raise ServerUnreachable(
            f"{server.address}: the server does not answer a health request", hint="check the port"
        ) from None
    # The header has whole seconds, cut off: the true time is half a second later on average.
    return (before + time.time()) / 2 - (server_s + 0.5)

"""What the operator asks of a running SuperLink: who is connected, who is admitted."""

from dataclasses import dataclass

import httpx

from fpe_core.errors import AdmissionFailed
from fpe_server.admission import admitted_keys
from fpe_server.federation import Federation
from fpe_server.flower import Control, node_key


@dataclass(frozen=True)
class SiteStatus:
    """One admitted site, as the server sees it."""

    site: str
    connected: bool
    since: str | None
    """When it last connected or, if it is not connected, last disconnected (ISO 8601); None when it never came."""


def site_statuses(federation: Federation, control: Control | None) -> list[SiteStatus]:
    """All admitted sites, sorted by name. Without a running server (`control` is None) none is connected."""
    nodes = {node.name: node for node in control.nodes()} if control else {}
    statuses = []
    for site in admitted_keys(federation):
        node = nodes.get(site)
        connected = node is not None and node.status == "online"
        since = (node.last_activated_at if connected else node.last_deactivated_at) if node else ""
        statuses.append(SiteStatus(site, connected, since or None))
    return statuses


def reconcile(federation: Federation, control: Control) -> None:
    """Make the SuperLink admit exactly the keys in the federation folder.

    Raises:
        AdmissionFailed: the SuperLink refused a key.
    """
    wanted = {node_key(key): site for site, key in admitted_keys(federation).items()}
    present = {}
    for node in control.nodes():
        if wanted.get(node.public_key) == node.name:
            present[node.public_key] = node.name
        else:
            control.unregister(node.node_id)
    for key, site in wanted.items():
        if key not in present:
            _register(control, site, key)


def _register(control: Control, site: str, key: bytes) -> None:
    try:
        control.register(site, key)
    except httpx.HTTPStatusError as error:
        raise AdmissionFailed(
            f"the running server refused the key of {site!r} (HTTP {error.response.status_code})",
            hint="a key that was revoked is accepted again after the server's next start",
        ) from None

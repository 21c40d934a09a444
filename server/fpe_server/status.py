"""What `fpe-server status` finds out: the health service, the server's own state, the sites."""

import json
from typing import Any

import httpx

from fpe_server.control import SiteStatus, site_statuses
from fpe_server.federation import Federation
from fpe_server.flower import Control, bundle_sha256
from fpe_server.health import ask_health
from fpe_server.locks import holder
from fpe_server.study_state import newest_run_folder, read_state


def look(federation: Federation) -> dict[str, Any]:
    """How the server, its sites and its newest study stand, as plain data."""
    pid = holder(federation.lock)
    health = _health(federation) if pid else "STOPPED"
    return {
        "folder": str(federation.folder),
        "port": federation.config.port,
        "pid": pid,
        "health": health,
        "sites": [vars(status) for status in _sites(federation, running=health == "SERVING")],
        "study": _study(federation),
        "bundle_sha256": bundle_sha256(),
    }


def in_words(found: dict[str, Any]) -> str:
    """The same for a person, one fact a line."""
    lines = [f"server   {found['health']}" + (f" (process {found['pid']})" if found["pid"] else "")]
    for site in found["sites"]:
        since = f" since {site['since']}" if site["since"] else ""
        lines.append(f"site     {site['site']}: {'connected' if site['connected'] else 'not connected'}{since}")
    if study := found["study"]:
        lines.append(f"study    {study['name']}: {study['status']}, round {study['round']} of {study['rounds']}")
        lines += [f"         {study['message']}"] if study["message"] else []
    return "\n".join(lines)


def _health(federation: Federation) -> str:
    try:
        facts = json.loads(federation.facts.read_bytes())
    except FileNotFoundError:
        return "STARTING"
    return ask_health(str(facts["health"]))


def _sites(federation: Federation, *, running: bool) -> list[SiteStatus]:
    if not running:
        return site_statuses(federation, None)
    try:
        with Control(federation) as control:
            return site_statuses(federation, control)
    except httpx.HTTPError:
        return site_statuses(federation, None)


def _study(federation: Federation) -> dict[str, Any] | None:
    folder = newest_run_folder(federation)
    return None if folder is None else {"name": folder.name, **vars(read_state(folder))}

"""`fpe-client check`: every thing that a site needs, tried one after the other and said in one line each."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

from fpe_client.doctor import ServerFacts, examine, trust
from fpe_client.keys import load_key, readable_by_others
from fpe_client.paths import SitePaths
from fpe_core.config.loader import load_site
from fpe_core.config.site import SiteConfig
from fpe_core.errors import CaseFileMissing, ConfigValueInvalid, FpeError, KeyNotAdmitted

MIN_FREE_BYTES = 5 * 2**30
RENEW_WITHIN = timedelta(days=30)

Verdict = Literal["ok", "warn", "fail"]


@dataclass(frozen=True)
class Finding:
    """One line of the doctor.

    Attributes:
        what: what was looked at.
        verdict: ok, warn, or fail.
        detail: what was seen.
        hint: what to do; empty when nothing.
        exit_code: of a failure, else 0.
    """

    what: str
    verdict: Verdict
    detail: str
    hint: str = ""
    exit_code: int = 0


def check_site(site_file: Path) -> Iterator[Finding]:
    """Look at everything; later checks that need a failed one are left out."""
    try:
        config = load_site(site_file)
    except FpeError as error:
        yield _failure("configuration", error)
        return
    yield Finding("configuration", "ok", f"{site_file} is valid for site {config.site}")
    for what, look in (
        ("case table", _case_table),
        ("preprocessed", _preprocessed),
        ("disk", _disk),
        ("device", _device),
        ("private key", _key),
        ("CA certificate", _ca),
        ("server", _server),
    ):
        yield from _guarded(what, look, config)


def _guarded(what: str, look: Callable[[SiteConfig], Iterator[Finding]], config: SiteConfig) -> Iterator[Finding]:
    try:
        yield from look(config)
    except FpeError as error:
        yield _failure(what, error)


def _failure(what: str, error: FpeError) -> Finding:
    return Finding(what, "fail", f"[{error.code}] {error}", error.hint, error.exit_code)


def _case_table(config: SiteConfig) -> Iterator[Finding]:
    from fpe_core.data.case_table import read_site_table

    table = read_site_table(config.data)
    detail = f"{len(table.rows)} of {table.num_rows} rows in {config.data.cases} can be used"
    if table.problems:
        hint = "fpe-client table --site FILE lists every problem with its line and column"
        yield Finding("case table", "warn", f"{detail}; {len(table.problems)} problems", hint)
    else:
        yield Finding("case table", "ok", detail)
    missing = [path for row in table.rows for path in row.images.values() if not path.is_file()]
    if missing:
        detail = f"{len(missing)} image files are missing, the first is {missing[0]}"
        yield Finding("image files", "fail", detail, "correct the table or bring the files", CaseFileMissing.exit_code)
    else:
        yield Finding("image files", "ok", "all are there")


def _preprocessed(config: SiteConfig) -> Iterator[Finding]:
    from fpe_core.config.recipe import recipe_named
    from fpe_core.errors import CaseUnderReview
    from fpe_core.preprocessing.gate import usable
    from fpe_core.preprocessing.manifest import read_quarantine

    recipe = recipe_named(config.preprocessing.recipe)
    folder = SitePaths(config.state_dir).preprocessed(recipe.name)
    screened = usable(folder, recipe)
    waiting = sum(code == CaseUnderReview.code for code in screened.set_aside.values())
    aside = len(read_quarantine(folder)) + len(screened.set_aside) - waiting
    detail = f"{len(screened.files)} cases are ready with {recipe.name}, {waiting} wait for review, {aside} set aside"
    if not screened.files:
        yield Finding("preprocessed", "warn", detail, "run fpe-client preprocess before the first study")
    elif waiting:
        yield Finding("preprocessed", "warn", detail, "fpe-client qc page --site FILE, then qc accept or qc reject")
    else:
        yield Finding("preprocessed", "ok", detail)


def _disk(config: SiteConfig) -> Iterator[Finding]:
    paths = SitePaths(config.state_dir)
    try:
        paths.create()
        free_bytes = shutil.disk_usage(paths.root).free
    except OSError as error:
        raise ConfigValueInvalid(
            f"state_dir: {paths.root}: {error.strerror}", hint="choose a folder that this user may write"
        ) from None
    detail = f"{free_bytes / 2**30:.1f} GiB free in {paths.root}"
    if free_bytes < MIN_FREE_BYTES:
        yield Finding("disk", "warn", detail, f"{MIN_FREE_BYTES / 2**30:.0f} GiB are comfortable for a hundred cases")
    else:
        yield Finding("disk", "ok", detail)


def _device(config: SiteConfig) -> Iterator[Finding]:
    from fpe_core.training.device import choose_device

    device = choose_device(config.trainer.device)
    if device.type == "cpu" and config.trainer.device == "auto":
        yield Finding("device", "warn", "no GPU was found: training runs on the CPU", "expect long rounds")
    else:
        yield Finding("device", "ok", str(device))


def _key(config: SiteConfig) -> Iterator[Finding]:
    load_key(config.private_key)
    if readable_by_others(config.private_key):
        hint = f"chmod 600 {config.private_key}"
        yield Finding("private key", "warn", f"{config.private_key} can be read by other users", hint)
    else:
        yield Finding("private key", "ok", str(config.private_key))


def _ca(config: SiteConfig) -> Iterator[Finding]:
    trust(config.server.ca_certificate)
    yield Finding("CA certificate", "ok", str(config.server.ca_certificate))


def _server(config: SiteConfig) -> Iterator[Finding]:
    facts = examine(config)
    yield Finding("server", "ok", f"{config.server.address} answers with a certificate of the coordinator's CA")
    yield _expiry(facts)
    yield Finding("clock", "ok" if abs(facts.ahead_s) < 2 else "warn", f"{facts.ahead_s:+.1f} s against the server's")
    yield _admission(config)


def _expiry(facts: ServerFacts) -> Finding:
    detail = f"valid until {facts.certificate_until:%Y-%m-%d}"
    if facts.certificate_until - datetime.now(UTC) < RENEW_WITHIN:
        return Finding("server certificate", "warn", detail, "ask the coordinator to renew it")
    return Finding("server certificate", "ok", detail)


def _admission(config: SiteConfig) -> Finding:
    from fpe_client.flower import probe_admission
    from fpe_client.supernode import node_settings

    try:
        probe_admission(node_settings(config, SitePaths(config.state_dir)))
    except KeyNotAdmitted as error:
        return _failure("admission", error)
    return Finding("admission", "ok", f"the coordinator has admitted this key as {config.site}")

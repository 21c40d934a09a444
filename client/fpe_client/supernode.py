"""The SuperNode process: started by the supervisor as `python -m fpe_client.supernode --site config.yaml`.

It ends with a code that says why: 0 after SIGTERM, the code of a refusal when there is one, 70 when Flower's main loop
gave up. It never lives on without a connection.
"""

import argparse
import logging
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from fpe_client.environment import flower_environment
from fpe_client.link_state import note_connected, note_refused, read_link
from fpe_client.parent import die_with_parent
from fpe_client.paths import SitePaths
from fpe_core.config.loader import load_site
from fpe_core.config.site import SiteConfig
from fpe_core.errors import FpeError

if TYPE_CHECKING:
    from fpe_client.flower import NodeSettings

EXIT_LOOP_ENDED = 70

log = logging.getLogger(__name__)


def main() -> None:
    """Connect, and stay until told to stop or until the connection cannot be kept."""
    parser = argparse.ArgumentParser(prog="fpe_client.supernode", description=__doc__)
    parser.add_argument("--site", type=Path, required=True, help="the site's configuration file")
    die_with_parent()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    _quieten()
    code = _run(parser.parse_args().site)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # Flower's local server keeps a thread of its own


def _quieten() -> None:
    """Libraries that would log every one of five polls a second, or their own wiring. Flower prints its own lines."""
    logging.getLogger("flwr").propagate = False
    for name in ("httpx", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)


def _run(site_file: Path) -> int:
    try:
        config = load_site(site_file)
        paths = SitePaths(config.state_dir)
        paths.create()
    except FpeError as error:
        log.error("[%s] %s %s", error.code, error, error.hint)
        return error.exit_code
    os.environ.update(flower_environment(paths.flower_home, site_file))
    try:
        return _stay_connected(config, paths)
    except FpeError as error:
        log.error("[%s] %s %s", error.code, error, error.hint)
        note_refused(paths.link, pid=os.getpid(), error=error)
        return error.exit_code
    except Exception:
        log.exception("the SuperNode failed")
        return EXIT_LOOP_ENDED


def _stay_connected(config: SiteConfig, paths: SitePaths) -> int:
    from fpe_client.doctor import examine
    from fpe_client.flower import deactivate_session, probe_admission, run_supernode

    settings = node_settings(config, paths)
    examine(config)
    probe_admission(settings)
    last = read_link(paths.link)
    if last and last.node_id is not None and deactivate_session(settings, last.node_id):
        log.info("ended the session that was left of node %s", last.node_id)
    asked_to_stop: list[bool] = []
    try:
        run_supernode(
            settings,
            on_connected=lambda node_id: note_connected(paths.link, pid=os.getpid(), node_id=node_id),
            on_stop=lambda: asked_to_stop.append(True),
        )
    except SystemExit as end:
        log.info("Flower left with %s", end.code)
        if asked_to_stop:
            return 0
    # Flower says nothing about the cause: ask again, in our own words.
    examine(config)
    probe_admission(settings)
    return EXIT_LOOP_ENDED


def node_settings(config: SiteConfig, paths: SitePaths) -> "NodeSettings":
    """What the SuperNode needs of the site's configuration.

    Raises:
        ConfigError: the key or the CA certificate cannot be read.
    """
    from fpe_client.doctor import trust
    from fpe_client.flower import NodeSettings
    from fpe_client.keys import load_key

    trust(config.server.ca_certificate)
    return NodeSettings(
        address=config.server.address,
        ca_certificate=config.server.ca_certificate.read_bytes(),
        private_key=load_key(config.private_key),
        home=paths.flower_home,
    )


if __name__ == "__main__":
    main()

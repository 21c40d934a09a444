"""The trainer: the long-lived process that holds the hospital's data and model, and has no network.

Started by the supervisor as `python -m fpe_client.trainer --site config.yaml`. It is reached through a unix socket in
the site's folder, by gRPC with raw bytes, and answers the standard health service: SERVING, or NOT_SERVING once a
request has made no progress for `trainer.overdue_after_s`.

Imports stand inside the functions: the kernel takes the network away from single-threaded processes only, and NumPy,
torch and gRPC start threads when they are imported.
"""

import argparse
import logging
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from fpe_client.no_network import grpc_environment, leave_network
from fpe_client.parent import die_with_parent

if TYPE_CHECKING:
    from fpe_client.desk import Work
    from fpe_core.config.site import SiteConfig

log = logging.getLogger(__name__)


def main() -> None:
    """Load the site and serve its gate until told to stop."""
    parser = argparse.ArgumentParser(prog="fpe_client.trainer", description=__doc__)
    parser.add_argument("--site", type=Path, required=True, help="the site's configuration file")
    site_file = parser.parse_args().site
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    by_kernel = leave_network()
    die_with_parent()  # after the namespace: changed credentials would clear it
    os.environ.update(grpc_environment())
    log.info("network taken away by %s", "the kernel" if by_kernel else "Python alone; this host forbids namespaces")
    _run(site_file)


def _run(site_file: Path) -> None:
    """Exits with the code of the error when the site cannot be served."""
    from fpe_client.trainer_server import serve
    from fpe_core.config.loader import load_site
    from fpe_core.errors import FpeError

    try:
        config = load_site(site_file)
        serve(config, site_work(config))
    except FpeError as error:
        log.error("[%s] %s %s", error.code, error, error.hint)
        sys.exit(error.exit_code)


def site_work(config: "SiteConfig") -> "Work":
    """The handlers bound to this site's session."""
    import torch

    from fpe_client.handlers import handle
    from fpe_client.session import SiteSession

    if config.trainer.threads is not None:
        torch.set_num_threads(config.trainer.threads)
    session = SiteSession(config)
    return lambda request, progress: handle(request, session, progress)


if __name__ == "__main__":
    main()

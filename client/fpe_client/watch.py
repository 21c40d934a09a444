"""Questions that may take seconds to answer, asked in the background so that the supervisor never waits for them."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from fpe_client.doctor import reach
from fpe_client.trainer_link import Health, trainer_health
from fpe_core.config.site import ServerAddress
from fpe_core.errors import ServerUnreachable, TrainerUnavailable


@dataclass
class Watch:
    """Asks the trainer's health service every second and the server's port every 15 s.

    Args:
        folder: the site's `state_dir`.
        server: the server.
    """

    folder: Path
    server: ServerAddress
    trainer: Health = Health.SILENT
    server_answers: bool | None = None

    def start(self) -> None:
        """Ask from now on, for as long as this process lives."""
        for question, every_s in ((self._ask_trainer, 1.0), (self._ask_server, 15.0)):
            threading.Thread(target=_repeat, args=(question, every_s), daemon=True).start()

    def _ask_trainer(self) -> None:
        try:
            self.trainer = trainer_health(self.folder)
        except TrainerUnavailable:
            self.trainer = Health.SILENT

    def _ask_server(self) -> None:
        try:
            reach(self.server, timeout_s=5.0)
            self.server_answers = True
        except ServerUnreachable:
            self.server_answers = False


def _repeat(question: Callable[[], None], every_s: float) -> None:
    while True:
        question()
        time.sleep(every_s)

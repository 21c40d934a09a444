"""Where the client keeps its own things: one closed folder per site."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class SitePaths:
    """The files of one site's `state_dir`.

    Attributes:
        root: the folder itself; only the site's own user may enter it.
    """

    root: Path

    @property
    def lock(self) -> Path:
        """Held by the one `fpe-client` that works on this folder."""
        return self.root / "client.lock"

    @property
    def status(self) -> Path:
        """What the supervisor knows, as JSON."""
        return self.root / "status.json"

    @property
    def link(self) -> Path:
        """What the SuperNode knows about its connection, as JSON."""
        return self.root / "link.json"

    @property
    def work(self) -> Path:
        """What the gate knows about the request in work, as JSON. Its modification time is the last progress."""
        return self.root / "work.json"

    @property
    def audit(self) -> Path:
        """One JSON line for every message that left."""
        return self.root / "audit.jsonl"

    @property
    def flower_home(self) -> Path:
        """Flower's own folder; never shared with another process's."""
        return self.root / "flower"

    @property
    def logs(self) -> Path:
        """Folder of the trainer's and the SuperNode's logs."""
        return self.root / "logs"

    @property
    def round(self) -> Path:
        """Where a round of several epochs goes on from after a kill; as large as four models."""
        return self.root / "round.safetensors"

    @property
    def privacy(self) -> Path:
        """Folder of what each private study has spent."""
        return self.root / "privacy"

    def create(self) -> None:
        """Make the folders, closed to every other user."""
        for folder in (self.root, self.flower_home, self.logs):
            folder.mkdir(parents=True, exist_ok=True)
        self.root.chmod(0o700)

    def preprocessed(self, recipe: str) -> Path:
        """Folder of the cases preprocessed with one recipe."""
        return self.root / "preprocessed" / recipe

    def split(self, name: str) -> Path:
        """The saved split of the studies in which the same patients take part; it names patients."""
        return self.root / "splits" / f"{name}.json"

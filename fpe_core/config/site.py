"""The site's configuration: where its data, keys and devices are, and what its policy allows to leave."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from fpe_core.config.base import FrozenModel
from fpe_core.config.study import Task


class ServerAddress(FrozenModel):
    """The coordinating centre's server, as seen from the site."""

    address: Annotated[str, Field(pattern=r"^[^\s:/]+:\d{1,5}$")]
    """host:port of the server, for example fpe.example.org:9092."""
    ca_certificate: Path
    """The coordinator's CA certificate (PEM)."""


class SiteData(FrozenModel):
    """The site's own files, which are only ever read."""

    cases: Path
    """CSV with one row per case: case_id, patient_id, one image path per sequence, clinical and outcome columns."""
    mapping: Path | None = None
    """YAML file that says how the site's table differs from the platform's own form: names of columns, codes, units,
    marks for what is not known."""
    bad_values: Literal["quarantine", "set_missing"] = "quarantine"
    """What becomes of a value that is not usable: its case is set aside, or the value counts as missing."""

    def resolved(self, folder: Path) -> "SiteData":
        """The same with every relative path taken relative to `folder`."""
        mapping = folder / self.mapping if self.mapping else None
        return self.model_copy(update={"cases": folder / self.cases, "mapping": mapping})


class SiteTrainer(FrozenModel):
    """The process that holds data and model."""

    device: Annotated[str, Field(pattern=r"^(auto|cpu|cuda(:\d+)?)$")] = "auto"
    """auto takes the first GPU, or the CPU where there is none."""
    threads: Annotated[int, Field(ge=1)] | None = None
    """CPU threads for training; default is what torch chooses."""
    micro_batch_size: Annotated[int, Field(ge=1)] | None = None
    """Cases on the device at once; default is the study's whole batch, and halves of it where memory does not suffice.
    Networks with batch normalisation take their statistics over these."""
    compile: bool = False
    """Lets torch compile the network first: minutes once, then faster steps. Needs a C++ compiler."""
    workers: Annotated[int, Field(ge=0)] | None = None
    """Processes that read cases ahead of the training; 0 reads between steps. Default: 4 beside a GPU where shared
    memory has room for their batches, else 0."""
    overdue_after_s: Annotated[float, Field(gt=0)] = 900.0
    """A trainer that shows no progress for so long is killed and started again, in seconds."""


class SitePreprocessing(FrozenModel):
    """How many cases are worked on at once."""

    recipe: str = "mnt-dl-mr"
    """Recipe that `fpe-client preprocess` uses."""
    jobs: Annotated[int, Field(ge=1)] | None = None
    """Most cases preprocessed side by side, fewer where memory does not suffice; default one for each CPU."""
    territory_atlas: Path | None = None
    """The site's own atlas of vascular territories in MNI space (NIfTI); default is the platform's. See
    docs/territories.md."""

    def resolved(self, folder: Path) -> "SitePreprocessing":
        """The same with every relative path taken relative to `folder`."""
        atlas = self.territory_atlas
        return self.model_copy(update={"territory_atlas": folder / atlas if atlas else None})


class SitePolicy(FrozenModel):
    """What this site agrees to. The server cannot change it."""

    tasks: tuple[Task, ...] = ("fpe", "recanalization", "rlvo")
    """Studies on any other task are refused."""
    min_cases_per_class: Annotated[int, Field(ge=2)] = 5
    """Scores, AUC and loss of a split leave only when both classes have at least so many cases."""


class SiteConfig(FrozenModel):
    """One hospital. Relative paths are relative to the file they stand in."""

    schema_version: Literal[1] = 1
    """Version of this file's format."""
    site: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
    """The name under which the coordinator admits this site: lower-case letters, digits and hyphens."""
    server: ServerAddress
    private_key: Path
    """The site's private key, made by `fpe-client keygen`. It never leaves the site."""
    state_dir: Path
    """Folder for everything the client writes: preprocessed cases, pictures, logs, audit trail."""
    data: SiteData
    trainer: SiteTrainer = SiteTrainer()
    preprocessing: SitePreprocessing = SitePreprocessing()
    policy: SitePolicy = SitePolicy()

    def resolved(self, folder: Path) -> "SiteConfig":
        """The same configuration with every relative path taken relative to `folder`."""
        return self.model_copy(
            update={
                "server": self.server.model_copy(update={"ca_certificate": folder / self.server.ca_certificate}),
                "private_key": folder / self.private_key,
                "state_dir": folder / self.state_dir,
                "preprocessing": self.preprocessing.resolved(folder),
                "data": self.data.resolved(folder),
            }
        )

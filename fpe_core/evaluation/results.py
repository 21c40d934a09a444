"""The results of a finished study: what `results.json` holds. `docs/results.md` explains every field.

One rule of counting runs through the whole file: the model *after k rounds* has been averaged k times, and the model
after 0 rounds is the initial one. Round t sends out the model after t − 1 rounds, so that is the model its validation
is about. One more entry closes the list: round `plan.federation.rounds` + 1 evaluates the final model and trains
nothing. Hence `rounds[k]` always holds the validation of the model after k rounds.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, FiniteFloat, ValidationError, model_validator

from fpe_core.config.base import FrozenModel
from fpe_core.config.study import StudyPlan
from fpe_core.errors import ResultsUnreadable
from fpe_core.files import write_atomic
from fpe_core.protocol import Count, Evaluation, Failure, Kind, Sha256, SiteDescription, TrainingSummary

Auc = Annotated[float, Field(ge=0, le=1)]
Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class SiteResults(FrozenModel):
    """One site at the end of the study."""

    site: str
    """Name under which the coordinator admitted the site."""
    description: SiteDescription
    """What the site said about itself before the study."""
    test: Evaluation | None
    """The best federated model on this site's held-out cases; null when the site did not answer."""
    alone_test: Evaluation | None
    """The same network trained on this site alone, on the same held-out cases; null when not asked for or failed."""


class RoundSite(FrozenModel):
    """One site in one round."""

    validation: Evaluation | None
    """The model that was sent out in this round, on the site's validation cases; null when the site failed."""
    training: TrainingSummary | None
    """The local round; null when the site failed, and in the closing entry, which trains nothing."""
    failure: Failure | None = None
    """Why the site took no part in this round; null when it did."""


class RoundResults(FrozenModel):
    """One exchange with all sites."""

    round_number: Annotated[int, Field(ge=1)]
    """From 1. The closing entry has the number of rounds plus 1."""
    sites: dict[str, RoundSite]
    """Every site that was asked, by name."""
    pooled_validation_auc: Auc | None
    """AUC over the validation cases of all sites together; null when too many scores were withheld."""
    pooled_validation_loss: FiniteFloat | None
    """Mean validation loss per case over the sites that gave theirs; null when none did."""
    duration_s: Seconds
    """Wall time of the exchange at the server, in seconds."""


class PooledScore(FrozenModel):
    """AUC over the held-out cases of all sites together, from their binned scores."""

    num_cases: Count
    """Cases that are in the curve."""
    auc: Auc
    """Area under the pooled ROC curve."""
    auc_low: Auc
    """Lower end of its 95 % interval (DeLong); 0 with fewer than five cases of a class."""
    auc_high: Auc
    """Upper end of its 95 % interval (DeLong); 1 with fewer than five cases of a class."""


class StudyFailure(FrozenModel):
    """A site that gave no answer outside the rounds."""

    site: str
    """Name of the site."""
    kind: Kind
    """What it was asked for."""
    failure: Failure
    """What it, or the server on its behalf, said."""


class StudyResults(FrozenModel):
    """Everything a finished study found, except the weights."""

    schema_version: Literal[1] = 1
    """Version of this file's format."""
    status: Literal["finished"] = "finished"
    """A study that stopped early has no results file."""
    plan: StudyPlan
    """The plan, with every default filled in."""
    study_fingerprint: Sha256
    """sha256 of the plan, as the sites compared it."""
    synthetic: bool
    """True when any site's cases are phantoms: then nothing here says anything about patients."""
    software: dict[str, str]
    """Versions of this platform and of the libraries it ran on, by name."""
    sites: tuple[SiteResults, ...]
    """The sites that took part."""
    rounds: tuple[RoundResults, ...]
    """Exchanges in order: one for each round, and the closing one."""
    best_round: Count
    """The chosen model is the one after so many rounds (0: the initial model): the one with the lowest pooled
    validation loss, and the last one where no round has such a loss."""
    pooled_test: PooledScore | None
    """Held-out result of the chosen model over all sites; null when too many scores were withheld."""
    mean_site_test_auc: Auc | None
    """Mean over the sites of the chosen model's held-out AUC, each site once; only sites that have both AUCs count."""
    mean_alone_test_auc: Auc | None
    """Mean over the same sites of the AUC of the network trained at each alone."""
    model_sha256: Sha256
    """sha256 of the safetensors file of the chosen model."""
    failures: tuple[StudyFailure, ...] = ()
    """Failures outside the rounds. Those in a round stand in `rounds`."""
    reachable_auc: Auc | None = None
    """Phantoms only: the AUC of the probabilities from which the labels were drawn. No model can expect more."""

    @model_validator(mode="after")
    def _rounds_are_complete(self) -> "StudyResults":
        numbers = [entry.round_number for entry in self.rounds]
        expected = self.plan.federation.rounds + 1
        if numbers != list(range(1, expected + 1)):
            raise ValueError(
                f"rounds should be numbered 1 to {expected}, the last one the closing entry, got {numbers}"
            )
        if any(site.training for site in self.rounds[-1].sites.values()):
            raise ValueError("the closing entry of rounds should train nothing")
        if self.best_round > self.plan.federation.rounds:
            raise ValueError(f"best_round should be 0 to {expected - 1}, got {self.best_round}")
        return self

    @model_validator(mode="after")
    def _sites_are_known(self) -> "StudyResults":
        names = [site.site for site in self.sites]
        if not names or len(set(names)) != len(names):
            raise ValueError(f"sites should be one or more different names, got {names}")
        unknown = {name for entry in self.rounds for name in entry.sites} - set(names)
        if unknown:
            raise ValueError(f"rounds name sites that took no part: {sorted(unknown)}")
        return self

    def failures_in_rounds(self) -> Iterator[tuple[int, str, Failure]]:
        """Round number, site and failure, in order."""
        for entry in self.rounds:
            for name, site in entry.sites.items():
                if site.failure:
                    yield entry.round_number, name, site.failure


def save_results(results: StudyResults, path: Path) -> None:
    """Write `results` as indented JSON; a reader never sees half a file."""
    write_atomic(path, (results.model_dump_json(indent=2) + "\n").encode())


def load_results(path: Path) -> StudyResults:
    """Read what `save_results` wrote.

    Raises:
        ResultsUnreadable: no such file, not UTF-8, or not what this version defines.
    """
    try:
        return StudyResults.model_validate_json(path.read_bytes())
    except OSError as error:
        raise ResultsUnreadable(f"{path}: cannot be read ({type(error).__name__})") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise ResultsUnreadable(
            f"{path}: {where}: {first['msg']} ({error.error_count()} problems in all)",
            hint="was it written by another release?",
        ) from None

"""The two cohorts of a protocol: patients with labels, and scans without."""

from dataclasses import dataclass
from pathlib import Path

from fpe_core.errors import ConfigValueInvalid
from fpe_sim.cohorts.paper import PaperCohort
from fpe_sim.cohorts.ready import ReadyCohort, ready_cohort
from fpe_sim.run_context import RunContext
from fpe_sim.ucla_fpe.participants import Participants, participants
from fpe_sim.ucla_fpe.protocol import Modality, UclaFpe

LABELLED: dict[Modality, PaperCohort] = {"mr": "ucla-mr", "ct": "ucla-ct"}
UNLABELLED: dict[Modality, PaperCohort] = {"mr": "ucla-mr-unlabelled", "ct": "ucla-ct-unlabelled"}


@dataclass(frozen=True)
class Cohorts:
    """Preprocessed patients and scans.

    Attributes:
        labelled: the study's patients.
        unlabelled: for self-supervision.
        who: which of the patients take part, and where.
    """

    labelled: ReadyCohort
    unlabelled: ReadyCohort
    who: Participants


def ready_cohorts(protocol: UclaFpe, context: RunContext) -> Cohorts:
    """Make (phantoms only) and preprocess both.

    Raises:
        ConfigValueInvalid: one of them would be phantoms and the other patients.
        FpeError: a site's files are wrong, or too few patients are left.
    """
    if (protocol.site is None) != (protocol.unlabelled_site is None):
        raise ConfigValueInvalid(
            "site and unlabelled_site should both be given or both be left out, since phantoms and patients do not mix",
            hint="give the site file of the hospital's own scans without labels too",
        )
    labelled = _ready(LABELLED[protocol.modality], protocol.site, protocol, context)
    who = participants(labelled, protocol)
    return Cohorts(labelled, _ready(UNLABELLED[protocol.modality], protocol.unlabelled_site, protocol, context), who)


def _ready(name: PaperCohort, site_file: Path | None, protocol: UclaFpe, context: RunContext) -> ReadyCohort:
    return ready_cohort(
        name,
        protocol.recipe,
        context=context,
        seed=protocol.seed,
        scale=protocol.dials.scale,
        site_file=site_file,
    )

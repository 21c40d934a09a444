"""Which patients a phantom hospital gets: a cohort that cannot be split is drawn again.

A hospital that lacks patients of a class cannot take part in a study, phantom or not; of a dozen patients that happens
by chance to one hospital in twenty.
"""

from dataclasses import dataclass

from fpe_core.config.loader import load_site
from fpe_core.data.phantoms.generate import draw_cases
from fpe_core.data.phantoms.spec import PhantomSite
from fpe_core.data.splits import FEWEST_PER_CLASS
from fpe_core.errors import NotEnoughCases
from fpe_core.evaluation.cases import fewest_of_a_class
from fpe_sim.federated.hospitals import phantom_sites
from fpe_sim.federated.protocol import FederatedProtocol
from fpe_sim.hospital import cohort_seed

_MOST_DRAWS = 10
"""More would no longer be chance, but a prevalence that the hospital does not have."""


@dataclass(frozen=True)
class Draw:
    """A cohort with enough patients of both classes.

    Attributes:
        seed: to draw it from.
        number: how many cohorts were drawn, this one included.
    """

    seed: int
    number: int


def cohort_draws(protocol: FederatedProtocol) -> dict[tuple[int, str], Draw]:
    """The cohorts of all phantom hospitals, without pictures, by number of the seed and name; none for real ones.

    Raises:
        NotEnoughCases: a hospital has too few patients of a class however often it is drawn.
    """
    if protocol.hospitals.site_files:
        return {}
    specs = phantom_sites(protocol.hospitals, protocol.study.task, protocol.dials.scale)
    learning = [spec for spec in specs if spec.modality in protocol.group_modalities()]
    return {
        (number, spec.name): _draw(spec, study_seed=protocol.seed_of(number))
        for number in range(1, protocol.num_seeds + 1)
        for spec in learning
    }


def check_hospitals(protocol: FederatedProtocol) -> None:
    """Find out in seconds what would stop a run after hours.

    Raises:
        ConfigError: a real hospital's site file is wrong.
        NotEnoughCases: see `cohort_draws`.
    """
    for path in protocol.hospitals.site_files:
        load_site(path)
    cohort_draws(protocol)


def _draw(spec: PhantomSite, *, study_seed: int) -> Draw:
    for number in range(1, _MOST_DRAWS + 1):
        seed = cohort_seed(study_seed, spec.name, number)
        if fewest_of_a_class([case.label for case in draw_cases(spec, seed=seed)]) >= FEWEST_PER_CLASS:
            return Draw(seed, number)
    raise NotEnoughCases(
        f"{spec.name} should have at least {FEWEST_PER_CLASS} patients of each class, one for each split; none of "
        f"{_MOST_DRAWS} draws of its {spec.num_cases} patients has",
        hint="raise --scale or hospitals.cases_per_site, or lower hospitals.size_ratio or hospitals.log_odds_spread",
    )

"""The virtual hospitals of a comparison: how many cases, which scanner, which prevalence."""

from collections.abc import Iterator

from fpe_core.config.study import Task
from fpe_core.data.phantoms.demo_sites import demo_sites
from fpe_core.data.phantoms.spec import CaseMix, Modality, PhantomSite, Scanner
from fpe_sim.federated.protocol import MIN_CASES, Hospitals


def phantom_sites(hospitals: Hospitals, task: Task, scale: float) -> tuple[PhantomSite, ...]:
    """The phantom cohorts: one for each hospital and modality that it scans with.

    Args:
        hospitals: how they differ.
        task: whose labels are drawn.
        scale: share of `hospitals.cases_per_site`.
    """
    return tuple(_sites(hospitals, task, scale))


def _sites(hospitals: Hospitals, task: Task, scale: float) -> Iterator[PhantomSite]:
    for index, num_cases in enumerate(_sizes(hospitals, scale)):
        scans_with = hospitals.modalities[index % len(hospitals.modalities)]
        modalities: tuple[Modality, ...] = ("mr", "ct") if scans_with == "both" else (scans_with,)
        for modality in modalities:
            yield PhantomSite(
                name=f"site-{index + 1:02}-{modality}",
                num_cases=max(MIN_CASES, round(num_cases / len(modalities))),
                modality=modality,
                task=task,
                scanner=_scanner(hospitals, modality, index),
                case_mix=CaseMix(log_odds_shift=_shift(hospitals, index)),
            )


def _sizes(hospitals: Hospitals, scale: float) -> list[float]:
    """Cases of each hospital: a geometric sequence with the wanted mean."""
    number = hospitals.number
    shares = [hospitals.size_ratio ** (-index / (number - 1)) for index in range(number)]
    return [scale * hospitals.cases_per_site * number * share / sum(shares) for share in shares]


def _scanner(hospitals: Hospitals, modality: Modality, index: int) -> Scanner:
    if hospitals.scanners == "same":
        return Scanner()
    scanners = [site.scanner for site in demo_sites(MIN_CASES, modality)]
    return scanners[index % len(scanners)]


def _shift(hospitals: Hospitals, index: int) -> float:
    """From minus the spread at the first hospital to the spread at the last."""
    spread = hospitals.log_odds_spread
    return 2 * spread * index / (hospitals.number - 1) - spread

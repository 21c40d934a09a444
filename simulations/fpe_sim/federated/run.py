"""The multi-site comparison from its YAML to its results."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence

from fpe_client.egress import known_failures
from fpe_core.config.loader import load_site
from fpe_core.data.case_table import read_site_table
from fpe_core.errors import NotEnoughCases
from fpe_core.seeds import derive_seed
from fpe_sim.console import say
from fpe_sim.federated.cohorts import Group, Member, ready_groups
from fpe_sim.federated.comparison import Comparison, compare
from fpe_sim.federated.draws import check_hospitals, cohort_draws
from fpe_sim.federated.figures import draw_figures
from fpe_sim.federated.findings import findings, screen
from fpe_sim.federated.protocol import FederatedProtocol
from fpe_sim.federated.scores import site_aucs
from fpe_sim.federated.studies import ArmStudy, planned_studies, run_studies
from fpe_sim.federated.tables import tables
from fpe_sim.federated.withheld import withheld
from fpe_sim.hospital import reachable_auc
from fpe_sim.protocol_results import CohortFacts, ProtocolResults
from fpe_sim.run_context import RunContext
from fpe_sim.run_facts import run_facts
from fpe_sim.stages import timed
from fpe_sim.virtual_site import session_of

_DEPARTURES = (
    "Neither paper has more than one site: there is no number of theirs to stand beside these.",
    "The lone models stay at their sites, as in a deployment; each site scores its own by the function that scores the "
    "other arms' models.",
)


def run(protocol: FederatedProtocol, context: RunContext) -> ProtocolResults:
    """Run the comparison, or go on where it stopped.

    Raises:
        ConfigError: a site file is wrong; told before anything is made.
        NotEnoughCases: a phantom hospital would lack cases of a class; told before anything is made, too.
        FpeError: a hospital's files are wrong, a study failed, or no held-out AUC came of any of them.
    """
    check_hospitals(protocol)
    with timed(context.folder, "cohorts"):
        groups = ready_groups(protocol, context)
    with timed(context.folder, "studies"):
        chains = planned_studies(protocol, groups, context)
        run_studies(chains, context)
    with timed(context.folder, "scores"):
        scores = site_aucs(chains)
    if not any(score.arm == "federated" and score.auc is not None for score in scores):
        raise NotEnoughCases(
            "no site has held-out cases of both classes", hint="raise hospitals.cases_per_site or study.split.test"
        )
    real = bool(protocol.hospitals.site_files)
    comparison = compare(scores, seed=derive_seed(protocol.seed, "bootstrap"), same_patients=real)
    reachable = None if real else _reachable(protocol, groups)
    studies = [study for chain in chains for study in chain]
    figures = draw_figures(comparison, studies, reachable, context.figures)
    cohorts = _cohorts(protocol, groups)
    say(screen(comparison, reachable))
    return ProtocolResults(
        **run_facts(protocol, context),
        title="What federation buys",
        sources=("AJNR 2024 (UCLA, first-pass effect): network, task and preprocessing; one site",),
        synthetic=any(cohort.synthetic for cohort in cohorts),
        cohorts=cohorts,
        findings=findings(comparison, reachable),
        numbers=_numbers(protocol, comparison, reachable, cohorts, studies),
        tables=tables(comparison),
        figures=figures,
        discrepancies=(*_DEPARTURES, *_redrawn(protocol), *withheld(scores, [study.results for study in studies])),
    )


def _redrawn(protocol: FederatedProtocol) -> Iterator[str]:
    drawn = cohort_draws(protocol).values()
    if again := sum(one.number > 1 for one in drawn):
        yield (
            f"{again} of {len(drawn)} phantom cohorts were drawn again, because the first draw had too few patients of "
            "a class to be split: a hospital like that cannot take part."
        )


def _reachable(protocol: FederatedProtocol, groups: Sequence[Group]) -> float:
    folders = [member.site_file.parent for group in groups for member in group.members]
    return reachable_auc(folders, seen="both" if protocol.study.model.clinical else "images")


def _numbers(
    protocol: FederatedProtocol,
    comparison: Comparison,
    reachable: float | None,
    cohorts: Sequence[CohortFacts],
    studies: Sequence[ArmStudy],
) -> dict[str, float]:
    found = {
        "num_seeds": float(protocol.num_seeds),
        "num_sites": float(len(cohorts)),
        "num_cases": float(sum(cohort.num_included for cohort in cohorts)),
        "num_studies": float(len(studies)),
        "num_pairs_of_site_and_seed": float(comparison.num_units),
    }
    for arm, over in comparison.arms.items():
        found[f"auc_{arm}"] = over.mean
    if "leave-one-out" in comparison.left_out:
        found["auc_leave_one_out"] = comparison.left_out["leave-one-out"].mean
    for name, over in comparison.differences.items():
        found[f"difference_{name.replace('-', '_')}"] = over.mean
    if comparison.left_out_difference is not None:
        found["difference_leave_one_out_local"] = comparison.left_out_difference.mean
    if comparison.share is not None and comparison.share.value is not None:
        found["share_recovered"] = comparison.share.value
    return found | ({} if reachable is None else {"reachable_auc": reachable})


def _cohorts(protocol: FederatedProtocol, groups: Sequence[Group]) -> tuple[CohortFacts, ...]:
    """One entry for each site, its cohorts of all seeds together; real ones count once."""
    counted = groups[:1] if protocol.hospitals.site_files else groups
    by_site: dict[str, list[tuple[Group, Member]]] = {}
    for group in counted:
        for member in group.members:
            by_site.setdefault(member.site, []).append((group, member))
    return tuple(_facts(protocol, site, places) for site, places in by_site.items())


def _facts(protocol: FederatedProtocol, site: str, places: Sequence[tuple[Group, Member]]) -> CohortFacts:
    eligible, included, positive, excluded = 0, 0, 0, Counter[str]()
    synthetic = False
    for group, member in places:
        plan = protocol.plan(group.modality, group.seed_number, arm="federated", num_sites=len(group.members))
        cases = session_of(member.site_file).cases(plan)
        splits = (cases.splits.train, cases.splits.validation, cases.splits.test)
        eligible += read_site_table(load_site(member.site_file).data).num_rows
        included += sum(len(split) for split in splits)
        positive += sum(split.num_positive for split in splits)
        excluded.update(cases.quarantined)
        synthetic = synthetic or cases.synthetic
    sentence_of = known_failures()
    return CohortFacts(
        name=f"{site}, {len(places)} seeds" if len(places) > 1 else site,
        synthetic=synthetic,
        num_eligible=eligible,
        num_included=included,
        num_positive=positive,
        excluded={f"{code}: {sentence_of[code].rstrip('.')}": count for code, count in excluded.items()},
        reachable_auc={} if protocol.hospitals.site_files else _truth(places[0][1]),
    )


def _truth(member: Member) -> dict[str, float]:
    stated = json.loads((member.site_file.parent / "data" / "truth.json").read_text())["reachable_auc"]
    return {name: float(stated[name]) for name in ("images", "table", "both")}

"""The studies of every arm, on Flower's simulation engine, in one start of Ray; what is finished is not run again."""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread

from fpe_core.config.study import StudyPlan
from fpe_core.evaluation.results import StudyResults, load_results
from fpe_server.study_state import read_state
from fpe_sim.console import stage
from fpe_sim.federated.cohorts import Group, Member
from fpe_sim.federated.pooled import make_pooled_site
from fpe_sim.federated.protocol import Arm, FederatedProtocol
from fpe_sim.run_context import RunContext
from fpe_sim.runner import RayStudy, studies_on_ray
from fpe_sim.virtual_site import session_of

_POLL_S = 0.5


@dataclass(frozen=True)
class ArmStudy:
    """A study of one arm in one group.

    Attributes:
        group: seed, modality and hospitals.
        arm: federated, pooled or leave-one-out; the lone trainings are part of the federated study.
        left_out: the hospital that takes no part; of leave-one-out only.
        study: plan, sites and folder.
    """

    group: Group
    arm: Arm
    left_out: Member | None
    study: RayStudy

    @property
    def results(self) -> StudyResults:
        """What the study found.

        Raises:
            ResultsUnreadable: it is not finished, or its file is damaged.
        """
        return load_results(self.study.run_folder / "results.json")

    @property
    def finished(self) -> bool:
        """Whether it has been run to its end."""
        return (self.study.run_folder / "results.json").is_file()


def planned_studies(
    protocol: FederatedProtocol, groups: Sequence[Group], context: RunContext
) -> tuple[tuple[ArmStudy, ...], ...]:
    """The studies, as chains of those that share a hospital. Pooled hospitals are written on the way."""
    chains = []
    for group in groups:
        chains.append((_federated(protocol, group, context), *_left_out(protocol, group, context)))
        if "pooled" in protocol.arms:
            chains.append((_pooled(protocol, group, context),))
    return tuple(chains)


def run_studies(chains: Sequence[Sequence[ArmStudy]], context: RunContext) -> None:
    """Run the studies that are not finished; one that was interrupted goes on from its last round.

    Raises:
        FpeError: a study failed; those that were finished are kept.
    """
    waiting = [[arm.study for arm in chain if not arm.finished] for chain in chains]
    waiting = [chain for chain in waiting if chain]
    if not waiting:
        return
    for study in (study for chain in waiting for study in chain):
        study.run_folder.mkdir(parents=True, exist_ok=True)
    with _rounds_shown([study for chain in waiting for study in chain]):
        studies_on_ray(
            waiting,
            num_cpus=context.jobs,
            gpus_per_site=context.gpus_per_training,
            home=context.folder.resolve() / "flwr",
            ray_address=context.ray_address,
        )


def left_out_members(protocol: FederatedProtocol, group: Group) -> tuple[Member, ...]:
    """The hospitals that are left out in this seed, one at a time; over the seeds all have their turn."""
    if "leave-one-out" not in protocol.arms:
        return ()
    number, first = len(group.members), (group.seed_number - 1) * protocol.left_out
    return tuple(group.members[(first + turn) % number] for turn in range(min(protocol.left_out, number)))


def _federated(protocol: FederatedProtocol, group: Group, context: RunContext) -> ArmStudy:
    plan = protocol.plan(group.modality, group.seed_number, arm="federated", num_sites=len(group.members))
    return ArmStudy(group, "federated", None, _study(plan, group.members, group, context))


def _left_out(protocol: FederatedProtocol, group: Group, context: RunContext) -> Iterator[ArmStudy]:
    for left_out in left_out_members(protocol, group):
        others = tuple(member for member in group.members if member != left_out)
        arm = f"without-{group.members.index(left_out) + 1}"
        plan = protocol.plan(group.modality, group.seed_number, arm=arm, num_sites=len(others))
        yield ArmStudy(group, "leave-one-out", left_out, _study(plan, others, group, context))


def _pooled(protocol: FederatedProtocol, group: Group, context: RunContext) -> ArmStudy:
    plan = protocol.plan(group.modality, group.seed_number, arm="pooled", num_sites=1)
    sessions = [session_of(member.site_file) for member in group.members]
    folder = context.cohorts.resolve() / f"pooled-{group.name}"
    site_file = make_pooled_site(folder, sessions, plan, device=context.device)
    # What the pooled hospital has follows from the members; its own files are only a view of theirs.
    run_folder = _run_folder(plan, group.members, group, context)
    return ArmStudy(group, "pooled", None, RayStudy(plan, (site_file,), run_folder))


def _study(plan: StudyPlan, members: Sequence[Member], group: Group, context: RunContext) -> RayStudy:
    return RayStudy(plan, tuple(member.site_file for member in members), _run_folder(plan, members, group, context))


def _run_folder(plan: StudyPlan, members: Sequence[Member], group: Group, context: RunContext) -> Path:
    """A folder for this very study among these very cases: with anything else it is another one."""
    facts = " ".join([plan.fingerprint(), *(member.digest for member in members)])
    arm = plan.name.partition(f"-seed-{group.seed_number}-")[2]
    return context.trainings.resolve() / f"{group.name}-{arm}-{hashlib.sha256(facts.encode()).hexdigest()[:12]}"


@contextmanager
def _rounds_shown(studies: Sequence[RayStudy]) -> Iterator[None]:
    """A bar of the rounds done in all studies, until the block ends."""
    over = Event()
    total = sum(study.plan.federation.rounds for study in studies)

    with stage("rounds of all studies") as progress:

        def watch() -> None:
            while not over.wait(_POLL_S):
                progress(sum(_rounds_done(study) for study in studies), total)

        watcher = Thread(target=watch, daemon=True)
        watcher.start()
        try:
            yield
            progress(total, total)
        finally:
            over.set()
            watcher.join()


def _rounds_done(study: RayStudy) -> int:
    state = read_state(study.run_folder)
    return study.plan.federation.rounds if state.status == "finished" else state.round

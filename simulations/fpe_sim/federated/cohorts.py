"""The hospitals of every seed, ready to learn: phantoms made and preprocessed once, and shared by all arms."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from rich.console import Console

from fpe_client.paths import SitePaths
from fpe_client.preparation import prepare
from fpe_core.config.loader import load_site
from fpe_core.data.phantoms.spec import Modality, PhantomSite
from fpe_core.preprocessing.manifest import load_manifest
from fpe_sim.console import stage
from fpe_sim.federated.draws import Draw, cohort_draws
from fpe_sim.federated.hospitals import phantom_sites
from fpe_sim.federated.protocol import FederatedProtocol
from fpe_sim.hospital import make_hospital
from fpe_sim.ray_tasks import run_tasks
from fpe_sim.run_context import RunContext

_NO_SERVER = "localhost:1"
"""Virtual sites have no server to connect to; their site file needs an address all the same."""


@dataclass(frozen=True)
class Member:
    """A hospital that takes part.

    Attributes:
        site_file: absolute.
        recipe: that its cases are preprocessed with.
    """

    site_file: Path
    recipe: str

    @cached_property
    def site(self) -> str:
        """Its name."""
        return load_site(self.site_file).site

    @cached_property
    def digest(self) -> str:
        """sha256 over all that decides what can be learned from it: its table and the images behind its cases."""
        config = load_site(self.site_file)
        cases = load_manifest(SitePaths(config.state_dir).preprocessed(self.recipe)).cases
        images = {case_id: [entry.recipe_fingerprint, entry.inputs] for case_id, entry in sorted(cases.items())}
        table = hashlib.sha256(config.data.cases.read_bytes()).hexdigest()
        return hashlib.sha256(json.dumps([config.site, table, images]).encode()).hexdigest()


@dataclass(frozen=True)
class Group:
    """Hospitals that learn together: one seed, one modality.

    Attributes:
        seed_number: from 1.
        modality: of their images.
        members: two hospitals or more.
    """

    seed_number: int
    modality: Modality
    members: tuple[Member, ...]

    @property
    def name(self) -> str:
        """For folders."""
        return f"seed-{self.seed_number}-{self.modality}"


def ready_groups(protocol: FederatedProtocol, context: RunContext) -> tuple[Group, ...]:
    """Make and preprocess what is not there yet, side by side on Ray, one hospital to a CPU.

    Raises:
        FpeError: a site's files are wrong, or none of its cases could be preprocessed.
    """
    groups = _groups(protocol, context)
    draws = cohort_draws(protocol)
    tasks = [task for group in groups for task in _tasks(protocol, context, group, draws)]
    with stage("hospitals made and preprocessed") as progress:
        run_tasks(_make_ready, tasks, context=context, progress=progress)
    return groups


def _groups(protocol: FederatedProtocol, context: RunContext) -> tuple[Group, ...]:
    return tuple(
        Group(
            seed_number,
            modality,
            tuple(Member(file, recipe) for file in _files(protocol, context, seed_number, modality)),
        )
        for seed_number in range(1, protocol.num_seeds + 1)
        for modality in protocol.group_modalities()
        for recipe in [protocol.plan(modality, seed_number, arm="federated", num_sites=2).recipe]
    )


def _files(protocol: FederatedProtocol, context: RunContext, seed_number: int, modality: Modality) -> list[Path]:
    if protocol.hospitals.site_files:
        return [path.resolve() for path in protocol.hospitals.site_files]
    folder = context.cohorts.resolve() / f"seed-{seed_number}"
    return [folder / spec.name / "site.yaml" for spec in _specs(protocol) if spec.modality == modality]


def _specs(protocol: FederatedProtocol) -> tuple[PhantomSite, ...]:
    return phantom_sites(protocol.hospitals, protocol.study.task, protocol.dials.scale)


def _tasks(
    protocol: FederatedProtocol, context: RunContext, group: Group, draws: Mapping[tuple[int, str], Draw]
) -> list[tuple[Path, str, PhantomSite | None, int, str]]:
    """Arguments of `_make_ready`. Real hospitals are the same in each seed."""
    specs = {spec.name: spec for spec in _specs(protocol)}
    if protocol.hospitals.site_files:
        first = group.seed_number == 1
        return [(member.site_file, member.recipe, None, 0, context.device) for member in group.members if first]
    return [
        (member.site_file, member.recipe, specs[name], draws[group.seed_number, name].seed, context.device)
        for member in group.members
        for name in [member.site_file.parent.name]
    ]


def _make_ready(site_file: Path, recipe: str, spec: PhantomSite | None, seed: int, device: str) -> None:
    """One hospital; what is there already is kept."""
    if spec is not None:
        make_hospital(
            site_file.parent, spec, seed=seed, recipe=recipe, server=_NO_SERVER, jobs=1, threads=1, device=device
        )
    prepare(site_file, recipe_name=recipe, jobs=1, console=Console(quiet=True))

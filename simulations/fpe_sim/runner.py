"""Runs a scenario as one process tree: phantom hospitals, their preprocessing, and the study on Ray."""

from collections.abc import Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path

from flwr.serverapp import Grid

from fpe_client.console import words
from fpe_client.preparation import prepare
from fpe_core.config.loader import load_site
from fpe_core.config.study import StudyPlan
from fpe_core.errors import ConfigValueInvalid
from fpe_core.evaluation.results import StudyResults
from fpe_core.files import write_atomic
from fpe_server.exchange import GridExchange
from fpe_server.store import RunFolder
from fpe_server.study import run_study
from fpe_sim.console import say, stage, watched
from fpe_sim.flower import numbers_of_nodes, simulate
from fpe_sim.hospital import cohort_seed, make_hospital
from fpe_sim.publish import publish
from fpe_sim.run_context import default_jobs as default_jobs
from fpe_sim.scenario import Scenario
from fpe_sim.virtual_site import make_client_app

_NO_SERVER = "localhost:1"
"""Virtual sites have no server to connect to; their site file needs an address all the same."""


def run_scenario(scenario: Scenario, out: Path, *, jobs: int, gpus_per_site: float = 0.0) -> StudyResults:
    """Run `scenario`; what is in `out` already is kept, and an interrupted study goes on from its last round.

    Args:
        scenario: cohort and study.
        out: gets hospitals/, run/ and what `publish` writes.
        jobs: processes for phantoms, preprocessing and virtual sites.
        gpus_per_site: share of a GPU for each virtual site at work.

    Raises:
        ConfigValueInvalid: `out` holds another study.
        FpeError: the study failed.
    """
    run_folder = claim_folder(out, scenario.study)
    site_files = make_hospitals(scenario, out, server=_NO_SERVER, jobs=jobs)
    for site_file in site_files:
        prepare_hospital(site_file, jobs)
    study_on_ray(scenario.study, tuple(site_files), run_folder, num_cpus=jobs, gpus_per_site=gpus_per_site)
    return publish(run_folder, [file.parent for file in site_files], out)


def claim_folder(out: Path, plan: StudyPlan) -> Path:
    """Make `out/run`, or find it again for the same plan."""
    run_folder = out / "run"
    run_folder.mkdir(parents=True, exist_ok=True)
    written = run_folder / "plan.json"
    content = plan.model_dump_json(indent=1).encode()
    if written.exists() and written.read_bytes() != content:
        raise ConfigValueInvalid(f"{out} holds another study", hint="give another --out, or delete that folder")
    write_atomic(written, content)
    return run_folder


def make_hospitals(scenario: Scenario, out: Path, *, server: str, jobs: int) -> list[Path]:
    """Make the scenario's hospitals under `out/hospitals`; returns their site files."""
    site_files = []
    for spec in scenario.cohort.hospitals():
        with stage(f"phantoms at {spec.name}") as progress:
            site_files.append(
                make_hospital(
                    out / "hospitals" / spec.name,
                    spec,
                    seed=cohort_seed(scenario.study.seed, spec.name),
                    recipe=scenario.study.recipe,
                    server=server,
                    jobs=jobs,
                    # Hospitals on one machine share its CPUs; threads that wait for each other's would double the time.
                    threads=max(1, jobs // scenario.cohort.sites),
                    progress=progress,
                )
            )
    return site_files


def prepare_hospital(site_file: Path, jobs: int) -> None:
    """Preprocess one hospital's cases, as `fpe-client preprocess` does."""
    say(f"preprocessing at {site_file.parent.name}")
    prepare(site_file, recipe_name=None, jobs=jobs, console=words())


@dataclass(frozen=True)
class RayStudy:
    """One study of a simulation.

    Attributes:
        plan: what to do.
        site_files: the sites that take part, each a virtual site; absolute, so that Ray's workers find them.
        run_folder: of this study; it exists.
    """

    plan: StudyPlan
    site_files: tuple[Path, ...]
    run_folder: Path


def study_on_ray(
    plan: StudyPlan, site_files: tuple[Path, ...], run_folder: Path, *, num_cpus: int, gpus_per_site: float
) -> None:
    """Run `plan` among the sites in `site_files`, each a virtual site on Ray.

    Raises:
        FpeError: the study failed.
    """
    study = RayStudy(plan, tuple(path.resolve() for path in site_files), run_folder)
    with watched(run_folder):
        studies_on_ray([[study]], num_cpus=num_cpus, gpus_per_site=gpus_per_site, home=run_folder / "flwr")


def studies_on_ray(
    chains: Sequence[Sequence[RayStudy]],
    *,
    num_cpus: int,
    gpus_per_site: float,
    home: Path,
    ray_address: str | None = None,
) -> None:
    """Run many studies in one simulation: Ray and its workers are started once for all of them.

    A site works for one study at a time, as a deployed one does, so studies that share a site belong in one chain.

    Args:
        chains: the studies of a chain run one after the other; up to `num_cpus` chains run side by side.
        num_cpus: CPUs that Ray may use; each site at work takes one.
        gpus_per_site: share of a GPU that each site at work takes.
        home: Flower's home folder.
        ray_address: a Ray cluster to use instead of starting one here.

    Raises:
        FpeError: a study failed. Those that were under way beside it are finished first.
    """
    site_files = tuple(dict.fromkeys(path for chain in chains for study in chain for path in study.site_files))

    def main(grid: Grid) -> None:
        node_of = {site_files[number]: node for node, number in numbers_of_nodes(grid, len(site_files)).items()}

        def run(chain: Sequence[RayStudy]) -> None:
            for study in chain:
                names = {node_of[path]: load_site(path).site for path in study.site_files}
                run_study(study.plan, GridExchange(grid, site_names=names), RunFolder(study.run_folder))

        with ThreadPoolExecutor(num_cpus) as threads:
            running = [threads.submit(run, chain) for chain in chains]
            wait(running, return_when=FIRST_EXCEPTION)
            threads.shutdown(cancel_futures=True)
        for finished in running:
            if not finished.cancelled():
                finished.result()

    simulate(
        make_client_app(site_files),
        main,
        num_sites=len(site_files),
        num_cpus=num_cpus,
        gpus_per_site=gpus_per_site,
        home=home,
        ray_address=ray_address,
    )

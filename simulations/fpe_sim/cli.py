"""`fpe-sim`: the papers' protocols and whole federations on one machine."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from fpe_client.console import told
from fpe_core import __version__
from fpe_core.errors import FpeError
from fpe_core.spoken import envelope

main = typer.Typer(
    name="fpe-sim",
    help="The papers' protocols and whole federations on one machine, with phantom patients or a site's own.\n\n"
    "First steps:  fpe-sim list  ·  fpe-sim show NAME  ·  fpe-sim run NAME --dry-run  ·  fpe-sim demo --out demo",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Out = Annotated[Path, typer.Option("--out", help="Folder for everything that is made; what is there is kept.")]
Jobs = Annotated[int | None, typer.Option("--jobs", min=1, help="Processes side by side; default is one per CPU.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON envelope on stdout, words on stderr.")]


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"fpe-sim {__version__}")
        raise typer.Exit


@main.callback()
def _options(
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    pass


@main.command("list")
def list_all(as_json: Json = False) -> None:
    """Show the protocols and scenarios that come with the software.

    Example:  fpe-sim list
    """
    from fpe_sim.protocol import head_of, protocol_file, protocol_names
    from fpe_sim.scenario import load_scenario, scenario_names

    with told(as_json=as_json) as data:
        data["protocols"] = protocols = {name: head_of(protocol_file(name))[1] for name in protocol_names()}
        data["scenarios"] = scenarios = {name: load_scenario(name).summary for name in scenario_names()}
        if not as_json:
            width = max(map(len, (*protocols, *scenarios)), default=0)
            for name, summary in {**protocols, **scenarios}.items():
                typer.echo(f"{name:<{width}}  {summary}")


@main.command()
def show(
    name: Annotated[str, typer.Argument(help="A protocol's or scenario's name, or a file of your own.")],
    as_json: Json = False,
) -> None:
    """Print a protocol or scenario as YAML with every key, to find those for --set or to start a file of your own.

    Example:  fpe-sim show federated-mr-small > mine.yaml
    """
    from fpe_sim.named import find_settings
    from fpe_sim.settings_text import settings_text

    with told(as_json=as_json) as data:
        found = find_settings(name)
        data.update(found.model_dump(mode="json"))
        if not as_json:
            typer.echo(settings_text(found), nl=False)


@main.command()
def run(
    name: Annotated[str | None, typer.Argument(help="A protocol's or scenario's name, or a file of your own.")] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder for everything that is made; what is there is kept.")
    ] = None,
    scale: Annotated[
        float | None, typer.Option("--scale", min=0, max=1, help="Cohort sizes as a share of the paper's.")
    ] = None,
    images: Annotated[
        Literal["small", "full"] | None,
        typer.Option("--images", help="Coarse grid and narrow network, or the paper's."),
    ] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Another value for a key of fpe-sim show.")
    ] = None,
    jobs: Jobs = None,
    device: Annotated[Literal["auto", "cpu", "cuda"], typer.Option("--device", help="Of the trainings.")] = "auto",
    gpus_per_training: Annotated[
        float, typer.Option("--gpus-per-training", min=0, help="Share of a GPU for each training; 0 on a CPU.")
    ] = 0.0,
    ray: Annotated[
        str | None, typer.Option("--ray", metavar="HOST:PORT", help="A Ray cluster to use; default starts one here.")
    ] = None,
    gpus_per_site: Annotated[
        float, typer.Option("--gpus-per-site", min=0, help="Scenarios: share of a GPU for each virtual site at work.")
    ] = 0.0,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be made and about how long it takes; write nothing.")
    ] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the protocol and settings that are in --out.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Run a protocol or a scenario. The same command on the same folder goes on where it stopped.

    Example:  fpe-sim run federated-mr-small --out runs/first
    """
    from fpe_sim.commands import Asked, run_asked

    asked = Asked(
        name=name,
        out=out,
        scale=scale,
        images=images,
        settings=tuple(settings or ()),
        jobs=jobs,
        device=device,
        gpus_per_training=gpus_per_training,
        ray_address=ray,
        gpus_per_site=gpus_per_site,
        dry_run=dry_run,
        resume=resume,
    )
    with told(as_json=as_json) as data:
        data.update(run_asked(asked))


@main.command("reproduce-check")
def reproduce_check(
    names: Annotated[list[str] | None, typer.Argument(help="Protocols or files; default is every protocol.")] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder for the runs, one in it for each; default keeps none.")
    ] = None,
    jobs: Jobs = None,
    as_json: Json = False,
) -> None:
    """Run each protocol in a minute or two, as its section `check` says, and hold its numbers against their bands.

    Ends with 1 where a number is outside of its band or a run failed.

    Example:  fpe-sim reproduce-check --jobs 2
    """
    from fpe_sim.console import interruptible
    from fpe_sim.reproduce_check import check_protocols, check_table
    from fpe_sim.run_context import default_jobs

    with interruptible():
        try:
            outcome = check_protocols(names or None, out, jobs=jobs or default_jobs())
        except FpeError:
            with told(as_json=as_json):
                raise
    if as_json:
        typer.echo(envelope(outcome.as_data(), exit_code=outcome.exit_code))
    else:
        typer.echo(check_table(outcome))
    raise typer.Exit(outcome.exit_code)


@main.command()
def demo(
    out: Out = Path("demo"),
    scenario: Annotated[str, typer.Option(help="A scenario's name, or a file of your own.")] = "federated-mr-small",
    jobs: Jobs = None,
    as_json: Json = False,
) -> None:
    """Run a scenario as a deployment on this machine: real server and clients, TLS, keys. Goes on where it stopped.

    Example:  fpe-sim demo --out demo
    """
    from fpe_sim.console import interruptible, say
    from fpe_sim.deployment import deploy_scenario
    from fpe_sim.publish import headline
    from fpe_sim.runner import default_jobs
    from fpe_sim.scenario import load_scenario

    with interruptible(), told(as_json=as_json) as data:
        results = deploy_scenario(load_scenario(scenario), out, jobs=jobs or default_jobs())
        say(headline(results, out))
        data.update(out=out, results=out / "results.json", report=out / "report.html")

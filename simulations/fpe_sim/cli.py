"""`fpe-sim`: whole federations on one machine."""

from pathlib import Path
from typing import Annotated

import typer

from fpe_client.console import told
from fpe_core import __version__
from fpe_core.spoken import envelope

main = typer.Typer(
    name="fpe-sim",
    help="Whole federations on one machine, with phantom patients.\n\n"
    "First steps:  fpe-sim list  ·  fpe-sim run federated-mr-small --out runs/first  ·  fpe-sim demo --out demo",
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
def list_scenarios(as_json: Json = False) -> None:
    """Show the scenarios that come with the software.

    Example:  fpe-sim list
    """
    from fpe_sim.scenario import load_scenario, scenario_names

    summaries = {name: load_scenario(name).summary for name in scenario_names()}
    if as_json:
        typer.echo(envelope({"scenarios": summaries}))
        return
    width = max(map(len, summaries), default=0)
    for name, summary in summaries.items():
        typer.echo(f"{name:<{width}}  {summary}")


@main.command()
def run(
    scenario: Annotated[str, typer.Argument(help="A scenario's name, or a file of your own.")],
    out: Out,
    jobs: Jobs = None,
    gpus_per_site: Annotated[
        float, typer.Option("--gpus-per-site", min=0, help="Share of a GPU for each virtual site at work.")
    ] = 0.0,
    as_json: Json = False,
) -> None:
    """Run a scenario as a simulation: virtual sites on Ray, the deployment's own code. Goes on where it stopped.

    Example:  fpe-sim run federated-mr-small --out runs/first
    """
    from fpe_sim.console import interruptible, say
    from fpe_sim.publish import headline
    from fpe_sim.runner import default_jobs, run_scenario
    from fpe_sim.scenario import load_scenario

    with interruptible(), told(as_json=as_json) as data:
        results = run_scenario(load_scenario(scenario), out, jobs=jobs or default_jobs(), gpus_per_site=gpus_per_site)
        say(headline(results, out))
        data.update(out=out, results=out / "results.json", report=out / "report.html")


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

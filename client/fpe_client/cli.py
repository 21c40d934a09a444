"""The hospital's program: `fpe-client`."""

import os
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from fpe_client.console import told, words
from fpe_client.flow import flow
from fpe_client.imports import importing
from fpe_client.quality_control import quality_control
from fpe_client.table_check import table
from fpe_core import __version__
from fpe_core.spoken import envelope

HELP = """Takes a hospital's scans into federated studies. The scans stay; counted results and weights travel.

Without a command it joins the federation and stays; Ctrl-C leaves.

\b
First steps of a new site:
  fpe-client keygen /etc/fpe/site.key        send site.key.pub to the coordinator
  fpe-client import dicom EXPORT --out OUT   a PACS export to images and a case table
  fpe-client table --site mr-site.yaml       what is wrong with the case table, line by line
  fpe-client check --site mr-site.yaml       says what is still missing
  fpe-client preprocess --site mr-site.yaml  once, and again when cases are added
  fpe-client flow --site mr-site.yaml --task fpe   who takes part
  fpe-client --site mr-site.yaml             joins and stays
"""

EXIT_CODES = """
Exit codes: 0 done · 1 unexpected · 2 wrong usage · 3 configuration · 4 the site's data · 5 model or training ·
7 federation (also: another client runs on this folder) · 10 server cannot be reached · 11 certificate of another
authority · 12 certificate expired · 13 certificate for another name · 14 key not admitted · 15 clock skewed ·
16 foreign app bundle
"""

main = typer.Typer(
    name="fpe-client",
    help=HELP,
    epilog=EXIT_CODES,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
)

Sequence = Enum("Sequence", {"ncct": "ncct", "cta": "cta", "dwi": "dwi", "b0": "b0", "flair": "flair", "adc": "adc"})

SiteOption = Annotated[Path, typer.Option("--site", help="The site's configuration file.", show_default=False)]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON document on stdout, words on stderr.")]


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"fpe-client {__version__}")
        raise typer.Exit


@main.callback(invoke_without_command=True)
def join(
    context: typer.Context,
    site: Annotated[Path | None, typer.Option("--site", help="The site's configuration file.")] = None,
    as_json: JsonOption = False,
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and leave.")
    ] = False,
) -> None:
    if context.invoked_subcommand is not None:
        return
    if site is None:
        typer.echo(context.get_help())
        raise typer.Exit(2)
    _join(site, as_json)


def _join(site: Path, as_json: bool) -> None:
    from fpe_client.environment import flower_environment
    from fpe_client.paths import SitePaths
    from fpe_client.supervisor import Supervisor
    from fpe_client.view import View
    from fpe_core.config.loader import load_site

    with told(as_json=as_json) as data:
        config = load_site(site)
        os.environ.update(flower_environment(SitePaths(config.state_dir).flower_home, site))
        Supervisor(config, site.resolve(), View(words())).run()
        data.update(site=config.site, stopped=True)


@main.command()
def keygen(
    path: Annotated[Path, typer.Argument(help="Where the private key goes; the public one gets .pub.")] = Path(
        "site.key"
    ),
    as_json: JsonOption = False,
) -> None:
    """Make the site's key pair: ECDSA P-384, the private half readable by this user only.

    Example: fpe-client keygen /etc/fpe/site.key
    """
    from fpe_client.keys import generate_key

    with told(as_json=as_json) as data:
        pair = generate_key(path)
        data.update(private_key=pair.private, public_key_file=pair.public, public_key=pair.public_line)
        if not as_json:
            typer.echo(pair.public_line)
        say = words()
        say.print(f"The private key is {pair.private}. It never leaves this machine.", soft_wrap=True)
        say.print(f"Send {pair.public} to the coordinator, who admits it under your site's name.", soft_wrap=True)


@main.command()
def check(site: SiteOption, as_json: JsonOption = False) -> None:
    """Look at everything the site needs and say what to do about what is missing.

    Example: fpe-client check --site mr-site.yaml
    """
    from dataclasses import asdict

    from fpe_client.checks import check_site

    findings = []
    console = words()
    for finding in check_site(site):
        findings.append(finding)
        line = f"{finding.verdict:<4}  {finding.what}: {finding.detail}"
        console.print(line, markup=False, highlight=False, soft_wrap=True)
        if finding.hint:
            console.print(f"      hint: {finding.hint}", markup=False, highlight=False, soft_wrap=True)
    code = next((finding.exit_code for finding in findings if finding.verdict == "fail"), 0)
    if as_json:
        typer.echo(envelope({"findings": [asdict(finding) for finding in findings]}, exit_code=code))
    raise typer.Exit(code)


@main.command()
def preprocess(
    site: SiteOption,
    recipe: Annotated[
        str | None, typer.Option(help="Recipe; default is preprocessing.recipe of the site file.")
    ] = None,
    jobs: Annotated[int | None, typer.Option(min=1, help="Cases side by side; default is preprocessing.jobs.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Work on so many cases at most.")] = None,
    only: Annotated[list[str] | None, typer.Option(metavar="CASE", help="Work on this case; may be repeated.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Bring every case of the site's table into the form that the networks take.

    A case that cannot be used is set aside with a reason and the others go on. What was done before is not done again.
    At the end a page with a picture of every case is written, for a person to look at.

    Example: fpe-client preprocess --site mr-site.yaml --recipe mnt-dl-mr --jobs 4
    """
    from fpe_client.preparation import prepare

    with told(as_json=as_json) as data:
        data.update(prepare(site, recipe_name=recipe, jobs=jobs, limit=limit, only=only or (), console=words()))


@main.command()
def forget(
    site: SiteOption,
    recipe: Annotated[
        str | None, typer.Option(help="Recipe; default is preprocessing.recipe of the site file.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Delete what was preprocessed from cases that are no longer in the table, as when a patient withdraws.

    Take the case out of the table and preprocess first; then this deletes its volumes, pictures, logs and decisions.
    Scans, imports and saved splits are the site's own to delete.

    Example: fpe-client forget --site mr-site.yaml
    """
    from fpe_client.paths import SitePaths
    from fpe_core.config.loader import load_site
    from fpe_core.config.recipe import recipe_named
    from fpe_core.preprocessing.forget import forget_others
    from fpe_core.preprocessing.review_page import write_review_page

    with told(as_json=as_json) as data:
        config = load_site(site)
        chosen = recipe_named(recipe or config.preprocessing.recipe)
        folder = SitePaths(config.state_dir).preprocessed(chosen.name)
        deleted = forget_others(folder)
        write_review_page(folder, chosen, site)
        words().print(f"{deleted} files deleted in {folder}", highlight=False, soft_wrap=True)
        data.update(folder=folder, deleted=deleted)


@main.command("brain-mask")
def brain_mask(
    scan: Annotated[Path, typer.Argument(help="A scan as NIfTI.", show_default=False)],
    sequence: Annotated[Sequence, typer.Option(help="What the scan is.", show_default=False)],
    out: Annotated[Path, typer.Option(help="Where the mask goes.")] = Path("brain-mask.nii.gz"),
    recipe: Annotated[str | None, typer.Option(help="Default: mnt-dl-ct or mnt-dl-mr.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Write the brain mask of one scan on the scan's own voxels.

    Example: fpe-client brain-mask head.nii.gz --sequence ncct --out mask.nii.gz
    """
    from fpe_client.brain_mask import write_brain_mask

    with told(as_json=as_json) as data:
        data.update(write_brain_mask(scan, sequence.value, recipe, out))
        words().print(f"{data['volume_ml']} ml in {out}", highlight=False, soft_wrap=True)


@main.command()
def conformance(
    recipe: Annotated[
        list[str] | None, typer.Option(help="Recipe to try; may be repeated. Default: mnt-dl-mr and mnt-dl-ct.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Preprocess a phantom case and compare with recorded numbers: do two hospitals' installations agree?

    Needs no site file and no patient. Takes about a minute.

    Example: fpe-client conformance --recipe mnt-dl-mr
    """
    from fpe_client.conformance import check_conformance

    with told(as_json=as_json) as data:
        data.update(check_conformance(recipe or ["mnt-dl-mr", "mnt-dl-ct"], console=words()))


@main.command()
def status(site: SiteOption, as_json: JsonOption = False) -> None:
    """Say what the running client does.

    Example: fpe-client status --site mr-site.yaml --json
    """
    from fpe_client.status import describe, read_status

    with told(as_json=as_json) as data:
        found = read_status(site)
        data.update(found)
        if not as_json:
            typer.echo(describe(found))


main.command()(table)
main.command()(flow)
main.add_typer(importing, name="import")
main.add_typer(quality_control, name="qc")

if __name__ == "__main__":
    main()

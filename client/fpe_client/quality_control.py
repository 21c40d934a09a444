"""`fpe-client qc`: what the quality gate says about the site's cases, and what people decided after looking."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fpe_client.console import told, words

if TYPE_CHECKING:
    from fpe_core.config.recipe import PreprocessingRecipe
    from fpe_core.preprocessing.review_page import Case

quality_control = typer.Typer(
    help="Say which preprocessed cases may be used, and decide about those that a person has to look at.",
    no_args_is_help=True,
)

SiteOption = Annotated[Path, typer.Option("--site", help="The site's configuration file.", show_default=False)]
RecipeOption = Annotated[str | None, typer.Option(help="Recipe; default is preprocessing.recipe of the site file.")]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON document on stdout, words on stderr.")]
CasesArgument = Annotated[list[str], typer.Argument(help="Case ids.", show_default=False)]
ReasonOption = Annotated[str, typer.Option(help="Why, for the site's own record; it does not leave the site.")]


@quality_control.command("list")
def list_cases(
    site: SiteOption,
    recipe: RecipeOption = None,
    every: Annotated[bool, typer.Option("--all", help="Also the cases that pass.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Say what the gate found, the worst cases first.

    Example: fpe-client qc list --site mr-site.yaml
    """
    from fpe_core.preprocessing.review_page import GROUPS, review_cases

    with told(as_json=as_json) as data:
        folder, chosen = _cohort(site, recipe)
        order = list(GROUPS)
        cases = sorted(review_cases(folder, chosen), key=lambda case: (order.index(case.group), case.case_id))
        data.update(recipe=chosen.name, cases={case.case_id: _as_data(case) for case in cases})
        if as_json:
            return
        for case in cases:
            if every or case.group != "pass":
                reasons = ", ".join(f"{code} {sequences}".strip() for code, sequences, _, _ in case.reasons)
                typer.echo(f"{case.group:<8}  {case.case_id}  {reasons}".rstrip())
        counts = {group: sum(case.group == group for case in cases) for group in order}
        said = ", ".join(f"{count} {GROUPS[group][1].lower()}" for group, count in counts.items() if count)
        words().print(said or "no case is preprocessed with this recipe", highlight=False)


@quality_control.command()
def accept(
    cases: CasesArgument,
    site: SiteOption,
    recipe: RecipeOption = None,
    reason: ReasonOption = "",
    as_json: JsonOption = False,
) -> None:
    """Use these cases whatever the gate says: a person looked at their pictures.

    Example: fpe-client qc accept stroke-0007 --site mr-site.yaml
    """
    _decide(cases, site, recipe, accepted=True, reason=reason, as_json=as_json)


@quality_control.command()
def reject(
    cases: CasesArgument,
    site: SiteOption,
    recipe: RecipeOption = None,
    reason: ReasonOption = "",
    as_json: JsonOption = False,
) -> None:
    """Leave these cases out, also where the gate lets them pass.

    Example: fpe-client qc reject stroke-0007 --reason "metal beside the lesion" --site mr-site.yaml
    """
    _decide(cases, site, recipe, accepted=False, reason=reason, as_json=as_json)


@quality_control.command()
def page(site: SiteOption, recipe: RecipeOption = None, as_json: JsonOption = False) -> None:
    """Write the page with every case's picture and numbers anew, and print where it is.

    Example: fpe-client qc page --site mr-site.yaml
    """
    from fpe_core.preprocessing.review_page import write_review_page

    with told(as_json=as_json) as data:
        folder, chosen = _cohort(site, recipe)
        path = write_review_page(folder, chosen, site)
        data.update(page=path)
        if not as_json:
            typer.echo(path)


def _decide(case_ids: list[str], site: Path, recipe: str | None, *, accepted: bool, reason: str, as_json: bool) -> None:
    from fpe_core.preprocessing.decisions import decide
    from fpe_core.preprocessing.review_page import write_review_page

    with told(as_json=as_json) as data:
        folder, chosen = _cohort(site, recipe)
        decide(folder, case_ids, accepted=accepted, reason=reason)
        path = write_review_page(folder, chosen, site)
        decision = "accepted" if accepted else "rejected"
        data.update(recipe=chosen.name, cases=case_ids, decision=decision, page=path)
        words().print(f"{decision}: {', '.join(case_ids)}", markup=False, highlight=False, soft_wrap=True)


def _cohort(site: Path, recipe: str | None) -> "tuple[Path, PreprocessingRecipe]":
    """Folder and recipe of the cohort.

    Raises:
        ConfigError: the site file or the recipe's name is wrong.
        DataError: nothing was preprocessed with this recipe yet, or this user may not look.
    """
    from fpe_client.paths import SitePaths
    from fpe_core.config.loader import load_site
    from fpe_core.config.recipe import recipe_named
    from fpe_core.errors import DataError
    from fpe_core.preprocessing.storage import storage_errors_told

    config = load_site(site)
    chosen = recipe_named(recipe or config.preprocessing.recipe)
    folder = SitePaths(config.state_dir).preprocessed(chosen.name)
    with storage_errors_told(folder):
        there = folder.is_dir()
    if not there:
        raise DataError(
            f"nothing is preprocessed with {chosen.name} yet",
            hint=f"run fpe-client preprocess --site {site} --recipe {chosen.name}",
        )
    return folder, chosen


def _as_data(case: "Case") -> dict[str, object]:
    return {
        "group": case.group,
        "reasons": [{"code": code, "sequences": sequences} for code, sequences, _, _ in case.reasons],
        "decision": None if case.decision is None else case.decision.model_dump(mode="json"),
    }

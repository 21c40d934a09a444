"""`fpe-client flow`: how many of the site's cases take part in a study, and why the others do not."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from fpe_client.console import told, words

if TYPE_CHECKING:
    from fpe_core.config.site import SiteConfig
    from fpe_core.data.inclusion import Arm, Flow


def flow(
    site: Annotated[Path, typer.Option("--site", help="The site's configuration file.", show_default=False)],
    task: Annotated[
        Literal["fpe", "recanalization", "rlvo"], typer.Option(help="Whose label and reasons.", show_default=False)
    ],
    recipe: Annotated[
        list[str] | None,
        typer.Option(help="Recipe; repeated, a case may take part with any of them. Default: the site file's."),
    ] = None,
    sequences: Annotated[
        list[str] | None,
        typer.Option(help="Images that are needed, as dwi,adc; once for each recipe. Default: all of the recipe's."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout, words on stderr.")] = False,
) -> None:
    """Count the site's cases from eligible to included, by the task's own reasons in their order.

    The chart goes to the screen, and as a picture and with the cases' ids to the site's state folder, from where
    nothing is sent.

    Example: fpe-client flow --site ct-site.yaml --task rlvo --recipe mnt-dl-ct
    """
    from fpe_client.paths import SitePaths
    from fpe_core.config.loader import load_site
    from fpe_core.data.case_table import read_site_table
    from fpe_core.data.flow_chart import flow_picture, flow_text
    from fpe_core.data.inclusion import inclusion_flow
    from fpe_core.preprocessing.processed import write_private
    from fpe_core.preprocessing.storage import storage_errors_told

    with told(as_json=as_json) as data:
        config = load_site(site)
        table = read_site_table(config.data)
        found = inclusion_flow(
            table.rows,
            task=task,
            arms=_arms(config, list(dict.fromkeys(recipe or [config.preprocessing.recipe])), sequences or []),
            refused_rows=table.quarantined,
            nameless_rows=table.nameless_rows,
        )
        paths = SitePaths(config.state_dir)
        picture, listing = (paths.root / "flow" / f"{task}.{kind}" for kind in ("png", "json"))
        with storage_errors_told(paths.root):
            paths.create()
            write_private(picture, flow_picture(found))
            write_private(listing, _listing(found))
        if not as_json:
            typer.echo(flow_text(found))
        words().print(f"picture: {picture}\ncase ids: {listing}", markup=False, highlight=False, soft_wrap=True)
        data.update(_counts(found), picture=picture, listing=listing)


def _arms(config: "SiteConfig", recipes: Sequence[str], sequences: Sequence[str]) -> "list[Arm]":
    """An arm for each recipe, with what preprocessing and the quality gate say of its cases."""
    from fpe_client.paths import SitePaths
    from fpe_core.config.recipe import recipe_named
    from fpe_core.data.inclusion import Arm
    from fpe_core.preprocessing.gate import usable
    from fpe_core.preprocessing.manifest import MANIFEST, read_quarantine

    if sequences and len(sequences) != len(recipes):
        raise typer.BadParameter(f"expected it once for each of {len(recipes)} recipes", param_hint="--sequences")
    chosen = [recipe_named(name) for name in recipes]
    by_modality = len({one.modality for one in chosen}) == len(chosen)
    arms = []
    for position, one in enumerate(chosen):
        name = one.modality.upper() if by_modality else one.name
        needed = _names(sequences[position]) if sequences else one.sequences
        folder = SitePaths(config.state_dir).preprocessed(one.name)
        if not (folder / MANIFEST).is_file():
            words().print(f"nothing is preprocessed with {one.name} yet: the case table alone decides", highlight=False)
            arms.append(Arm(name, needed))
            continue
        screened = usable(folder, one)
        set_aside = {**read_quarantine(folder), **screened.set_aside}
        arms.append(Arm(name, needed, set_aside, frozenset(screened.files)))
    return arms


def _names(text: str) -> tuple[str, ...]:
    from fpe_core.data.case_table import IMAGE_COLUMNS

    names = tuple(name.strip() for name in text.split(","))
    if unknown := [name for name in names if name not in IMAGE_COLUMNS]:
        raise typer.BadParameter(f"{unknown[0]!r} is none of {', '.join(IMAGE_COLUMNS)}", param_hint="--sequences")
    return names


def _counts(found: "Flow") -> dict[str, object]:
    return {
        "eligible": found.eligible,
        "excluded": [{"reason": reason, "cases": count} for reason, count in found.excluded],
        "included": len(found.included),
        "arms": found.arms,
    }


def _listing(found: "Flow") -> bytes:
    document = {**_counts(found), "included_cases": found.arm_of, "excluded_cases": found.reason_of}
    return (json.dumps(document, indent=1) + "\n").encode()

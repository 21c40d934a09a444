"""`fpe-client preprocess`: runs the core's preprocessing over the site's table and shows how far it is."""

import os
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from fpe_client.egress import known_failures
from fpe_client.paths import SitePaths
from fpe_core.config.loader import load_site
from fpe_core.errors import NotEnoughCases

if TYPE_CHECKING:
    from fpe_core.config.recipe import PreprocessingRecipe
    from fpe_core.preprocessing.case import CaseFiles
    from fpe_core.preprocessing.cohort import CohortReport

HINTS = {
    "FPE-211": "bring the file or correct its path in the case table",
    "FPE-212": "export the image again; this file is cut off or not an image",
    "FPE-213": "export one three-dimensional series per file",
    "FPE-214": "export the image again; this one shows nothing",
    "FPE-215": "export the image again without rescaling to floats",
    "FPE-216": "check the voxel size in the file's header against the scanner's",
    "FPE-217": "the file may stand in the wrong column of the case table",
    "FPE-218": "add the missing sequence, or choose a recipe without it",
    "FPE-219": "look at the image: a very tilted or cut-off head cannot be registered",
    "FPE-220": "look at the image: the brain could not be told from the rest",
    "FPE-221": "preprocess again, with --jobs 1 if memory was short; if it stays, report what the review page and the "
    "case's log in the folder logs/ beside the preprocessed cases say",
    "FPE-222": "export the whole series again",
    "FPE-223": "export one reconstruction of one acquisition",
    "FPE-224": "export the series from the PACS itself; an anonymiser or converter has removed its geometry",
    "FPE-225": "export without compression",
    "FPE-226": "open the review page; fpe-client qc accept CASE takes a case nevertheless",
    "FPE-227": "open the review page, then fpe-client qc accept CASE or fpe-client qc reject CASE",
    "FPE-228": "nothing: a person decided it",
    "FPE-230": "fill the cell in",
    "FPE-231": "correct the value, or leave the cell empty where it is not known",
    "FPE-232": "correct the code, or add it to the site's mapping",
    "FPE-233": "correct one of the values",
    "FPE-234": "give each case a line and a name of its own",
    "FPE-235": "give each treatment its treatment_date (after a DICOM import: --clinical), or take one line out",
    "FPE-236": "one of the cases has another one's image: correct the paths",
}


def prepare(
    site_file: Path,
    *,
    recipe_name: str | None,
    jobs: int | None,
    limit: int | None = None,
    only: Collection[str] = (),
    console: Console,
) -> dict[str, object]:
    """Preprocess every case of the site, hold the results against the quality gate and write the page for review.

    Args:
        site_file: the site's configuration.
        recipe_name: recipe, or None for the site file's.
        jobs: cases side by side, or None for the site file's.
        limit: most cases to work on; None for all.
        only: case ids to work on; none for all.
        console: where words and the progress bar go.

    Returns:
        Counts, seconds, the output folder, the page, and the reason code of each case that may not be used.

    Raises:
        ConfigError, CaseTableInvalid: the site's files are wrong.
        NotEnoughCases: no case at all could be preprocessed.
    """
    from fpe_core.config.recipe import recipe_named
    from fpe_core.data.case_table import read_site_table
    from fpe_core.preprocessing.case import CaseFiles
    from fpe_core.preprocessing.gate import usable
    from fpe_core.preprocessing.review_page import write_review_page
    from fpe_core.preprocessing.storage import storage_errors_told

    config = load_site(site_file)
    recipe = recipe_named(recipe_name or config.preprocessing.recipe)
    paths = SitePaths(config.state_dir)
    with storage_errors_told(paths.root):
        paths.create()
    folder = paths.preprocessed(recipe.name)
    table = read_site_table(config.data)
    cases = [CaseFiles(row.case_id, dict(row.images.items())) for row in table.rows]
    most = jobs or config.preprocessing.jobs or os.cpu_count() or 1
    report = _run(cases, recipe, folder, jobs=most, limit=limit, only=only, console=console)
    screened = usable(folder, recipe)
    page = write_review_page(folder, recipe, site_file)
    set_aside = {**table.quarantined, **report.quarantined, **screened.set_aside}
    _say(report, len(screened.files), set_aside, console)
    if table.problems:
        console.print(f"{len(table.problems)} problems of the case table: fpe-client table --site {site_file}")
    if not report.done and not report.cached:
        raise NotEnoughCases("no case could be preprocessed", hint="the reasons stand above")
    console.print(f"pictures to look at: {page}", highlight=False, soft_wrap=True)
    return {
        "recipe": recipe.name,
        "folder": folder,
        "review_page": page,
        "done": report.done,
        "cached": report.cached,
        "left": report.left,
        "usable": len(screened.files),
        "quarantined": set_aside,
        "seconds": report.seconds,
    }


def _run(
    cases: "list[CaseFiles]",
    recipe: "PreprocessingRecipe",
    folder: Path,
    *,
    jobs: int,
    limit: int | None,
    only: Collection[str],
    console: Console,
) -> "CohortReport":
    """The cohort under a progress bar."""
    from fpe_core.preprocessing.cohort import preprocess_cohort

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as bar:
        task = bar.add_task(recipe.name, total=len(cases))

        def progress(done: int, total: int, case_id: str, _reason_code: str | None) -> None:
            bar.update(task, completed=done, total=total, description=f"{recipe.name} {case_id}")

        return preprocess_cohort(cases, recipe, folder, jobs=jobs, limit=limit, only=only, progress=progress)


def _say(report: "CohortReport", num_usable: int, set_aside: dict[str, str], console: Console) -> None:
    left = f", {report.left} left for another run" if report.left else ""
    console.print(
        f"{report.done} cases preprocessed, {report.cached} were ready{left} ({report.seconds:.0f} s); "
        f"{num_usable} may be used, {len(set_aside)} not",
        highlight=False,
    )
    sentences = known_failures()
    for case_id, code in sorted(set_aside.items()):
        console.print(f"  {case_id} [{code}] {sentences.get(code, '')}", markup=False, highlight=False, soft_wrap=True)
    for code in sorted(set(set_aside.values()) & set(HINTS)):
        console.print(f"hint for {code}: {HINTS[code]}", markup=False, highlight=False, soft_wrap=True)

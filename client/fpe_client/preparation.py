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
    "FPE-221": "see the case's log in the folder logs/ beside the preprocessed cases, and report it",
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
    "FPE-235": "take one of the lines out, or give both their treatment_date",
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
    """Preprocess every case of the site.

    Args:
        site_file: the site's configuration.
        recipe_name: recipe, or None for the site file's.
        jobs: cases side by side, or None for the site file's.
        limit: most cases to work on; None for all.
        only: case ids to work on; none for all.
        console: where words and the progress bar go.

    Returns:
        Counts, seconds, the output folder, and the reason code of each quarantined case.

    Raises:
        ConfigError, CaseTableInvalid: the site's files are wrong.
        NotEnoughCases: no case at all could be used.
    """
    from fpe_core.config.recipe import recipe_named
    from fpe_core.data.case_table import read_case_table
    from fpe_core.preprocessing.case import CaseFiles
    from fpe_core.preprocessing.cohort import preprocess_cohort

    config = load_site(site_file)
    recipe = recipe_named(recipe_name or config.preprocessing.recipe)
    paths = SitePaths(config.state_dir)
    paths.create()
    out_dir = paths.preprocessed(recipe.name)
    out_dir.mkdir(parents=True, exist_ok=True)
    table = read_case_table(config.data.cases)
    cases = [CaseFiles(row.case_id, dict(row.images.items())) for row in table.rows]
    most = jobs or config.preprocessing.jobs or len(os.sched_getaffinity(0))
    with _bar(console) as bar:
        task = bar.add_task(recipe.name, total=len(cases))

        def progress(done: int, total: int, case_id: str, _reason_code: str | None) -> None:
            bar.update(task, completed=done, total=total, description=f"{recipe.name} {case_id}")

        report = preprocess_cohort(cases, recipe, out_dir, jobs=most, limit=limit, only=only, progress=progress)
    _say(report, console)
    if not report.done and not report.cached:
        raise NotEnoughCases("no case could be preprocessed", hint="the reasons stand above")
    return {
        "recipe": recipe.name,
        "folder": out_dir,
        "done": report.done,
        "cached": report.cached,
        "quarantined": dict(report.quarantined),
        "left": report.left,
        "seconds": report.seconds,
    }


def _bar(console: Console) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=console)


def _say(report: "CohortReport", console: Console) -> None:
    quarantined = dict(report.quarantined)
    counts = f"{report.done} cases preprocessed, {report.cached} were ready, {len(quarantined)} set aside"
    console.print(f"{counts} ({report.seconds:.0f} s)", highlight=False)
    sentences = known_failures()
    for case_id, code in sorted(quarantined.items()):
        console.print(f"  {case_id} [{code}] {sentences.get(code, '')}", markup=False, highlight=False, soft_wrap=True)
    for code in sorted(set(quarantined.values()) & set(HINTS)):
        console.print(f"hint for {code}: {HINTS[code]}", markup=False, highlight=False, soft_wrap=True)

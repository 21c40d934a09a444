"""What a finished phantom study leaves for people and machines: results, model, report with pictures."""

import shutil
from pathlib import Path

from fpe_core.evaluation.report import write_report
from fpe_core.evaluation.results import StudyResults, load_results, save_results
from fpe_sim.hospital import qc_picture, reachable_auc


def publish(run_folder: Path, hospitals: list[Path], out: Path) -> StudyResults:
    """Copy results and model to `out`, and add what only the maker of the phantoms knows: the reachable AUC.

    Args:
        run_folder: the study's run folder at the server.
        hospitals: folders made by `make_hospital`; their names are the sites' names.
        out: gets results.json, model.safetensors, report.html and qc/SITE.png.

    Returns:
        The results with the reachable AUC.
    """
    results = load_results(run_folder / "results.json").model_copy(update={"reachable_auc": reachable_auc(hospitals)})
    (out / "qc").mkdir(exist_ok=True)
    pictures = {}
    for folder in hospitals:
        picture = qc_picture(folder, results.plan.recipe)
        if picture is not None:
            pictures[folder.name] = shutil.copyfile(picture, out / "qc" / f"{folder.name}.png")
    save_results(results, out / "results.json")
    shutil.copyfile(run_folder / "model.safetensors", out / "model.safetensors")
    write_report(results, out / "report.html", pictures=pictures)
    return results


def headline(results: StudyResults, out: Path) -> str:
    """The last lines a person sees."""
    lines = [f"report  {(out / 'report.html').resolve()}"]
    if results.pooled_test is not None:
        score = results.pooled_test
        lines.append(
            f"AUC     {score.auc:.3f} federated, all {score.num_cases} held-out cases together "
            f"(95 % interval {score.auc_low:.3f} to {score.auc_high:.3f})"
        )
    if results.mean_site_test_auc is not None and results.mean_alone_test_auc is not None:
        lines.append(
            f"        {results.mean_site_test_auc:.3f} federated, {results.mean_alone_test_auc:.3f} each site alone, "
            "mean over the sites"
        )
    for site in results.sites:
        together, alone = (site.test.auc if site.test else None, site.alone_test.auc if site.alone_test else None)
        lines.append(f"        {site.site}: {_shown(together)} federated, {_shown(alone)} alone")
    if results.synthetic:
        lines.append("Phantoms: these numbers show that the chain works. They say nothing about patients.")
    return "\n".join(lines)


def _shown(auc: float | None) -> str:
    return "withheld" if auc is None else f"{auc:.3f}"

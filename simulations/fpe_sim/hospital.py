"""A phantom hospital on disk: raw scans, case table, site file, preprocessed cases."""

import json
from pathlib import Path
from typing import Literal

import yaml

from fpe_core.data.phantoms.generate import Progress, generate_site
from fpe_core.data.phantoms.spec import PhantomSite
from fpe_core.seeds import derive_seed


def make_hospital(
    folder: Path,
    spec: PhantomSite,
    *,
    seed: int,
    recipe: str,
    server: str,
    jobs: int,
    threads: int,
    device: str = "auto",
    progress: Progress | None = None,
) -> Path:
    """Write the hospital's scans, where they are not there yet, and its site file.

    Args:
        folder: the hospital's folder.
        spec: scanner and case mix.
        seed: the patients are drawn from it; `cohort_seed` gives one.
        recipe: name of the preprocessing recipe.
        server: host:port of the federation server.
        jobs: phantoms made side by side, and cases preprocessed side by side.
        threads: CPU threads of the hospital's trainer.
        device: auto, cpu or cuda, of the hospital's trainer.
        progress: called after each phantom.

    Returns:
        The site file.
    """
    folder.mkdir(parents=True, exist_ok=True)
    generate_site(folder / "data", spec, seed=seed, progress=progress, jobs=jobs)
    site_file = folder / "site.yaml"
    site_file.write_text(
        yaml.safe_dump(
            {
                "schema_version": 1,
                "site": spec.name,
                "server": {"address": server, "ca_certificate": "ca.crt"},
                "private_key": "site.key",
                "state_dir": "state",
                "data": {"cases": "data/cases.csv"},
                "trainer": {"device": device, "threads": threads},
                "preprocessing": {"recipe": recipe, "jobs": jobs},
                # Nobody is behind a phantom: the curves of small cohorts may be seen.
                "policy": {"tasks": [spec.task], "min_cases_per_class": 2},
            },
            sort_keys=False,
        )
    )
    return site_file


def cohort_seed(study_seed: int, site: str, draw: int = 1) -> int:
    """What a hospital's patients are drawn from, in the first, the second … draw."""
    return derive_seed(study_seed, "cohort", site, *([draw] if draw > 1 else []))


def reachable_auc(folders: list[Path], *, seen: Literal["images", "both"] = "images") -> float:
    """The best AUC that any model can expect, as the hospitals' truth files state it, on average.

    Args:
        folders: of the hospitals.
        seen: by the model: images alone, or the clinical table as well.
    """
    stated = [json.loads((folder / "data" / "truth.json").read_text()) for folder in folders]
    cases = [truth["site"]["num_cases"] for truth in stated]
    weighted = sum(n * float(truth["reachable_auc"][seen]) for n, truth in zip(cases, stated, strict=True))
    return float(weighted / sum(cases))


def qc_picture(folder: Path, recipe: str) -> Path | None:
    """The quality picture of the hospital's first preprocessed case."""
    pictures = folder / "state" / "preprocessed" / recipe
    manifest = json.loads((pictures / "manifest.json").read_text())
    first = min(manifest["cases"], default=None)
    if first is None:
        return None
    return pictures / "qc" / (Path(manifest["cases"][first]["file"]).stem + ".png")

"""What all tests share: one thread, one warning of others, and a hospital small enough to train on in seconds."""

import os
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest

# Read by torch when it is first imported; also by every program that a test starts.
os.environ["OMP_NUM_THREADS"] = "1"

with warnings.catch_warnings():
    # typer 0.20 takes two names from click that click 8.5 calls deprecated; Flower 1.41 allows no newer typer.
    warnings.filterwarnings("ignore", "'click.utils.get_", DeprecationWarning)
    import typer  # noqa: F401

RECIPE = "mnt-dl-mr-small"
QC = {"template_dice": 0.95}
"""Numbers of a case that passes the quality gate."""
MakeSite = Callable[..., Path]


@pytest.fixture(scope="session")
def make_site_in() -> MakeSite:
    """Writes a hospital into a folder, with its cases preprocessed already; returns its site file."""

    def make(
        parent: Path,
        name: str,
        *,
        num_positive: int = 8,
        num_negative: int = 8,
        seed: int = 0,
        tasks: str = "fpe",
        shape: tuple[int, int, int] = (25, 16, 16),
        recipe: str = RECIPE,
    ) -> Path:
        folder = parent / name
        labels = [1] * num_positive + [0] * num_negative
        _write_site_file(folder, name, tasks)
        _write_table(folder, labels, recipe)
        _write_cases(folder / "state" / "preprocessed" / recipe, labels, seed, shape, recipe)
        return folder / "site.yaml"

    return make


@pytest.fixture
def make_site(make_site_in: MakeSite, tmp_path: Path) -> MakeSite:
    """`make_site_in` the test's own folder; the name is "north" unless given."""
    return lambda name="north", **options: make_site_in(tmp_path, name, **options)


def _write_site_file(folder: Path, name: str, tasks: str) -> None:
    folder.mkdir()
    (folder / "site.yaml").write_text(
        f"site: {name}\n"
        "server: {address: 'localhost:1', ca_certificate: ca.crt}\n"
        "private_key: site.key\n"
        "state_dir: state\n"
        "data: {cases: cases.csv}\n"
        "trainer: {device: cpu}\n"
        f"policy: {{tasks: [{tasks}], min_cases_per_class: 2}}\n"
    )


def _write_table(folder: Path, labels: list[int], recipe: str) -> None:
    rows = [f"case_id,patient_id,synthetic,{','.join(_sequences(recipe))},num_passes,mtici_after_first_pass"]
    rows += [f"c{i},p{i},1,d.nii,f.nii,a.nii,1,{'3' if label else '1'}" for i, label in enumerate(labels)]
    (folder / "cases.csv").write_text("\n".join(rows) + "\n")


def _sequences(recipe: str) -> tuple[str, ...]:
    return ("dwi", "flair", "adc") if "-mr" in recipe else ("ncct", "cta", "vessels")


def _write_cases(folder: Path, labels: list[int], seed: int, shape: tuple[int, int, int], recipe: str) -> None:
    """Noise of `shape` per sequence, and a bright patch in the positive cases, brighter in some slices: each
    subnet sees it, and so does the fusion head, which compares slices."""
    import numpy as np

    from fpe_core.config.recipe import recipe_named
    from fpe_core.preprocessing.manifest import Manifest, ManifestEntry, Quarantine, write_lists
    from fpe_core.preprocessing.processed import ProcessedCase, Provenance

    fingerprint = recipe_named(recipe).fingerprint()
    provenance = Provenance(recipe=recipe, recipe_fingerprint=fingerprint, inputs={}, versions={}, history=(), qc=QC)
    rng = np.random.default_rng(seed)
    entries = {}
    for i, label in enumerate(labels):
        volumes = {name: rng.normal(size=shape).astype(np.float32) for name in _sequences(recipe)}
        for volume in volumes.values():
            volume[:, 4:12, 4:12] += 2.0 * label
            volume[5:15, 4:12, 4:12] += 3.0 * label
        mask = np.ones(shape, dtype=np.uint8)
        ProcessedCase(volumes, mask, np.eye(4), {}, provenance).save(folder / f"c{i}.safetensors")
        entries[f"c{i}"] = ManifestEntry(
            file=f"c{i}.safetensors", sha256="0" * 64, recipe_fingerprint=fingerprint, qc=QC, seconds={}
        )
    write_lists(folder, Manifest(recipe=recipe, cases=entries), Quarantine())

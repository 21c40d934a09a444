import json
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest

from fpe_core.data.case_table import CaseRow, read_case_table
from fpe_core.data.labels import label_of
from fpe_core.data.phantoms import CaseMix, PhantomSite, Scanner, generate_site
from fpe_core.data.phantoms.demo_sites import demo_sites
from fpe_core.data.phantoms.generate import draw_cases, render_case
from fpe_core.data.phantoms.latents import LATENTS, clot_density_hu, core_volume_ml

nib: Any = nibabel
SITE = PhantomSite(name="town", num_cases=3, scanner=Scanner(spacing_mm=2.0, thickness_mm=6.0, orientation="LAS"))


def scans(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((folder / "scans").glob("*.nii.gz"))}


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return generate_site(tmp_path_factory.mktemp("town"), SITE, seed=1).parent


def volume(path: Path) -> tuple[np.ndarray, np.ndarray]:
    image = nib.as_closest_canonical(nib.load(path))
    return np.asarray(image.get_fdata()), image.affine


def test_table_reads_as_a_hospitals_own(town: Path) -> None:
    table = read_case_table(town / "cases.csv")
    assert table.synthetic
    assert len({row.patient_id for row in table.rows}) == 3
    assert all(row.available_sequences == {"dwi", "adc", "flair"} for row in table.rows)
    assert all(path.is_file() for row in table.rows for path in row.images.values())


def test_truth_states_latents_link_and_reachable_auc(town: Path) -> None:
    truth = json.loads((town / "truth.json").read_text())
    rows = read_case_table(town / "cases.csv").rows
    assert [case["label"] for case in truth["cases"]] == [label_of("fpe", row) for row in rows]
    assert set(truth["cases"][0]["latents"]) == set(LATENTS)
    assert set(truth["reachable_auc"]) == {"images", "table", "both", "all_latents"}
    link, case = truth["link"], truth["cases"][0]
    odds = link["intercept"] + sum(weight * case["latents"][name] for name, weight in link["coefficients"].items())
    assert odds + link["log_odds_shift"] == pytest.approx(case["log_odds"], abs=1e-4)


def test_same_seed_gives_the_same_bytes_however_many_processes(town: Path, tmp_path: Path) -> None:
    generate_site(tmp_path, SITE, seed=1, jobs=2)
    assert scans(tmp_path) == scans(town)
    assert (tmp_path / "cases.csv").read_bytes() == (town / "cases.csv").read_bytes()


def test_a_second_call_makes_only_what_is_missing(tmp_path: Path) -> None:
    calls: list[tuple[int, int]] = []

    def generate(seed: int) -> None:
        calls.clear()
        generate_site(tmp_path, SITE, seed=seed, progress=lambda done, total: calls.append((done, total)))

    generate(1)
    assert calls == [(1, 3), (2, 3), (3, 3)]
    before = scans(tmp_path)
    (tmp_path / "scans" / "town-0002_adc.nii.gz").unlink()
    generate(1)
    assert calls == [(3, 3)]
    assert scans(tmp_path) == before
    generate(2)
    assert len(calls) == 3
    assert not set(scans(tmp_path).values()) & set(before.values())


def test_core_is_bright_on_dwi_and_dark_on_adc_on_its_side(town: Path) -> None:
    truth = {case["case_id"]: case for case in json.loads((town / "truth.json").read_text())["cases"]}
    for row in read_case_table(town / "cases.csv").rows:
        adc, affine = volume(row.images["adc"])
        dwi, _ = volume(row.images["dwi"])
        tissue = (adc > 600) & (adc < 1000)
        core = (adc > 150) & (adc < 600) & (dwi > 1.25 * np.median(dwi[tissue]))
        measured_ml = core.sum() * abs(np.linalg.det(affine[:3, :3])) / 1000
        volume_ml = core_volume_ml(truth[row.case_id]["latents"]["core"])
        assert 0.5 * volume_ml - 3 < measured_ml < 1.5 * volume_ml + 5
        assert (side_mm(core, adc > 0, affine) < 0) == (row.occlusion_side == "left")


def side_mm(core: np.ndarray, head: np.ndarray, affine: np.ndarray) -> float:
    """x of the core's centre from the head's centre, RAS mm."""
    centres = [affine @ [*np.argwhere(mask).mean(axis=0), 1.0] for mask in (core, head)]
    return float(centres[0][0] - centres[1][0])


@pytest.mark.parametrize("orientation", ["LAS", "RPI", "ASR"])
def test_header_says_the_orientation_and_the_patient_is_not_mirrored(tmp_path: Path, orientation: str) -> None:
    scanner = Scanner(
        spacing_mm=2.2, thickness_mm=6.0, orientation=orientation, tilt_deg=6, rotation_deg=0, motion_mm=0, snr=100
    )
    spec = PhantomSite(name="town", num_cases=1, scanner=scanner, case_mix=CaseMix(core_median_ml=60))
    case = draw_cases(spec, seed=5)[0]
    names = render_case(tmp_path, spec, case)
    image = nib.load(tmp_path / names["adc"])
    assert nib.aff2axcodes(image.affine) == tuple(orientation)
    assert sorted(image.header.get_zooms()) == pytest.approx([2.2, 2.2, 6.0], rel=1e-4)
    adc, affine = volume(tmp_path / names["adc"])
    dwi, _ = volume(tmp_path / names["dwi"])
    core = (adc > 150) & (adc < 600) & (dwi > 1.25 * np.median(dwi[(adc > 600) & (adc < 1000)]))
    assert (side_mm(core, adc > 0, affine) < 0) == (case.cells["occlusion_side"] == "left")


def test_adc_unit_is_the_scanners(tmp_path: Path) -> None:
    spec = PhantomSite(name="town", num_cases=1, scanner=Scanner(spacing_mm=3.0, adc_unit="1e-3 mm2/s"))
    adc, _ = volume(tmp_path / render_case(tmp_path, spec, draw_cases(spec, seed=1)[0])["adc"])
    assert 0.6 < np.median(adc[adc > 0]) < 1.3


@pytest.fixture(scope="module")
def ct_scan(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, CaseRow, dict[str, float]]:
    scanner = Scanner(spacing_mm=1.2, thickness_mm=3.0, cta_thickness_mm=2.0, noise_hu=2.0, rotation_deg=0)
    spec = PhantomSite(name="city", num_cases=1, modality="ct", task="rlvo", scanner=scanner)
    table = generate_site(tmp_path_factory.mktemp("city"), spec, seed=3)
    latents = json.loads((table.parent / "truth.json").read_text())["cases"][0]["latents"]
    return table.parent, read_case_table(table).rows[0], latents


def test_ncct_has_hounsfield_units_and_head_holder(ct_scan: tuple[Path, CaseRow, dict[str, float]]) -> None:
    hu, _ = volume(ct_scan[1].images["ncct"])
    assert np.percentile(hu, 5) == pytest.approx(-1000, abs=15)
    brain = hu[(hu > 15) & (hu < 60)]
    assert 24 < np.median(brain) < 40
    assert (hu > 700).sum() > 1000
    assert brain.size * 1.2 * 1.2 * 3 / 1000 > 900


def test_occluded_side_has_less_contrast(ct_scan: tuple[Path, CaseRow, dict[str, float]]) -> None:
    _, row, _ = ct_scan
    hu, affine = volume(row.images["cta"])
    centre = np.argwhere(hu > 700)[:, 0].mean()
    lumen = (hu > 180) & (hu < 480)
    inner = slice(hu.shape[1] // 2 - 12, hu.shape[1] // 2 + 30)
    half = round(centre)
    reach = slice(half - 48, half - 8), slice(half + 8, half + 48)
    level = slice(round(hu.shape[2] * 0.40), round(hu.shape[2] * 0.66))
    left, right = (int(lumen[x, inner, level].sum()) for x in reach)
    assert affine[0, 0] > 0
    assert (left < right) == (row.occlusion_side == "left")


def test_clot_density_shows_in_ncct(tmp_path: Path) -> None:
    """The same patient with a dense and with a pale clot differ at the clot only, by the difference in HU."""
    scanner = Scanner(spacing_mm=1.2, thickness_mm=2.0, cta_thickness_mm=3.5, noise_hu=0.0)
    spec = PhantomSite(name="city", num_cases=1, modality="ct", scanner=scanner)
    case = draw_cases(spec, seed=2)[0]
    densities = []
    images = []
    for value in (-1.5, 2.0):
        case.latents[LATENTS.index("clot_density")] = value
        densities.append(clot_density_hu(value))
        images.append(volume(tmp_path / render_case(tmp_path, spec, case)["ncct"])[0])
    difference = images[1] - images[0]
    assert difference.max() == pytest.approx(densities[1] - densities[0], abs=3)
    assert 0 < np.count_nonzero(difference) < 600


def test_demo_sites_differ_in_scanner_and_patients() -> None:
    for modality in ("mr", "ct"):
        sites = demo_sites(10, modality)
        assert [site.name for site in sites] == ["hospital-north", "hospital-harbour", "hospital-valley"]
        assert {site.modality for site in sites} == {modality}
        assert len({site.scanner.orientation for site in sites}) == 3
        assert len({site.scanner.spacing_mm for site in sites}) == 3
        assert len({site.case_mix.core_median_ml for site in sites}) == 3

"""The review page: complete, ordered, closed to others and to the network."""

import re
import stat
from pathlib import Path

import pytest

from fpe_core.config.recipe import recipe_named
from fpe_core.preprocessing.decisions import decide
from fpe_core.preprocessing.manifest import Manifest, ManifestEntry, Quarantine, QuarantineEntry, write_lists
from fpe_core.preprocessing.review_page import render_review_page, write_review_page

RECIPE = recipe_named("mnt-dl-ct-small")
SITE_FILE = Path("/etc/fpe sites/mr-site.yaml")
HEALTHY = {"template_dice": 0.95}


@pytest.fixture
def cohort(tmp_path) -> Path:
    numbers = {
        "fine": HEALTHY,
        "odd": HEALTHY | {"rotation_deg": 40.0},
        "bad": HEALTHY | {"vessel_hu_ncct": 140.0, "noise_hu_cta": 20.0},
        "taken": HEALTHY | {"rotation_deg": 40.0},
        "thrown": HEALTHY,
    }
    (tmp_path / "qc").mkdir()
    entries = {}
    for case_id, qc in numbers.items():
        (tmp_path / f"{case_id}-key.safetensors").write_bytes(b"")
        (tmp_path / "qc" / f"{case_id}-key.png").write_bytes(b"")
        entries[case_id] = ManifestEntry(
            file=f"{case_id}-key.safetensors",
            sha256="",
            recipe_fingerprint=RECIPE.fingerprint(),
            qc=qc,
            seconds={},
        )
    broken = {"broken": QuarantineEntry(code="FPE-219", message="<b>scales</b> 0.3", key="")}
    write_lists(tmp_path, Manifest(cases=entries), Quarantine(cases=broken))
    decide(tmp_path, ["taken"], accepted=True, reason="tilted <i>head</i>")
    decide(tmp_path, ["thrown"], accepted=False)
    return tmp_path


def test_cases_that_need_a_person_come_first(cohort):
    page = render_review_page(cohort, RECIPE, SITE_FILE)
    shown = re.findall(r'<article class="case (\w+)" id="case-(\w+)"', page)
    assert shown == [
        ("fail", "bad"),
        ("review", "odd"),
        ("error", "broken"),
        ("rejected", "thrown"),
        ("accepted", "taken"),
        ("pass", "fine"),
    ]


def test_reasons_numbers_and_commands_stand_with_the_case(cohort):
    page = render_review_page(cohort, RECIPE, SITE_FILE)
    bad = page[page.index('id="case-bad"') : page.index('id="case-odd"')]
    assert "Contrast medium" in bad
    assert "<b>NCCT</b>" in bad
    assert "140" in bad
    assert "out of range" in bad
    assert "unusual" in bad
    assert 'src="qc/bad-key.png" loading="lazy"' in bad
    assert "fpe-client qc accept bad --site &#39;/etc/fpe sites/mr-site.yaml&#39; --recipe mnt-dl-ct-small" in bad
    broken = page[page.index('id="case-broken"') : page.index('id="case-thrown"')]
    assert "FPE-219" in broken
    assert "qc accept" not in broken


def test_text_of_people_and_headers_is_escaped(cohort):
    page = render_review_page(cohort, RECIPE, SITE_FILE)
    assert "<i>head" not in page
    assert "&lt;i&gt;head" in page
    assert "<b>scales" not in page


def test_the_page_is_private_and_loads_nothing(cohort):
    path = write_review_page(cohort, RECIPE, SITE_FILE)
    page = path.read_text(encoding="utf-8")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert "default-src 'none'" in page
    assert "'unsafe-inline'; script-src 'sha256-" in page
    assert not re.search(r"https?://", page)


def test_a_cohort_of_another_recipe_is_empty_and_says_so(cohort):
    page = render_review_page(cohort, recipe_named("mnt-dl-ct"), SITE_FILE)
    assert 'id="case-fine"' not in page
    assert 'id="case-broken"' in page


def test_six_hundred_cases_stay_a_small_file(tmp_path):
    entries = {
        f"case-{i:04d}": ManifestEntry(
            file=f"key{i}.safetensors",
            sha256="",
            recipe_fingerprint=RECIPE.fingerprint(),
            qc=HEALTHY | {"rotation_deg": 5.0, "brain_hu_ncct": 30.0, "coverage_ncct": 1.0},
            seconds={},
        )
        for i in range(600)
    }
    for entry in entries.values():
        (tmp_path / entry.file).write_bytes(b"")
    write_lists(tmp_path, Manifest(cases=entries), Quarantine())
    assert write_review_page(tmp_path, RECIPE, SITE_FILE).stat().st_size < 5e6

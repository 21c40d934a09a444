"""Phantom hospitals, made once and laid out as public data sets are."""

import pytest

from fpe_core.data.case_table import CaseRow, read_case_table
from fpe_core.data.phantoms import PhantomSite, Scanner, generate_site


@pytest.fixture(scope="session")
def mr_rows(tmp_path_factory: pytest.TempPathFactory) -> tuple[CaseRow, ...]:
    """Two MR phantoms with coarse voxels."""
    scanner = Scanner(spacing_mm=2.5, thickness_mm=6.0, orientation="LAS")
    return _rows(tmp_path_factory, PhantomSite(name="town", num_cases=2, scanner=scanner))


@pytest.fixture(scope="session")
def ct_rows(tmp_path_factory: pytest.TempPathFactory) -> tuple[CaseRow, ...]:
    """Two CT phantoms with coarse voxels."""
    scanner = Scanner(spacing_mm=1.5, thickness_mm=5.0, cta_thickness_mm=3.0)
    return _rows(tmp_path_factory, PhantomSite(name="city", num_cases=2, modality="ct", task="rlvo", scanner=scanner))


def _rows(tmp_path_factory: pytest.TempPathFactory, site: PhantomSite) -> tuple[CaseRow, ...]:
    return read_case_table(generate_site(tmp_path_factory.mktemp(site.name), site, seed=4)).rows

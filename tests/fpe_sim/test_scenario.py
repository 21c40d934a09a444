"""Scenarios: those that come with the software, and files of one's own."""

from pathlib import Path

import pytest

from fpe_core.errors import ConfigFileMissing, ConfigKeyUnknown, ConfigSyntaxError, ConfigValueInvalid
from fpe_sim.scenario import Cohort, load_scenario, scenario_names

GOOD = """\
summary: A trial.
cohort:
  sites: 4
  cases_per_site: 12
study:
  name: trial
  task: fpe
  seed: 1
"""


def test_every_built_in_scenario_loads_and_fits_itself() -> None:
    assert "federated-mr-small" in scenario_names()
    for name in scenario_names():
        scenario = load_scenario(name)
        assert scenario.summary.endswith(".")
        assert scenario.study.federation.min_sites <= scenario.cohort.sites
        assert scenario.cohort.modality in scenario.study.recipe
        tasks = {spec.task for spec in scenario.cohort.hospitals()}
        assert tasks == {scenario.study.task}


@pytest.mark.parametrize("sites", [1, 3, 7, 20])
@pytest.mark.parametrize("modality", ["mr", "ct"])
def test_every_hospital_has_a_name_of_its_own(sites: int, modality: str) -> None:
    hospitals = Cohort.model_validate({"sites": sites, "cases_per_site": 13, "modality": modality}).hospitals()
    assert len({spec.name for spec in hospitals}) == len(hospitals) == sites
    assert {spec.num_cases for spec in hospitals} == {13}
    assert {spec.modality for spec in hospitals} == {modality}


def test_scanners_come_round_again() -> None:
    hospitals = Cohort(sites=7).hospitals()
    names = [spec.name for spec in hospitals]
    assert names[3:] == [f"{names[0]}-2", f"{names[1]}-2", f"{names[2]}-2", f"{names[0]}-3"]
    assert hospitals[3].scanner == hospitals[0].scanner != hospitals[1].scanner


def test_a_file_of_ones_own_is_loaded(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(GOOD)
    scenario = load_scenario(str(tmp_path / "mine.yaml"))
    assert (scenario.cohort.sites, scenario.cohort.modality, scenario.study.name) == (4, "mr", "trial")


def test_a_name_that_nobody_knows_says_which_there_are(tmp_path: Path) -> None:
    with pytest.raises(ConfigFileMissing, match="federated-mr-smal: neither a scenario nor a file") as caught:
        load_scenario("federated-mr-smal")
    assert "federated-mr-small" in caught.value.hint


@pytest.mark.parametrize(
    ("old", "new", "error", "line"),
    [
        ("  sites: 4", "  sites: [4", ConfigSyntaxError, 4),
        ("  sites: 4", "  sits: 4", ConfigKeyUnknown, 3),
        ("  cases_per_site: 12", "  cases_per_site: 11", ConfigValueInvalid, 4),
        ("  task: fpe", "  task: stroke", ConfigValueInvalid, 7),
        ("  sites: 4", "  sites: 0", ConfigValueInvalid, 3),
    ],
)
def test_a_wrong_file_is_told_by_its_line(
    tmp_path: Path, old: str, new: str, error: type[Exception], line: int
) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(GOOD.replace(old, new))
    with pytest.raises(error, match=rf"mine\.yaml:{line}: "):
        load_scenario(str(path))

"""A scenario: phantom hospitals and the study that they take part in, as one YAML file."""

from importlib.resources import files
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from fpe_core.config.base import FrozenModel
from fpe_core.config.loader import load_yaml
from fpe_core.config.study import StudyPlan
from fpe_core.data.phantoms.demo_sites import demo_sites
from fpe_core.data.phantoms.spec import PhantomSite
from fpe_core.errors import ConfigFileMissing

_BUILT_IN = Path(str(files("fpe_sim"))) / "scenarios"


class Cohort(FrozenModel):
    """Phantom hospitals. From the fourth on, scanners and case mixes come round again."""

    modality: Literal["mr", "ct"] = "mr"
    """mr: DWI, ADC and FLAIR. ct: NCCT and CTA."""
    sites: Annotated[int, Field(ge=1, le=20)] = 3
    """Number of hospitals."""
    cases_per_site: Annotated[int, Field(ge=12)] = 40
    """Patients at each hospital."""

    def hospitals(self) -> tuple[PhantomSite, ...]:
        """The hospitals, each with a name of its own."""
        kinds = demo_sites(self.cases_per_site, self.modality)
        return tuple(
            kind if turn == 0 else kind.model_copy(update={"name": f"{kind.name}-{turn + 1}"})
            for index in range(self.sites)
            for turn, kind in [(index // len(kinds), kinds[index % len(kinds)])]
        )


class Scenario(FrozenModel):
    """What `fpe-sim run` runs."""

    schema_version: Literal[1] = 1
    """Version of this file's format."""
    summary: str
    """One sentence for `fpe-sim list`."""
    cohort: Cohort = Cohort()
    study: StudyPlan


def scenario_names() -> tuple[str, ...]:
    """Names of the scenarios that come with the software."""
    return tuple(sorted(path.stem for path in _BUILT_IN.glob("*.yaml")))


def scenario_file(name: str) -> Path:
    """The file of a scenario that comes with the software."""
    return _BUILT_IN / f"{name}.yaml"


def load_scenario(name_or_file: str) -> Scenario:
    """A scenario by its name, or from a file of one's own.

    Raises:
        ConfigError: there is no such name or file, or the file does not fit `Scenario`.
    """
    if name_or_file in scenario_names():
        return load_yaml(scenario_file(name_or_file), Scenario)
    path = Path(name_or_file)
    if not path.exists():
        raise ConfigFileMissing(
            f"{name_or_file}: neither a scenario nor a file", hint=f"scenarios: {', '.join(scenario_names())}"
        )
    return load_yaml(path, Scenario)

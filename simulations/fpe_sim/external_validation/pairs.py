"""Who trains, who is visited, and which outcome is predicted."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from fpe_core.config.study import Task
from fpe_sim.cohorts.paper import PaperCohort

HospitalName = Literal["ucla", "vdh"]
HOSPITALS: Final[tuple[HospitalName, ...]] = ("ucla", "vdh")
HOSPITAL_TITLES: Final[Mapping[HospitalName, str]] = {"ucla": "UCLA", "vdh": "Vall d'Hebron"}
PAPER_COHORTS: Final[Mapping[HospitalName, PaperCohort]] = {"ucla": "ucla-ct", "vdh": "vdh"}
LABEL_TITLES: Final[Mapping[Task, str]] = {
    "fpe": "first-pass effect",
    "rlvo": "refractory occlusion",
    "recanalization": "recanalisation (2c or 3)",
}


@dataclass(frozen=True)
class Pair:
    """A direction and an outcome.

    Attributes:
        home: where the model is trained.
        label: what it predicts.
    """

    home: HospitalName
    label: Task

    @property
    def away(self) -> HospitalName:
        """The hospital that is visited."""
        return "vdh" if self.home == "ucla" else "ucla"

    @property
    def name(self) -> str:
        """For files, folders and numbers."""
        return f"{self.home}-to-{self.away}-{self.label}"

    @property
    def title(self) -> str:
        """For tables."""
        return f"{HOSPITAL_TITLES[self.home]} → {HOSPITAL_TITLES[self.away]}, {LABEL_TITLES[self.label]}"

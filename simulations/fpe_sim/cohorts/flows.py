"""How many patients each cohort of the papers has, by outcome, and who is left out for what."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Final, Literal

from fpe_core.data.phantoms.outcomes import Fate
from fpe_sim.cohorts.populations import (
    UCLA_CT,
    UCLA_CT_UNLABELLED,
    UCLA_MR,
    UCLA_MR_UNLABELLED,
    UCLA_SCANET,
    VDH_DEVELOPMENT,
    VDH_TEST,
    Population,
)
from fpe_sim.cohorts.printed import UCLA_TABLE_ONE, VDH_TABLE_ONE, PrintedTable

PaperCohort = Literal["ucla-mr", "ucla-ct", "ucla-mr-unlabelled", "ucla-ct-unlabelled", "ucla-scanet", "vdh"]
Group = Literal["development", "test"]
Exclusion = Literal[
    "series missing", "quality degraded", "side unclear", "no occlusion", "several occlusions", "severe artefacts",
    "images or perfusion missing", "registration failed", "CTP parameters missing",
]  # fmt: skip


@dataclass(frozen=True)
class Part:
    """Included patients of one population.

    Attributes:
        group: development or test, or None where a date divides the cohort.
        population: who they are.
        strata: how many there are of each kind of outcome, by `CohortFlow.stratum`.
        least: of each kind, at any scale, so that every fold has some.
        printed: the paper's table 1, and its headings of all these patients and of the refractory occlusions among
            them; None where there is none.
    """

    group: Group | None
    population: Population
    strata: Mapping[str, int]
    least: Mapping[str, int]
    printed: tuple[PrintedTable, str, str | None] | None = None


@dataclass(frozen=True)
class CohortFlow:
    """One cohort of a paper.

    Attributes:
        parts: the included patients.
        stratum: kind of outcome of one patient; None where the cohort has no outcomes.
        first, last: days of the first and last treatment.
        positive: strata with the outcome that the paper predicts.
        excluded: patients who are left out, by reason.
    """

    parts: tuple[Part, ...]
    stratum: Callable[[Fate], str] | None
    first: date
    last: date
    positive: frozenset[str] = frozenset()
    excluded: Mapping[Exclusion, int] = field(default_factory=dict)

    def num_cases(self, scale: float) -> int:
        """Rows of the cohort's table at a scale, those that are left out included."""
        included = sum(sum(scaled(part, scale).values()) for part in self.parts)
        return included + sum(round(scale * count) for count in self.excluded.values())


def scaled(part: Part, scale: float) -> dict[str, int]:
    """Number of patients in each stratum at a scale."""
    return {name: max(round(scale * count), part.least.get(name, 0)) for name, count in part.strata.items()}


def _by_course_and_grade(fate: Fate) -> str:
    return "failed" if fate.course == "failed" else f"{fate.course} {'2c-3' if fate.full else '2b'}"


def _by_full_recanalisation(fate: Fate) -> str:
    return "2c-3" if fate.full else "0-2b"


def _by_cause(fate: Fate) -> str:
    return "none" if not fate.refractory else "other" if fate.course == "failed" else "icad"


_UCLA_LEAST: Final = {"failed": 2, "later 2b": 4, "later 2c-3": 2, "first 2b": 4, "first 2c-3": 4}
_SCREENED: Final = {"any": 12}
FLOWS: Final[Mapping[PaperCohort, CohortFlow]] = {
    # 408 - 52 - 24 = 332 over both modalities (AJNR 2024, figure 1); the two reasons are divided as the cohorts are.
    "ucla-mr": CohortFlow(
        parts=(
            Part(
                None, UCLA_MR,
                {"failed": 28, "later 2b": 37, "later 2c-3": 20, "first 2b": 31, "first 2c-3": 36}, _UCLA_LEAST,
                (UCLA_TABLE_ONE, "MR", None),
            ),
        ),
        stratum=_by_course_and_grade,
        positive=frozenset({"first 2b", "first 2c-3"}),
        excluded={"series missing": 24, "quality degraded": 11},
        first=date(2014, 1, 1), last=date(2021, 12, 31),
    ),
    "ucla-ct": CohortFlow(
        parts=(
            Part(
                None, UCLA_CT,
                {"failed": 31, "later 2b": 37, "later 2c-3": 39, "first 2b": 31, "first 2c-3": 42}, _UCLA_LEAST,
                (UCLA_TABLE_ONE, "CT", None),
            ),
        ),
        stratum=_by_course_and_grade,
        positive=frozenset({"first 2b", "first 2c-3"}),
        excluded={"series missing": 28, "quality degraded": 13},
        first=date(2014, 1, 1), last=date(2021, 12, 31),
    ),
    "ucla-mr-unlabelled": CohortFlow(
        parts=(Part(None, UCLA_MR_UNLABELLED, {"any": 599}, _SCREENED),), stratum=None,
        first=date(2014, 1, 1), last=date(2021, 12, 31),
    ),
    "ucla-ct-unlabelled": CohortFlow(
        parts=(Part(None, UCLA_CT_UNLABELLED, {"any": 475}, _SCREENED),), stratum=None,
        first=date(2014, 1, 1), last=date(2021, 12, 31),
    ),
    # 254 - 69 - 8 = 177 (MIDL 2022, section 2); outcomes "approximately balanced".
    "ucla-scanet": CohortFlow(
        parts=(Part(None, UCLA_SCANET, {"2c-3": 86, "0-2b": 91}, {"2c-3": 8, "0-2b": 8}),),
        stratum=_by_full_recanalisation,
        positive=frozenset({"2c-3"}),
        excluded={"series missing": 69, "side unclear": 8},
        first=date(2012, 1, 1), last=date(2019, 12, 31),
    ),
    # 839 - 240 = 599 (EJR 2025, results): the paper prints no number by reason but the 61 of model C. 50.5 % of the
    # refractory occlusions are ICAD.
    "vdh": CohortFlow(
        parts=(
            Part(
                "development", VDH_DEVELOPMENT, {"icad": 39, "other": 38, "none": 404},
                {"icad": 3, "other": 3, "none": 8}, (VDH_TABLE_ONE, "training", "training, rLVO"),
            ),
            Part(
                "test", VDH_TEST, {"icad": 8, "other": 8, "none": 102}, {"icad": 1, "other": 1, "none": 4},
                (VDH_TABLE_ONE, "test", "test, rLVO"),
            ),
        ),
        stratum=_by_cause,
        positive=frozenset({"icad", "other"}),
        excluded={
            "no occlusion": 34, "several occlusions": 21, "severe artefacts": 29, "images or perfusion missing": 72,
            "registration failed": 23, "CTP parameters missing": 61,
        },
        first=date(2017, 1, 1), last=date(2023, 12, 31),
    ),
}  # fmt: skip

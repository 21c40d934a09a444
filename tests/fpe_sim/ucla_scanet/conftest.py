"""A run's outcome made by hand, so that tables and sentences need no training."""

from collections.abc import Callable

import numpy as np
import pytest

from fpe_core.config.study import TrainingPlan
from fpe_core.data.case_row import CaseRow
from fpe_core.data.inclusion import Flow
from fpe_core.evaluation.thresholds import Threshold
from fpe_sim.protocol_results import CohortFacts
from fpe_sim.ucla_scanet.baseline import BaselineOutcome
from fpe_sim.ucla_scanet.held_out import FoldPredictions
from fpe_sim.ucla_scanet.outcome import ScanetOutcome
from fpe_sim.ucla_scanet.paper import RADIOMICS, RESNET34, SCANET
from fpe_sim.ucla_scanet.protocol import CrossValidation, NetworkSetting, UclaScanet

MakeRows = Callable[[int], list[CaseRow]]
MakeOutcome = Callable[..., ScanetOutcome]


@pytest.fixture
def make_rows() -> MakeRows:
    """Cases of which every second one has the outcome; the first two are of the same patient."""

    def make(number: int) -> list[CaseRow]:
        return [
            CaseRow(
                case_id=f"c{i}",
                patient_id="p0" if i == 1 else f"p{i}",
                images={},
                final_mtici="3" if i % 2 else "2b",
                occlusion_side="left",
            )
            for i in range(number)
        ]

    return make


@pytest.fixture
def protocol() -> UclaScanet:
    """Two folds at the small dial."""
    setting = NetworkSetting(recipe="mnt-dl-ct-small", base_width=8, training=TrainingPlan(local_epochs=1))
    return UclaScanet(
        kind="ucla-scanet",
        name="tiny",
        summary="tiny",
        seed=1,
        dials={"scale": 0.1, "images": "small"},
        cross_validation=CrossValidation(folds=2, inner_folds=2),
        full=setting.model_copy(update={"recipe": "mnt-dl-ct", "base_width": 64}),
        small=setting,
    )


@pytest.fixture
def make_outcome() -> MakeOutcome:
    """Folds of six cases; a model's skill is how far apart its probabilities of both classes are."""

    def make(
        skills: tuple[float, float, float] = (0.2, 0.0, 0.6), *, reachable: bool = True, num_folds: int = 2
    ) -> ScanetOutcome:
        predictions = {
            model: tuple(_fold(number, skill) for number in range(1, num_folds + 1))
            for model, skill in zip((RADIOMICS, RESNET34, SCANET), skills, strict=True)
        }
        ids = tuple(f"c{number}" for number in range(12))
        flow = Flow(20, (("missing series", 6), ("side of the stroke unclear", 2)), ids, {}, dict.fromkeys(ids, "a"))
        facts = CohortFacts(
            name="ucla-scanet",
            synthetic=reachable,
            num_eligible=20,
            num_included=12,
            num_positive=6,
            reachable_auc={"images": 0.9} if reachable else {},
        )
        return ScanetOutcome(
            facts=facts,
            flow=flow,
            predictions=predictions,
            num_epochs={RESNET34: (3, 4), SCANET: (5, 6)},
            baseline=BaselineOutcome(predictions[RADIOMICS], {"ncct · brain · mean": 2, "cta · brain · mean": 1}),
        )

    return make


def _fold(number: int, skill: float) -> FoldPredictions:
    labels = np.array([0, 1, 0, 1, 0, 1])
    noise = np.random.default_rng(number).uniform(0.3, 0.5, 6)
    return FoldPredictions(number, np.clip(noise + skill * labels, 0, 1), labels, Threshold(0.4, 0.5))

"""Hand-made folds and a protocol for tests without phantoms."""

from collections.abc import Callable, Sequence
from datetime import date

import numpy as np
import pytest

from fpe_core.data.case_row import CaseRow
from fpe_core.evaluation.thresholds import choose_threshold
from fpe_core.state import FlatState, Layout
from fpe_core.training.fold_store import FoldOutcome
from fpe_core.training.predict import Predictions
from fpe_sim.protocol import load_protocol, protocol_file
from fpe_sim.ucla_fpe.protocol import UclaFpe

MakeFold = Callable[..., FoldOutcome]
MakeRow = Callable[..., CaseRow]


@pytest.fixture
def protocol() -> UclaFpe:
    """The MR protocol at the small dial."""
    return load_protocol(protocol_file("ucla-fpe-mr"), UclaFpe, ["dials.images=small"])


@pytest.fixture
def make_fold() -> MakeFold:
    """A fold from probabilities of validation and test cases; the first half of each is positive."""

    def make(number: int, validation: Sequence[float], test: Sequence[float], num_epochs: int = 4) -> FoldOutcome:
        seen, held_out = _predictions(validation), _predictions(test)
        threshold = choose_threshold(validation_probabilities=seen.probabilities, validation_labels=seen.labels)
        nothing = FlatState(Layout(()), np.zeros(0, dtype=np.float32))
        return FoldOutcome(number, nothing, threshold, seen, held_out, num_epochs, None)

    return make


@pytest.fixture
def make_row() -> MakeRow:
    """A patient with all MR sequences who was treated in a year."""

    def make(number: int, *, label: int = 0, year: int | None = 2016, **columns: object) -> CaseRow:
        return CaseRow.model_validate(
            {
                "case_id": f"c{number}",
                "patient_id": f"p{number}",
                "images": {name: f"{name}.nii" for name in ("dwi", "adc", "flair")},
                "treatment_date": year and date(year, 5, 1),
                "num_passes": 1,
                "mtici_after_first_pass": "3" if label else "1",
                "occlusion_site": "m1",
                **columns,
            }
        )

    return make


def _predictions(probabilities: Sequence[float]) -> Predictions:
    half = len(probabilities) // 2
    return Predictions(np.array(probabilities), np.array([1] * half + [0] * (len(probabilities) - half)), loss=0.5)

"""Two small hospitals that are preprocessed already, and a protocol that trains on them in seconds."""

from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fpe_core.config.loader import load_site
from fpe_core.data.case_table import CaseRow, read_site_table
from fpe_core.evaluation.thresholds import Threshold
from fpe_core.state import FlatState, Layout
from fpe_core.training.fold_store import FoldOutcome
from fpe_core.training.predict import Predictions
from fpe_sim import trainings
from fpe_sim.cohorts.ready import ReadyCohort
from fpe_sim.external_validation import away
from fpe_sim.external_validation.protocol import ExternalValidationProtocol
from fpe_sim.protocol import load_protocol, protocol_file

RECIPE = "mnt-dl-ct-small"
TINY = (
    "dials.images=small", "labels=[fpe]", "ucla.num_folds=2", "ucla.test_from=null", "vdh.num_folds=3",
    "small.base_width=8", "small.training.local_epochs=2", "small.training.learning_rate=0.01",
)  # fmt: skip
Cohort = Callable[..., ReadyCohort]


@pytest.fixture
def protocol() -> ExternalValidationProtocol:
    return load_protocol(protocol_file("external-validation"), ExternalValidationProtocol, TINY)


@pytest.fixture
def make_cohort(make_site: Callable[..., Path]) -> Cohort:
    """A ready cohort whose positive cases are brighter; no scan is rendered or preprocessed."""

    def make(name: str, **options: Any) -> ReadyCohort:
        site_file = make_site(name, recipe=RECIPE, shape=(26, 16, 16), **options)
        table = read_site_table(load_site(site_file).data)
        rows = tuple(row.model_copy(update={"treatment_date": date(2019, 1, 1)}) for row in table.rows)
        folder = site_file.parent / "state" / "preprocessed" / RECIPE
        return ReadyCohort(
            name=name,
            site_file=site_file,
            rows=rows,
            files={row.case_id: folder / f"{row.case_id}.safetensors" for row in rows},
            set_aside={},
            synthetic=True,
            reachable_auc={},
            groups={},
        )

    return make


@pytest.fixture
def in_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tasks run one after another in this process instead of on Ray."""

    def run_tasks(function: Callable[..., None], tasks: Sequence[tuple[Any, ...]], **_: object) -> None:
        for task in tasks:
            function(*task)

    for module in (trainings, away):
        monkeypatch.setattr(module, "run_tasks", run_tasks)


@pytest.fixture
def table_row() -> Callable[..., CaseRow]:
    """A row with both images and an outcome of one pass."""

    def row(number: int, *, label: int, **fields: Any) -> CaseRow:
        content: dict[str, Any] = {
            "case_id": f"c{number}",
            "patient_id": f"p{number}",
            "images": {"ncct": Path("n.nii"), "cta": Path("a.nii")},
            "num_passes": 1,
            "mtici_after_first_pass": "3" if label else "1",
        }
        return CaseRow(**(content | fields))

    return row


@pytest.fixture
def fold() -> Callable[..., FoldOutcome]:
    """A finished fold with given predictions; validation and test are `(probabilities, labels)`."""

    def make(number: int, validation: tuple[Any, Any], test: tuple[Any, Any], *, threshold: float = 0.5) -> FoldOutcome:
        return FoldOutcome(
            number=number,
            trained=FlatState(Layout(()), np.zeros(0, dtype=np.float32)),
            threshold=Threshold(threshold, 0.2),
            validation=_predictions(*validation),
            test=_predictions(*test),
            num_epochs=1,
            accountant=None,
        )

    return make


def _predictions(probabilities: Any, labels: Any) -> Predictions:
    return Predictions(np.asarray(probabilities, dtype=np.float64), np.asarray(labels, dtype=np.int64), 0.5)

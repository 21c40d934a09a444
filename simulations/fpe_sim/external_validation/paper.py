"""What the papers print of their own hospitals, for orientation: neither has been validated at another one."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from fpe_core.config.study import Task
from fpe_sim.external_validation.pairs import HospitalName

SOURCES: Final = (
    "AJNR 2024 (UCLA, first-pass effect, MNT-DL): tables 3 and 4",
    "Eur J Radiol 2025 (Vall d'Hebron, refractory occlusion, DAFT): table 3 and the fold vote in the text",
    "MIDL 2022 (UCLA, recanalisation, SCANet): its table of models",
)


@dataclass(frozen=True)
class InternalResult:
    """A paper's result on its own patients, as printed; empty where it prints none.

    Attributes:
        validation_auc: mean (SD) over the folds.
        test_auc: on its own test cohort.
        sensitivity, specificity, f1: on the same.
    """

    validation_auc: str = ""
    test_auc: str = ""
    sensitivity: str = ""
    specificity: str = ""
    f1: str = ""


NOTHING: Final = InternalResult()
INTERNAL_RESULTS: Final[Mapping[tuple[HospitalName, Task], InternalResult]] = {
    # AJNR 2024, table 3 (MNT-DL without self-supervision, as here) and table 4 (CT, patients from 2020 on).
    ("ucla", "fpe"): InternalResult(
        validation_auc=".7801 (.0320)",
        test_auc=".8051 (.0377)",
        sensitivity=".8615 (.1131)",
        specificity=".7500 (.1054)",
    ),
    # EJR 2025, table 3 (EfficientNet-B0 + prior + DAFT), and its majority vote over the folds.
    ("vdh", "rlvo"): InternalResult(
        validation_auc=".65 ± .04",
        test_auc=".64 ± .02; vote .70 ± .02",
        sensitivity=".72 ± .25; vote .69",
        specificity=".55 ± .33; vote .70",
        f1=".34 ± .05; vote .39 ± .02",
    ),
    # MIDL 2022, cross-validation only.
    ("ucla", "recanalization"): InternalResult(validation_auc=".7732 ± .039"),
}
"""By hospital and outcome."""

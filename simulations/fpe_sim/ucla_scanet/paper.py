"""What the paper prints: Zhang, Polson et al., MIDL 2022 (short paper), table 1 and section 2."""

from dataclasses import dataclass
from typing import Final

SOURCE: Final = (
    "Zhang H, Polson JS, Yang EJ, Nael K, Speier W, Arnold CW. Predicting Thrombectomy Recanalization from CT Imaging "
    "Using Deep Learning Models. MIDL 2022 (short paper)"
)

SCORES: Final = ("auc", "accuracy", "precision", "sensitivity", "specificity")
"""Columns of table 1, by their names in `PredictionScores`."""
SCORE_TITLES: Final = ("ROC-AUC", "accuracy", "precision", "sensitivity", "specificity")
SIDDIQUI: Final = "Siddiqui et al. (literature)"
HILBERT: Final = "Hilbert et al. (literature)"
RADIOMICS: Final = "Radiomics"
RESNET34: Final = "ResNet34"
SCANET: Final = "SCANet"
MODELS: Final = (RADIOMICS, RESNET34, SCANET)
"""The models that the paper trained on its cohort, in the order of table 1."""

ELIGIBLE: Final = 254
SERIES_MISSING: Final = 69
SIDE_UNCLEAR: Final = 8
INCLUDED: Final = 177


@dataclass(frozen=True)
class Printed:
    """A number of table 1."""

    mean: float
    sd: float | None = None

    def __str__(self) -> str:
        return f"{self.mean}" if self.sd is None else f"{self.mean:.4f} ± {self.sd:.3f}"


TABLE_1: Final[dict[str, dict[str, Printed]]] = {
    SIDDIQUI: {"auc": Printed(0.717)},
    HILBERT: {"auc": Printed(0.65, 0.10)},
    RADIOMICS: {
        "auc": Printed(0.6859, 0.043), "accuracy": Printed(0.6877, 0.039), "precision": Printed(0.6417, 0.068),
        "sensitivity": Printed(0.7425, 0.123), "specificity": Printed(0.6421, 0.126),
    },
    RESNET34: {
        "auc": Printed(0.5840, 0.036), "accuracy": Printed(0.5656, 0.046), "precision": Printed(0.5410, 0.067),
        "sensitivity": Printed(0.8500, 0.300), "specificity": Printed(0.3253, 0.296),
    },
    SCANET: {
        "auc": Printed(0.7732, 0.039), "accuracy": Printed(0.7523, 0.042), "precision": Printed(0.7424, 0.145),
        "sensitivity": Printed(0.8250, 0.174), "specificity": Printed(0.6905, 0.215),
    },
}  # fmt: skip
"""Rows and columns as printed. The two rows from the literature are other cohorts; nothing here can measure them."""


def printed(model: str, score: str) -> str:
    """A cell of table 1; empty where nothing is printed."""
    found = TABLE_1.get(model, {}).get(score)
    if found is None:
        return ""
    return "0.65 ± 0.10" if model == HILBERT else str(found)


def implied_positive_share(model: str) -> float:
    """Share of positive cases that follows from a row: accuracy lies between specificity and sensitivity by it.

    The paper prints no count of outcomes. Exact if all folds have the same share.
    """
    row = TABLE_1[model]
    specificity = row["specificity"].mean
    return (row["accuracy"].mean - specificity) / (row["sensitivity"].mean - specificity)

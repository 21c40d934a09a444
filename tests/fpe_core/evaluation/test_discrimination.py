from collections.abc import Callable

import numpy as np
import pytest
from sklearn import metrics as sk

from fpe_core.errors import NotEnoughCases
from fpe_core.evaluation.discrimination import prediction_scores
from fpe_core.evaluation.thresholds import Threshold


@pytest.mark.parametrize("digits", [1, 12])
def test_every_score_is_scikit_learns(digits: int, drawn_cases: Callable) -> None:
    p, labels = drawn_cases(1, 90, digits=digits)
    called = p >= 0.6
    scores = prediction_scores(p, labels, threshold=Threshold(0.6, 0.0))
    assert vars(scores) == pytest.approx(
        {
            "num_cases": 90,
            "num_positive": int(labels.sum()),
            "auc": sk.roc_auc_score(labels, p),
            "average_precision": sk.average_precision_score(labels, p),
            "accuracy": sk.accuracy_score(labels, called),
            "balanced_accuracy": sk.balanced_accuracy_score(labels, called),
            "precision": sk.precision_score(labels, called),
            "sensitivity": sk.recall_score(labels, called),
            "specificity": sk.recall_score(1 - labels, ~called),
            "f1": sk.f1_score(labels, called),
            "brier": np.mean((p - labels) ** 2),
        }
    )


def test_average_precision_by_hand() -> None:
    # From the top: positive (1/1), negative, positive (2/3).
    assert prediction_scores([0.9, 0.8, 0.7], [1, 0, 1], threshold=Threshold(0.5, 0.0)).average_precision == (
        pytest.approx((1 + 2 / 3) / 2)
    )


def test_nothing_called_positive_has_no_precision() -> None:
    scores = prediction_scores([0.1, 0.2], [0, 1], threshold=Threshold(0.5, 0.0))
    assert (scores.precision, scores.f1, scores.sensitivity, scores.specificity) == (None, 0, 0, 1)


def test_one_class_is_refused() -> None:
    with pytest.raises(NotEnoughCases, match="both classes"):
        prediction_scores([0.1, 0.2], [0, 0], threshold=Threshold(0.5, 0.0))

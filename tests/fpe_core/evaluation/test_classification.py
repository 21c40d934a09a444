import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk
from statsmodels.stats.proportion import proportion_confint

from fpe_core.errors import NotEnoughCases
from fpe_core.evaluation.classification import Confusion, confusion_of

pairs = st.lists(st.tuples(st.booleans(), st.booleans()), min_size=2, max_size=40).filter(
    lambda cases: len({label for _, label in cases}) == 2
)


@settings(deadline=None, max_examples=80)
@given(pairs)
def test_rates_are_scikit_learns(cases: list[tuple[bool, bool]]) -> None:
    called, labels = zip(*cases, strict=True)
    ours = confusion_of(called, labels)
    (tn, fp), (fn, tp) = sk.confusion_matrix(labels, called, labels=[False, True])
    assert ours == Confusion(true_positive=tp, false_positive=fp, true_negative=tn, false_negative=fn)
    assert ours.num_cases == len(cases)
    assert ours.sensitivity == pytest.approx(sk.recall_score(labels, called))
    assert ours.specificity == pytest.approx(sk.recall_score(labels, called, pos_label=False))
    assert ours.accuracy == pytest.approx(sk.accuracy_score(labels, called))
    assert ours.balanced_accuracy == pytest.approx(sk.balanced_accuracy_score(labels, called))
    assert ours.youden == pytest.approx(sk.balanced_accuracy_score(labels, called, adjusted=True))
    assert ours.f1 == pytest.approx(sk.f1_score(labels, called, zero_division=0))
    if any(called):
        assert ours.precision == pytest.approx(sk.precision_score(labels, called))
    else:
        assert ours.precision is None


def test_intervals_by_class() -> None:
    confusion = Confusion(true_positive=7, false_positive=5, true_negative=35, false_negative=3)
    sensitivity, specificity = confusion.sensitivity_interval(), confusion.specificity_interval(level=0.9)
    assert (sensitivity.count, sensitivity.total) == (7, 10)
    assert (sensitivity.low, sensitivity.high) == pytest.approx(proportion_confint(7, 10, method="wilson"))
    assert (specificity.count, specificity.total) == (35, 40)
    assert (specificity.low, specificity.high) == pytest.approx(proportion_confint(35, 40, 0.1, method="wilson"))


def test_bad_input() -> None:
    with pytest.raises(ValueError, match="as many as the labels"):
        confusion_of([1], [1, 0])
    with pytest.raises(ValueError, match="0 and 1"):
        confusion_of([0.7, 0.2], [1, 0])
    with pytest.raises(NotEnoughCases, match="2 positive and 0 negative"):
        confusion_of([1, 0], [1, 1])

"""Subgroups of a test cohort."""

import numpy as np

from fpe_core.evaluation.ensemble import FoldVote
from fpe_sim.vdh_rlvo.protocol import Subgroups
from fpe_sim.vdh_rlvo.subgroup_rows import by_age, by_cause, by_sex, cause_of
from tests.fpe_sim.vdh_rlvo.conftest import a_row

# Even numbers have a stenosis, odd ones failed by grade.
ROWS = [
    a_row(i, refractory=i < 8).model_copy(update={"sex": "F" if i % 4 < 2 else "M", "age_years": 70.0 + i})
    for i in range(16)
]
VOTE = FoldVote(
    positive=np.array([True, False] * 4 + [False] * 8),
    vote_share=np.array([1.0, 0.5] * 4 + [0.25] * 8),
    mean_probability=np.linspace(0.9, 0.1, 16),
)
SETTINGS = Subgroups(min_cases_per_class=2)


def test_the_cause_is_icad_above_half_a_stenosis() -> None:
    assert [cause_of(row) for row in ROWS[:2]] == ["ICAD", "other"]
    assert cause_of(ROWS[0].model_copy(update={"stenosis_percent": 50.0})) == "other"
    assert cause_of(ROWS[0].model_copy(update={"stenosis_percent": None})) is None


def test_occlusions_are_found_by_cause() -> None:
    found = by_cause(ROWS, VOTE, SETTINGS)
    shares = {cause: row.detected for cause, row in found.items()}
    assert {cause: (share.count, share.total) for cause, share in shares.items() if share} == {
        "ICAD": (4, 4), "other": (0, 4),
    }  # fmt: skip
    held = by_cause(ROWS, VOTE, Subgroups(min_cases_per_class=5))
    assert all(row.detected is None for row in held.values())


def test_a_tie_of_the_folds_is_no_call_in_a_subgroup_either() -> None:
    found = by_sex(ROWS, VOTE, SETTINGS)
    assert [row.group for row in found.called] == ["men", "women"]
    for row in found.called:
        assert row.scores is not None
        assert (row.scores.sensitivity.count, row.scores.specificity.count) == (2, 4)


def test_the_difference_is_of_two_groups_that_are_shown() -> None:
    found = by_sex(ROWS, VOTE, SETTINGS)
    assert found.difference is not None
    assert found.difference.difference == 0
    one_sided = by_age(ROWS, VOTE, Subgroups(min_cases_per_class=2, age_split_years=78))
    assert one_sided.difference is None
    assert all(row.scores is None for row in one_sided.called)

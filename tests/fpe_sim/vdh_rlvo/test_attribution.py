"""Shares of contributions, and which columns go."""

import pytest

from fpe_sim.vdh_rlvo.attribution import as_contributions, least_predictive, mean_shares

COLUMNS = ("age_years", "sex", "nihss")


def test_each_network_counts_once_whatever_the_size_of_its_features() -> None:
    shares = mean_shares([(COLUMNS, (1.0, 1.0, 2.0)), (COLUMNS, (800.0, 100.0, 100.0))])
    assert shares == pytest.approx({"age_years": (0.25 + 0.8) / 2, "sex": (0.25 + 0.1) / 2, "nihss": (0.5 + 0.1) / 2})
    assert sum(shares.values()) == pytest.approx(1)


def test_a_network_that_no_column_moves_gives_equal_shares() -> None:
    assert mean_shares([(COLUMNS, (0.0, 0.0, 0.0))]) == pytest.approx(dict.fromkeys(COLUMNS, 1 / 3))


def test_the_least_go_first_and_later_columns_before_equal_ones() -> None:
    assert least_predictive({"age_years": 0.5, "sex": 0.1, "nihss": 0.4}, 2) == ("sex", "nihss")
    assert least_predictive({"age_years": 0.2, "sex": 0.2, "nihss": 0.6}, 1) == ("sex",)


def test_the_radar_plot_has_the_columns_in_order() -> None:
    found = as_contributions({"sex": 0.4, "nihss": 0.6})
    assert [(one.column, one.value) for one in found] == [("sex", 0.4), ("nihss", 0.6)]

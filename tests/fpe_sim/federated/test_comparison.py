"""The arithmetic of a comparison, on numbers made by hand."""

import numpy as np
import pytest
from scipy import stats

from fpe_sim.federated.comparison import compare, over_seeds, share_recovered
from fpe_sim.federated.findings import findings, screen
from fpe_sim.federated.protocol import Arm
from fpe_sim.federated.scores import SiteAuc
from fpe_sim.federated.tables import tables

LOCAL = {1: (0.60, 0.64), 2: (0.58, 0.60), 3: (0.66, 0.62)}
FEDERATED = {1: (0.72, 0.70), 2: (0.66, 0.74), 3: (0.71, 0.75)}
POOLED = {1: (0.74, 0.76), 2: (0.71, 0.73), 3: (0.77, 0.79)}


def scores(**arms: dict[int, tuple[float | None, ...]]) -> list[SiteAuc]:
    return [
        SiteAuc(seed, "mr", f"site-{number}", name.replace("_", "-"), auc, 14)  # type: ignore[arg-type]
        for name, by_seed in arms.items()
        for seed, aucs in by_seed.items()
        for number, auc in enumerate(aucs, start=1)
        if auc != -1
    ]


def test_means_are_over_the_sites_within_a_seed() -> None:
    found = compare(scores(local=LOCAL, federated=FEDERATED, pooled=POOLED), seed=1)
    assert found.arms["local"].values == pytest.approx((0.62, 0.59, 0.64))
    assert found.arms["pooled"].mean == pytest.approx(0.75)
    assert found.differences["federated-local"].values == pytest.approx((0.09, 0.11, 0.09))
    assert (found.num_units, found.num_missing) == (6, 0)


def test_intervals_and_p_are_those_of_the_paired_t_test() -> None:
    found = compare(scores(local=LOCAL, federated=FEDERATED, pooled=POOLED), seed=1).differences["pooled-federated"]
    federated, pooled = (np.mean([*arm.values()], axis=1) for arm in (FEDERATED, POOLED))
    expected = stats.ttest_rel(pooled, federated)
    assert found.p_value == pytest.approx(expected.pvalue)
    assert (found.low, found.high) == pytest.approx(tuple(expected.confidence_interval()))


def test_the_share_is_the_ratio_of_the_means() -> None:
    found = compare(scores(local=LOCAL, federated=FEDERATED, pooled=POOLED), seed=1).share
    assert found is not None
    assert found.value == pytest.approx((0.09 + 0.11 + 0.09) / (0.13 + 0.13 + 0.14))
    assert found.low is not None
    assert found.high is not None
    assert found.low <= found.value <= found.high  # type: ignore[operator]
    # Every resample's ratio lies between the least and the greatest of the seeds'.
    assert found.low >= 0.09 / 0.14 - 1e-9
    assert found.high <= 0.11 / 0.13 + 1e-9


@pytest.mark.parametrize("gap", [(0.1, -0.08, 0.05), (-0.1, -0.11, -0.12), (0.1,)])
def test_no_share_where_the_gap_may_be_nothing(gap: tuple[float, ...]) -> None:
    gain = over_seeds([0.05] * len(gap), lowest=-1.0)
    assert share_recovered(gain, over_seeds(gap, lowest=-1.0), seed=1).value is None


def test_a_site_without_an_auc_in_one_arm_counts_in_none() -> None:
    local: dict[int, tuple[float | None, ...]] = {1: (0.60, None), 2: (0.58, 0.60)}
    found = compare(scores(local=local, federated={1: (0.7, 0.1), 2: (0.7, 0.7)}), seed=1)
    assert (found.num_units, found.num_missing) == (3, 1)
    assert found.arms["federated"].values == pytest.approx((0.7, 0.7))
    assert found.share is None


def test_an_arm_whose_aucs_were_all_withheld_is_not_there() -> None:
    local: dict[int, tuple[float | None, ...]] = dict.fromkeys(LOCAL, (None, None))
    out: dict[int, tuple[float | None, ...]] = {1: (0.70, -1)}
    found = compare(scores(local=local, federated=FEDERATED, pooled=POOLED, leave_one_out=out), seed=1)
    assert (list(found.arms), list(found.differences)) == (["federated", "pooled"], ["pooled-federated"])
    assert (found.num_units, found.num_missing, found.left_out_difference) == (6, 0, None)
    assert tables(found)


def test_seeds_that_share_their_patients_are_not_tested() -> None:
    found = compare(scores(local=LOCAL, federated=FEDERATED, pooled=POOLED), seed=1, same_patients=True)
    gain = found.differences["federated-local"]
    assert gain.low is not None
    assert gain.p_value is None
    assert "say nothing of other patients" in " ".join(findings(found, None))
    assert all("of other patients" in table.note for table in tables(found)[:2])


def test_a_left_out_site_is_compared_with_its_own_local_model() -> None:
    out: dict[int, tuple[float | None, ...]] = {1: (0.70, -1), 2: (-1, 0.68)}
    local, federated = ({seed: arm[seed] for seed in (1, 2)} for arm in (LOCAL, FEDERATED))
    found = compare(scores(local=local, federated=federated, leave_one_out=out), seed=1)
    assert found.left_out_difference is not None
    assert found.left_out_difference.values == pytest.approx((0.70 - 0.60, 0.68 - 0.60))
    assert found.left_out["local"].values == pytest.approx((0.60, 0.60))
    # The means of the other arms are over all sites all the same.
    assert found.arms["local"].values == pytest.approx((0.62, 0.59))


def test_one_seed_has_no_interval() -> None:
    found = compare(scores(local={1: (0.6,)}, federated={1: (0.7,)}, pooled={1: (0.8,)}), seed=1)
    only = found.differences["federated-local"]
    assert (only.mean, only.sd, only.low, only.p_value) == (pytest.approx(0.1), None, None, None)
    assert "in a single seed" in " ".join(findings(found, None))
    assert "the gap may be nothing" in screen(found, None)
    assert "not told apart: pooled minus federated is +0.100 in a single seed" in " ".join(findings(found, None))


def test_two_seeds_do_not_put_an_auc_where_none_can_be() -> None:
    found = compare(scores(local={1: (0.6,), 2: (0.9,)}, federated={1: (0.7,), 2: (0.7,)}), seed=1)
    assert (found.arms["local"].low, found.arms["local"].high) == (0.0, 1.0)
    gain = found.differences["federated-local"]
    assert (gain.low, gain.high) == (-1.0, 1.0)
    assert gain.p_value == pytest.approx(float(stats.ttest_1samp([0.1, -0.2], 0.0).pvalue))


def test_seeds_that_agree_to_the_digit_say_nothing_of_others() -> None:
    found = compare(scores(local={1: (0.5,), 2: (0.5,)}, federated={1: (0.75,), 2: (0.75,)}), seed=1)
    assert (found.arms["federated"].low, found.arms["federated"].high) == (0.0, 1.0)
    gain = found.differences["federated-local"]
    assert (gain.mean, gain.low, gain.high, gain.p_value) == (0.25, -1.0, 1.0, None)


def test_what_did_not_come_out_is_said() -> None:
    worse = compare(scores(local=POOLED, federated=LOCAL, pooled=FEDERATED), seed=1)
    told = " ".join(findings(worse, 0.87))
    assert "Federation lowers a site's held-out AUC, against learning alone" in told
    assert "too small" in told
    reversed_gap = compare(scores(local=POOLED, federated=FEDERATED, pooled=LOCAL), seed=1)
    assert "worse than each site alone, so there is no gap to recover" in findings(reversed_gap, None)[0]
    assert "Pooling all cases is better than federation" in told
    better = " ".join(findings(compare(scores(local=LOCAL, federated=FEDERATED, pooled=POOLED), seed=1), 0.87))
    assert "Federation recovers 72%" in better
    assert "0.870" in better


def test_tables_and_screen_hold_the_numbers() -> None:
    everything = {"local": LOCAL, "federated": FEDERATED, "pooled": POOLED, "leave_one_out": {1: (0.7, -1)}}
    found = compare(scores(**everything), seed=1)  # type: ignore[arg-type]
    made = {table.id: table for table in tables(found)}
    assert list(made) == ["auc-by-arm", "differences", "leave-one-out", "auc-by-site"]
    for table in made.values():
        assert {len(row.entries) for row in table.rows} == {len(table.columns)}
    assert [row.name for row in made["auc-by-arm"].rows] == ["Each site alone", "Federated", "All cases pooled"]
    assert made["auc-by-arm"].rows[0].entries[0].here == "0.617"
    assert made["differences"].rows[3].entries[0].value == pytest.approx(0.725)
    shown = screen(found, 0.87)
    assert "Federated − alone" in shown
    assert "72%" in shown
    assert len(shown.splitlines()) < 24
    assert max(map(len, shown.splitlines())) <= 100


def test_arms_that_were_not_run_are_not_shown() -> None:
    arms: list[Arm] = ["federated"]
    found = compare(scores(federated=FEDERATED), seed=1)
    assert list(found.arms) == arms
    assert (found.differences, found.share, found.left_out, found.left_out_difference) == ({}, None, {}, None)
    assert [table.id for table in tables(found)] == ["auc-by-arm", "auc-by-site"]
    assert findings(found, 0.87)

"""Tables, sentences and numbers of a study made by hand."""

from dataclasses import replace

import numpy as np
import pytest

from fpe_core.data.clinical_columns import CTP_COLUMNS, RLVO_COLUMNS
from fpe_core.evaluation.mcnemar import mcnemar_test
from fpe_sim.protocol_results import ResultTable, Row
from fpe_sim.vdh_rlvo import paper
from fpe_sim.vdh_rlvo.ablation import AblationStudy, best_variant
from fpe_sim.vdh_rlvo.attribution import Attribution
from fpe_sim.vdh_rlvo.baselines import clinical_folds, found_odds_ratios
from fpe_sim.vdh_rlvo.cohort import StudyCohort, fold_numbers, labels_of, recovered, study_cohort
from fpe_sim.vdh_rlvo.figures import shown_cases
from fpe_sim.vdh_rlvo.findings import departures, findings
from fpe_sim.vdh_rlvo.judged import Folds, judged_probabilities, majority_vote
from fpe_sim.vdh_rlvo.networks import Variant, all_variants
from fpe_sim.vdh_rlvo.protocol import VdhProtocol
from fpe_sim.vdh_rlvo.results import numbers
from fpe_sim.vdh_rlvo.study import Study
from fpe_sim.vdh_rlvo.tables import score_tables
from fpe_sim.vdh_rlvo.tables_cases import case_tables, flow_table
from fpe_sim.vdh_rlvo.tables_columns import column_tables
from fpe_sim.vdh_rlvo.trained import ModelSpec, TrainedModel, full_spec
from tests.fpe_sim.vdh_rlvo.conftest import MakeCohort

FEWER = tuple(column for column in RLVO_COLUMNS if column not in CTP_COLUMNS)


def some_folds(cohort: StudyCohort, protocol: VdhProtocol, *, signal: float) -> Folds:
    """Predictions that know the label as well as `signal` says."""
    division, rng = cohort.division, np.random.default_rng(7)
    labels, test = labels_of(division.development), labels_of(division.test)

    def guess(truth: np.ndarray) -> np.ndarray:
        return np.clip(0.5 + signal * (truth - 0.5) + rng.normal(0, 0.1, len(truth)), 0, 1)

    return tuple(
        judged_probabilities(
            validation=guess(labels[fold]), validation_labels=labels[fold], test=guess(test), test_labels=test
        )
        for fold in fold_numbers(division.development, protocol)
    )


@pytest.fixture
def study(make_cohort: MakeCohort, protocol: VdhProtocol) -> Study:
    """EfficientNet-B0 plain and with DAFT, which is better; models B and C."""
    cohort = study_cohort(make_cohort(), protocol)
    models = {}
    for variant, signal in zip(all_variants(protocol), (0.1, 0.6), strict=True):
        folds = some_folds(cohort, protocol, signal=signal)
        models[variant] = TrainedModel(full_spec(variant, cohort), {"cta": folds}, folds)
    best = best_variant(models, with_daft=True)
    assert best is not None
    more = recovered(cohort, FEWER)
    specs = [ModelSpec("model-b", best, FEWER, cohort.division.development), ModelSpec("model-c", best, FEWER, more)]
    b, c = (TrainedModel(spec, {}, some_folds(cohort, protocol, signal=0.3)) for spec in specs)
    shares = dict.fromkeys(RLVO_COLUMNS, 1 / 18)
    found = AblationStudy(
        models[best], b, c, Attribution(shares, {"cta": shares}), CTP_COLUMNS, more[len(cohort.division.development) :]
    )
    development = cohort.division.development
    return Study(
        protocol, cohort, clinical_folds(cohort.division, protocol), found_odds_ratios(development), models, found
    )


def table_of(tables: list[ResultTable], table_id: str) -> dict[str, Row]:
    (found,) = (table for table in tables if table.id == table_id)
    return {row.name: row for row in found.rows}


def test_table_2_has_all_printed_rows_and_empty_cells_where_nothing_was_trained(study: Study) -> None:
    rows = table_of(score_tables(study), "table-2")
    assert len(rows) == len(paper.TABLE_2)
    assert rows["NCCT"].entries[0].here == ""
    assert rows["NCCT"].entries[0].paper == ".47 ± .05"
    assert rows["CTA"].entries[0].value is not None
    assert rows["all clinical"].entries[0].sd is not None


def test_table_3_keeps_the_networks_that_were_left_out(study: Study) -> None:
    rows = table_of(score_tables(study), "table-3")
    assert len(rows) == 8
    assert [entry.paper for entry in rows["D169 + prior + DAFT"].entries] == [
        ".64 ± .05", ".37 ± .05", ".74 ± .10", ".54 ± .15", ".63 ± .02", ".31 ± .02", ".74 ± .16", ".53 ± .18",
    ]  # fmt: skip
    assert not any(entry.here for entry in rows["D169 + prior + DAFT"].entries)
    assert all(entry.here for entry in rows["EffB0 + DAFT"].entries)


def test_the_vote_is_scored_by_the_majority(study: Study) -> None:
    entries = table_of(score_tables(study), "majority-vote")["model A, majority of the folds"].entries
    assert study.ablation is not None
    vote, labels = majority_vote(study.ablation.a.folds), labels_of(study.cohort.division.test)
    assert entries[2].value == pytest.approx(vote.positive[labels == 1].mean())
    assert entries[3].value == pytest.approx(1 - vote.positive[labels == 0].mean())
    assert entries[0].low is not None
    assert entries[0].paper == ".70 ± .02"


def test_the_share_of_the_reachable_auc(study: Study) -> None:
    rows = table_of(score_tables(study), "reachable")
    image = rows["images: EffB0"].entries
    assert image[1].value is not None
    assert image[3].value == pytest.approx(image[1].value / 0.7)


def test_the_gain_stands_beside_the_difference_of_the_printed_means(study: Study) -> None:
    entries = table_of(column_tables(study), "daft-gain")["EffB0 + DAFT"].entries
    assert [entry.paper for entry in entries[:2]] == ["-0.01", "+0.02"]
    assert all(entry.low is not None for entry in entries)


def test_odds_ratios_fall_back_to_the_printed_columns(study: Study) -> None:
    # 14 cases are too few for 18 columns.
    assert study.odds.num_columns in (0, 4)
    assert study.odds.remark
    rows = table_of(column_tables(study), "odds-ratios")
    assert len(rows) == 4
    assert rows["nihss (per point)"].entries[0].paper.startswith("1.04")


def test_mcnemar_is_of_the_votes(study: Study) -> None:
    row = table_of(case_tables(study), "mcnemar")["model A against model B"]
    assert study.ablation is not None
    a, b = (study.ablation.vote(letter).positive for letter in "AB")
    test = mcnemar_test(first_called=a, second_called=b, labels=labels_of(study.cohort.division.test))
    assert row.entries[0].value == test.only_first_right
    assert [entry.paper for entry in row.entries] == ["", "", "9.53", "p = .002"]


def test_the_flow_shows_who_comes_back(study: Study) -> None:
    rows = {row.name: [entry.value for entry in row.entries] for row in flow_table(study).rows}
    assert rows["included"] == [22, 24]
    assert rows["development cases"] == [14, 16]
    assert rows["development cases, refractory"] == [6, 7]
    assert rows["test cases"] == [8, 8]


def test_findings_say_whether_daft_is_told_from_nothing(study: Study) -> None:
    overall, first, *others = findings(study)
    assert overall.startswith(("DAFT helps: one network", "That DAFT helps is not shown: one network"))
    assert "EffB0 + DAFT against the same network without DAFT" in first
    assert "excludes zero" in first or "includes zero" in first
    assert any("How wide things are" in one for one in others)
    assert any("any model can reach" in one for one in others)


def test_a_narrowed_run_says_so(study: Study) -> None:
    said = " ".join(departures(study))
    assert "Narrowed run: encoders efficientnet-b0" in said
    assert "64 × 80 × 64" in said
    assert "Table 4's sensitivity" in said


def test_numbers_are_flat_and_finite(study: Study) -> None:
    found = numbers(study)
    assert found["num_networks"] == 4
    assert found["num_recovered"] == 2
    assert found["auc.validation.efficientnet-b0-daft"] > found["auc.validation.efficientnet-b0-plain"]
    assert found["daft_gain.validation.efficientnet-b0-daft"] > 0
    assert np.isfinite(list(found.values())).all()


def test_patients_have_no_reachable_auc(study: Study) -> None:
    patients = replace(study.cohort.ready, reachable_auc={}, synthetic=False)
    real = replace(study, cohort=replace(study.cohort, ready=patients))
    assert "reachable" not in {table.id for table in score_tables(real)}
    assert not any("reach" in one for one in findings(real))
    assert not any(name.startswith("share_of_reachable") for name in numbers(real))


def test_figure_3_shows_what_was_found_and_one_false_alarm(study: Study) -> None:
    assert study.ablation is not None
    vote, labels = study.ablation.vote("A"), labels_of(study.cohort.division.test)
    shown = shown_cases(study.ablation)
    assert 1 <= len(shown) <= 3
    for words, case in shown:
        assert (vote.positive[case], labels[case]) == {
            "refractory and found": (True, 1), "refractory and missed": (False, 1), "false alarm": (True, 0),
        }[words]  # fmt: skip


def test_a_run_without_daft_has_all_tables_still(study: Study) -> None:
    plain = Variant("efficientnet-b0", "plain")
    bare = Study(study.protocol, study.cohort, study.clinical, study.odds, {plain: study.models[plain]}, None)
    for table in (flow_table(bare), *score_tables(bare), *column_tables(bare), *case_tables(bare)):
        assert all(len(row.entries) == len(table.columns) for row in table.rows), table.id
    assert not table_of(score_tables(bare), "table-4")["model A"].entries[0].here
    assert findings(bare)
    assert numbers(bare)["num_networks"] == 2

"""Tables have all that the paper prints, sentences say what the numbers say, and figures are written."""

from collections.abc import Callable
from pathlib import Path

import pytest

from fpe_core.evaluation.folds import mean_sd
from fpe_sim.run_context import RunContext
from fpe_sim.ucla_scanet.figures import save_all_figures
from fpe_sim.ucla_scanet.outcome import ScanetOutcome
from fpe_sim.ucla_scanet.paper import MODELS, SCANET, TABLE_1, implied_positive_share
from fpe_sim.ucla_scanet.protocol import UclaScanet
from fpe_sim.ucla_scanet.sentences import discrepancies, findings, numbers
from fpe_sim.ucla_scanet.tables import all_tables, inclusion, performance, reachable

MakeOutcome = Callable[..., ScanetOutcome]


def test_table_1_has_every_row_of_the_paper_and_here_where_it_was_measured(make_outcome: MakeOutcome) -> None:
    table = performance(make_outcome())
    assert [row.name for row in table.rows] == list(TABLE_1)
    assert all(len(row.entries) == len(table.columns) == 5 for row in table.rows)
    literature, measured = table.rows[:2], table.rows[2:]
    assert [row.entries[0].paper for row in literature] == ["0.717", "0.65 ± 0.10"]
    assert not any(entry.here for row in literature for entry in row.entries)
    assert all(entry.here and entry.paper for row in measured for entry in row.entries)
    assert measured[2].entries[0].paper == "0.7732 ± 0.039"


def test_table_1_is_the_mean_over_held_out_folds(make_outcome: MakeOutcome) -> None:
    outcome = make_outcome((0.05, 0.0, 0.6))
    entry = performance(outcome).rows[2].entries[0]
    expected = mean_sd([fold.scores.auc for fold in outcome.predictions["Radiomics"]])
    assert (entry.value, entry.sd) == (expected.mean, expected.sd)


def test_the_paper_s_rows_agree_on_the_share_of_positive_cases() -> None:
    """Which is what makes the share believable: three rows, one answer."""
    shares = [implied_positive_share(model) for model in MODELS]
    assert shares == pytest.approx([0.457] * 3, abs=0.003)
    assert round(177 * 0.457) == 81


def test_inclusion_has_the_papers_counts(make_outcome: MakeOutcome) -> None:
    rows = {row.name: row.entries[0] for row in inclusion(make_outcome()).rows}
    assert [(entry.here, entry.paper) for entry in list(rows.values())[:4]] == [
        ("20", "254"),
        ("6", "69"),
        ("2", "8"),
        ("12", "177"),
    ]
    assert (rows["final mTICI ≥ 2c"].here, rows["final mTICI ≥ 2c"].paper) == ("6 (50.0%)", "about 46%")


def test_nobody_knows_what_is_reachable_for_patients(make_outcome: MakeOutcome) -> None:
    phantoms, patients = make_outcome(), make_outcome(reachable=False)
    table = reachable(phantoms)
    assert table is not None
    assert table.rows[2].entries[3].value == pytest.approx(phantoms.auc(SCANET).mean / 0.9)
    assert reachable(patients) is None
    assert "reachable" not in " ".join(table.id for table in all_tables(patients))
    assert "reachable_auc" in numbers(phantoms)
    assert not any("reachable" in name for name in numbers(patients))


def test_sentences_follow_the_numbers_in_both_directions(make_outcome: MakeOutcome) -> None:
    as_paper, reversed_order = make_outcome((0.08, -0.1, 0.6)), make_outcome((0.08, 0.6, -0.1))
    assert as_paper.order() == ("SCANet", "Radiomics", "ResNet34")
    assert any("as in the paper" in text for text in findings(as_paper))
    assert not any("as in the paper" in text for text in findings(reversed_order))
    assert any("SCANet − ResNet34: -" in text for text in findings(reversed_order))
    assert numbers(as_paper)["auc_scanet_minus_resnet34"] > 0 > numbers(reversed_order)["auc_scanet_minus_resnet34"]
    assert "0.7732 ± 0.039" in findings(as_paper)[0]


def test_a_difference_is_called_shown_where_both_tests_show_it(make_outcome: MakeOutcome) -> None:
    clear, none = (findings(make_outcome((0.0, other, 0.6), num_folds=5)) for other in (-0.1, 0.6))
    assert "both show a difference" in clear[1]
    assert "no difference is shown" in none[1]
    assert "nothing above chance" in " ".join(clear)


def test_what_was_chosen_and_what_differs_is_said(protocol: UclaScanet, make_outcome: MakeOutcome) -> None:
    said = " ".join(discrepancies(protocol, make_outcome()))
    assert "number of folds; here there are 2" in said
    assert "width 8 instead of 64" in said
    assert "12 cases take part instead of the paper's 177" in said
    full = protocol.model_copy(update={"dials": protocol.dials.model_copy(update={"images": "full"})})
    assert "width 8" not in " ".join(discrepancies(full, make_outcome()))


def test_figures_are_written_for_phantoms_and_patients(make_outcome: MakeOutcome, tmp_path: Path) -> None:
    for outcome in (make_outcome(), make_outcome(reachable=False)):
        made = save_all_figures(outcome, RunContext(tmp_path, jobs=1))
        for figure in made:
            assert (tmp_path / "figures" / f"{figure.id}.png").stat().st_size > 10_000
        drawn = (tmp_path / "figures" / "aucs.svg").read_text()
        assert ("reachable" in drawn) == outcome.facts.synthetic

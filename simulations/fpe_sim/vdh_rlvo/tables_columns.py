"""Tables of the clinical columns: what DAFT adds, what each column contributes, and odds ratios."""

from fpe_core.data.clinical_columns import COLUMN_RULES
from fpe_core.evaluation.comparison import AucComparison
from fpe_sim.protocol_results import DELONG_RANGE, Entry, ResultTable, Row, interval_entry
from fpe_sim.vdh_rlvo import paper
from fpe_sim.vdh_rlvo.judged import PARTS
from fpe_sim.vdh_rlvo.networks import Variant
from fpe_sim.vdh_rlvo.study import Study


def column_tables(study: Study) -> list[ResultTable]:
    """DAFT's gain, contributions, odds ratios."""
    return [gain_table(study), contribution_table(study), odds_table(study)]


def gain_table(study: Study) -> ResultTable:
    """DAFT against the same network without it."""
    rows = []
    for gain in study.gains:
        printed = [_printed_gain(gain.variant, place) for place in (0, 1)]
        folds = [
            interval_entry(found.mean, found.low, found.high, text)
            for found, text in zip((gain.by_fold["validation"], gain.by_fold["test"]), printed, strict=True)
        ]
        delong = [_comparison(gain.pooled[part]) for part in PARTS]
        rows.append(Row(name=gain.variant.label, entries=(*folds, *delong)))
    if pairs := study.network_pairs:
        overall = [_comparison(gain) for gain in study.overall_gains.values()]
        name = f"all networks, {_pairs(len(pairs))}"
        rows.append(Row(name=name, entries=(Entry(), Entry(), *overall)))
    return ResultTable(
        id="daft-gain",
        title="What DAFT adds: AUC with it minus AUC of the same network without it",
        columns=(
            "validation, mean over folds", "test, mean over folds", "validation, all folds' cases (DeLong)",
            "test, mean of the folds (DeLong)",
        ),
        rows=tuple(rows),
        note="95 % intervals. Over folds: Student's, paired by fold; folds share training cases, so that it is too "
        "narrow. DeLong's: paired by case; it takes the networks as given and leaves out what another training would "
        f"change, and is {DELONG_RANGE}. The last row is about the networks before they vote, each fold scored on its "
        "own, for which each needs two cases of a class. The paper's column is the difference of its printed means.",
    )  # fmt: skip


def _pairs(number: int) -> str:
    return "1 pair" if number == 1 else f"{number} pairs"


def odds_table(study: Study) -> ResultTable:
    """Odds ratios in the development cohort; the paper prints four."""
    odds = study.odds
    columns = list(paper.ODDS_RATIOS) + [name for name in odds.by_column if name not in paper.ODDS_RATIOS]
    rows = []
    for column in columns:
        printed = paper.ODDS_RATIOS[column][1] if column in paper.ODDS_RATIOS else ""
        entry = Entry(paper=printed)
        if found := odds.by_column.get(column):
            here = f"{found.odds_ratio:.3g} ({found.low:.3g} to {found.high:.3g}), p = {found.p:.3f}"
            entry = Entry(here=here, paper=printed, value=found.odds_ratio, low=found.low, high=found.high)
        rows.append(Row(name=f"{column} (per {COLUMN_RULES[column].unit})", entries=(entry,)))
    cases = next((found.num_cases for found in odds.by_column.values()), 0)
    remark = f" Of fewer columns than the paper's, because: {odds.remark}." if odds.remark else ""
    return ResultTable(
        id="odds-ratios",
        title="Section 3.1: odds ratios of the clinical columns",
        columns=("odds ratio (95 % interval)",),
        rows=tuple(rows),
        note=f"Multivariate logistic regression without penalty on {cases} complete cases of the development cohort, "
        f"{odds.num_columns} columns.{remark}",
    )


def contribution_table(study: Study) -> ResultTable:
    """Shares of the columns' contributions, largest first."""
    found = study.ablation
    rows = []
    if found:
        validation = found.attribution.validation
        for column in sorted(validation, key=lambda name: -validation[name]):
            printed = "among the top five" if column in paper.TOP_CONTRIBUTORS else ""
            entries = [Entry(here=f"{validation[column]:.3f}", paper=printed, value=validation[column])]
            entries += [
                Entry(here=f"{shares[column]:.3f}", value=shares[column]) for shares in found.attribution.test.values()
            ]
            rows.append(Row(name=column, entries=tuple(entries)))
    inputs = tuple(f"{name.upper()}, test cases" for name in (found.attribution.test if found else ()))
    return ResultTable(
        id="contributions",
        title="Figure 4: share of each clinical column in what moves model A's features",
        columns=("all inputs, validation cases", *inputs),
        rows=tuple(rows),
        note="A column's contribution |∂S/∂T| · |F̄| + |∂B/∂T| divided by the sum over the columns, mean over the "
        "folds. Model B goes without the last ones by the first column.",
    )


def _printed_gain(variant: Variant, part: int) -> str:
    with_daft, without = (float(paper.TABLE_3[one.id][part][0].split()[0]) for one in (variant, variant.without_daft))
    return f"{with_daft - without:+.2f}"


def _comparison(found: AucComparison) -> Entry:
    return interval_entry(found.difference, found.low, found.high)

"""The tables: the paper's table 1 beside ours, and what it leaves out."""

from fpe_core.evaluation.folds import mean_sd
from fpe_sim.protocol_results import DELONG_RANGE, Entry, ResultTable, Row, interval_entry, mean_sd_entry
from fpe_sim.ucla_scanet.comparison import ModelComparison
from fpe_sim.ucla_scanet.outcome import ScanetOutcome
from fpe_sim.ucla_scanet.paper import (
    ELIGIBLE,
    INCLUDED,
    MODELS,
    SCORE_TITLES,
    SCORES,
    SERIES_MISSING,
    SIDE_UNCLEAR,
    TABLE_1,
    implied_positive_share,
    printed,
)

_MISSING_REASON, _SIDE_REASON = "missing series", "side of the stroke unclear"
_MOST_FEATURES = 12


def all_tables(outcome: ScanetOutcome) -> tuple[ResultTable, ...]:
    """Every table of the report, the paper's own first."""
    tables = (
        performance(outcome), comparisons(outcome), reachable(outcome), inclusion(outcome), folds(outcome),
        selected_features(outcome),
    )  # fmt: skip
    return tuple(table for table in tables if table is not None)


def performance(outcome: ScanetOutcome) -> ResultTable:
    """Table 1: five scores of each model, mean (SD) over the held-out folds."""
    rows = []
    for model in TABLE_1:
        found = outcome.summary(model) if model in MODELS else {}
        cells = (mean_sd_entry(found.get(score), printed(model, score)) for score in SCORES)
        rows.append(Row(name=model, entries=tuple(cells)))
    return ResultTable(
        id="performance",
        title="Table 1: prediction of final mTICI ≥ 2c from CT and CTA",
        columns=SCORE_TITLES,
        rows=tuple(rows),
        note=(
            "Here: mean (SD, n − 1) over the held-out folds; paper: mean ± SD. Each fold's threshold is the largest "
            "Youden index among its development cases. The two rows from the literature are other cohorts."
        ),
    )


def comparisons(outcome: ScanetOutcome) -> ResultTable:
    """SCANet against each other model, over folds and pooled."""
    return ResultTable(
        id="comparisons",
        title="Difference of ROC-AUC on the same held-out cases",
        columns=("mean over folds (95 % CI)", "p, paired t", "pooled (95 % CI)", "p, DeLong"),
        rows=tuple(_compared(one) for one in outcome.comparisons()),
        note=(
            "Paired t over folds does not know that folds share development cases: its interval is on the narrow side. "
            "Pooled: DeLong's paired test on all held-out cases, each predicted by the model of its fold; its interval "
            f"is {DELONG_RANGE}; Student's is, where all folds differ alike. "
            "The paper prints no comparison; its differences are those of table 1."
        ),
    )


def reachable(outcome: ScanetOutcome) -> ResultTable | None:
    """AUCs as shares of the best that can be reached; None for a real cohort, where nobody knows it."""
    best = outcome.reachable_auc
    if best is None:
        return None
    rows = []
    for model in MODELS:
        auc, together = outcome.auc(model), outcome.pooled_auc(model)
        entries = (
            mean_sd_entry(auc),
            interval_entry(together.auc, together.low, together.high),
            Entry(here=f"{best:.3f}", value=best),
            Entry(here=f"{auc.mean / best:.0%}", value=auc.mean / best),
            Entry(here=f"{above_chance(auc.mean, best):.0%}", value=above_chance(auc.mean, best)),
        )
        rows.append(Row(name=model, entries=entries))
    return ResultTable(
        id="reachable",
        title="ROC-AUC against the best that the images allow",
        columns=("mean (SD)", "pooled (95 % CI)", "reachable", "share of it", "share of it above chance"),
        rows=tuple(rows),
        note="Reachable: by knowing exactly what each phantom's images show. Above chance: (AUC − ½) / (best − ½).",
    )


def inclusion(outcome: ScanetOutcome) -> ResultTable:
    """Who took part."""
    counts = dict(outcome.flow.excluded)
    paper = {_MISSING_REASON: SERIES_MISSING, _SIDE_REASON: SIDE_UNCLEAR}
    shares = [implied_positive_share(model) for model in MODELS]
    rows = [_count("eligible", outcome.flow.eligible, ELIGIBLE)]
    rows += [
        _count(reason, number, paper.get(reason)) for reason, number in counts.items() if number or reason in paper
    ]
    rows.append(_count("included", outcome.facts.num_included, INCLUDED))
    positive = outcome.facts.num_positive / max(outcome.facts.num_included, 1)
    rows.append(
        Row(
            name="final mTICI ≥ 2c",
            entries=(
                Entry(
                    here=f"{outcome.facts.num_positive} ({positive:.1%})",
                    paper=f"about {mean_sd(shares).mean:.0%}",
                    value=float(outcome.facts.num_positive),
                ),
            ),
        )
    )
    return ResultTable(
        id="inclusion",
        title="Inclusion",
        columns=("cases",),
        rows=tuple(rows),
        note=(
            "The paper prints no count of outcomes and calls them about balanced; the share follows from accuracy, "
            "sensitivity and specificity in its table 1."
        ),
    )


def folds(outcome: ScanetOutcome) -> ResultTable:
    """Each held-out fold."""
    networks = tuple(outcome.num_epochs)
    numbered = enumerate(next(iter(outcome.predictions.values())))
    rows = tuple(
        Row(
            name=f"fold {fold.number}",
            entries=(
                _number(len(fold.labels)),
                _number(int(fold.labels.sum())),
                *(_auc(outcome.predictions[model][place].scores.auc) for model in MODELS),
                *(_number(outcome.num_epochs[network][place]) for network in networks),
            ),
        )
        for place, fold in numbered
    )
    return ResultTable(
        id="folds",
        title="Held-out folds",
        columns=("cases", "positive", *(f"AUC {model}" for model in MODELS), *(f"epochs {name}" for name in networks)),
        rows=rows,
        note="Epochs: all that were trained; the weights of the one with the lowest validation loss are kept.",
    )


def selected_features(outcome: ScanetOutcome) -> ResultTable:
    """What the radiomics baseline looks at."""
    most_often = list(outcome.baseline.times_selected.items())[:_MOST_FEATURES]
    num_folds = len(outcome.baseline.folds)
    return ResultTable(
        id="radiomics-features",
        title="Radiomics features that were selected most often",
        columns=(f"folds of {num_folds}",),
        rows=tuple(Row(name=name, entries=(_number(times),)) for name, times in most_often),
        note="Selected anew in each fold, among its development cases.",
    )


def above_chance(auc: float, best: float) -> float:
    """(AUC − ½) / (best − ½): 0 for guessing, 1 for the best."""
    return (auc - 0.5) / (best - 0.5)


def _compared(one: ModelComparison) -> Row:
    paper = TABLE_1[one.first]["auc"].mean - TABLE_1[one.second]["auc"].mean
    over, together = one.over_folds, one.pooled
    entries = (
        interval_entry(over.mean, over.low, over.high, f"{paper:.3f}"),
        _p_value(over.p_value),
        interval_entry(together.difference, together.low, together.high),
        _p_value(together.p_value),
    )
    return Row(name=f"{one.first} − {one.second}", entries=entries)


def _p_value(value: float | None) -> Entry:
    return Entry() if value is None else Entry(here="< .001" if value < 0.001 else f"{value:.3f}", value=value)


def _count(name: str, here: int, paper: int | None) -> Row:
    return Row(name=name, entries=(Entry(here=str(here), paper="" if paper is None else str(paper), value=here),))


def _number(value: int) -> Entry:
    return Entry(here=str(value), value=float(value))


def _auc(value: float) -> Entry:
    return Entry(here=f"{value:.3f}", value=value)

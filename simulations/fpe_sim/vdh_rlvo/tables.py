"""Tables 2 to 4 of the paper, and those of what its text says, with this run's numbers beside."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, get_args

from fpe_core.evaluation.delong import delong_interval
from fpe_core.evaluation.discrimination import prediction_scores
from fpe_core.evaluation.folds import MeanSd
from fpe_core.evaluation.scores import AucInterval
from fpe_core.evaluation.thresholds import Threshold
from fpe_sim.protocol_results import DELONG_RANGE, Entry, ResultTable, Row, interval_entry, mean_sd_entry
from fpe_sim.vdh_rlvo import paper
from fpe_sim.vdh_rlvo.ablation import AblationStudy
from fpe_sim.vdh_rlvo.judged import Folds, Part, pooled_interval, summary
from fpe_sim.vdh_rlvo.networks import Variant
from fpe_sim.vdh_rlvo.protocol import Configuration, Encoder, Input
from fpe_sim.vdh_rlvo.study import Study

_SCORES: Final = ("auc", "f1", "sensitivity", "specificity")
_NOT_TRAINED: Final = "Rows without numbers here were not trained in this narrowed run."
_BASELINE_WORDS: Final = {
    "nihss": "NIHSS", "aspects": "ASPECTS", "nihss-aspects": "NIHSS + ASPECTS", "all-clinical": "all clinical",
}  # fmt: skip
_MEAN_SD: Final = (
    "Mean (SD) over the folds; the threshold of each fold maximises Youden's index in its validation cases."
)


def score_tables(study: Study) -> list[ResultTable]:
    """Tables 2, 3 and 4, the majority vote and, of phantoms, the reachable AUC."""
    tables = [table_2(study), table_3(study), table_4(study), vote_table(study)]
    return [*tables, reachable_table(study)] if study.cohort.ready.reachable_auc else tables


def table_2(study: Study) -> ResultTable:
    """Validation by what is seen: clinical scores, images, ensemble."""
    shown = study.images_alone
    rows = [
        Row(name=_BASELINE_WORDS[name], entries=_score_entries(folds, "validation", paper.TABLE_2[name]))
        for name, folds in study.clinical.items()
    ]
    inputs = study.models[shown].inputs if shown else {}
    rows += [
        Row(name=name.upper(), entries=_score_entries(inputs.get(name), "validation", paper.TABLE_2[name]))
        for name in get_args(Input)
    ]
    folds = study.models[shown].folds if shown and len(study.protocol.inputs) > 1 else None
    rows.append(Row(name="ensemble", entries=_score_entries(folds, "validation", paper.TABLE_2["ensemble"])))
    return ResultTable(
        id="table-2",
        title="Table 2: validation, by what is seen",
        columns=paper.SCORES,
        rows=tuple(rows),
        note=f"{_MEAN_SD} Images: {shown.label if shown else 'not trained'}, without prior and DAFT. "
        + "The paper prints the best result of each input and does not say of which network.",
    )


def _members(inputs: Sequence[Input]) -> str:
    shown = [one.upper() for one in inputs]
    if len(shown) == 1:
        return f"each on {shown[0]} alone"
    return f"each an ensemble over {', '.join(shown[:-1])} and {shown[-1]}"


def table_3(study: Study) -> ResultTable:
    """Every encoder and configuration, in validation and on the test cohort."""
    rows = []
    for encoder in get_args(Encoder):
        for configuration in get_args(Configuration):
            variant = Variant(encoder, configuration)
            model = study.models.get(variant)
            rows.append(_both_parts(variant.label, model.folds if model else None, paper.TABLE_3[variant.id]))
    return ResultTable(
        id="table-3",
        title=f"Table 3: encoders and configurations, {_members(study.protocol.inputs)}",
        columns=_both_parts_columns(),
        rows=tuple(rows),
        note=f"{_MEAN_SD} {_NOT_TRAINED if study.protocol.narrowed else ''}".strip(),
    )


def table_4(study: Study) -> ResultTable:
    """Models A, B and C."""
    found, rows = study.ablation, []
    for letter, printed in paper.TABLE_4.items():
        folds = found.models[letter].folds if found else None
        rows.append(_both_parts(f"model {letter}", folds, printed))
    return ResultTable(
        id="table-4",
        title="Table 4: fewer clinical columns, and more patients",
        columns=_both_parts_columns(),
        rows=tuple(rows),
        note=_ablation_note(found) if found else "No network with DAFT was trained.",
    )


def vote_table(study: Study) -> ResultTable:
    """The majority over the folds on the test cohort, for models A, B and C."""
    rows = [
        Row(
            name="model A, mean over the folds",
            entries=_score_entries(study.ablation.a.folds if study.ablation else None, "test", paper.TABLE_4["A"][1]),
        )
    ]
    for letter in paper.TABLE_4:
        printed = paper.MAJORITY_VOTE if letter == "A" else ("", "", "", "")
        rows.append(Row(name=f"model {letter}, majority of the folds", entries=_vote_entries(study, letter, printed)))
    return ResultTable(
        id="majority-vote",
        title="Section 3.2: majority vote over the folds, test cohort",
        columns=paper.SCORES,
        rows=tuple(rows),
        note="AUC of the vote: of the mean probability over the folds, with DeLong's 95 % interval, "
        f"{DELONG_RANGE}. A case is called positive by more than half of the folds; a tie is negative.",
    )


@dataclass(frozen=True)
class Reached:
    """AUC of one source of information.

    Attributes:
        seen: images, table or both.
        name: of the model.
        validation: of out-of-fold predictions side by side.
        test: of the mean probability over the folds.
        reachable: best AUC that any model can reach; None for patients.
    """

    seen: str
    name: str
    validation: AucInterval
    test: AucInterval
    reachable: float | None

    @property
    def share(self) -> float | None:
        """Test AUC by the reachable one."""
        return self.test.auc / self.reachable if self.reachable else None


def reachable_table(study: Study) -> ResultTable:
    """The AUC that any model could reach on phantoms, and what share of it this run's models have."""
    rows = [
        Row(
            name=one.name,
            entries=(_interval(one.validation), _interval(one.test), _number(one.reachable), _number(one.share)),
        )
        for one in reached(study)
    ]
    return ResultTable(
        id="reachable",
        title="AUC beside the best that any model can reach on these phantoms",
        columns=("validation AUC", "test AUC", "reachable", "test AUC by the reachable"),
        rows=tuple(rows),
        note=f"DeLong's 95 % interval, {DELONG_RANGE}; validation: out-of-fold "
        "predictions side by side; test: mean probability over the folds. The reachable AUC is that of the "
        "development population, by what is seen; a small test cohort can lie above it by chance, and the model of "
        "both was the best of several in validation.",
    )


def reached(study: Study) -> list[Reached]:
    """For images, table and both, as far as they were trained."""
    seen: list[tuple[str, str, Folds]] = []
    if study.images_alone:
        plain = study.images_alone
        seen.append(("images", f"images: {plain.label}", study.models[plain].folds))
    seen.append(("table", "table: regression on all columns", study.clinical["all-clinical"]))
    if study.ablation:
        seen.append(("both", f"both: {study.ablation.a.spec.variant.label}", study.ablation.a.folds))
    best = study.cohort.ready.reachable_auc
    return [
        Reached(kind, name, pooled_interval(folds, "validation"), pooled_interval(folds, "test"), best.get(kind))
        for kind, name, folds in seen
    ]


def _score_entries(folds: Folds | None, part: Part, printed: Sequence[str]) -> tuple[Entry, ...]:
    found: Mapping[str, MeanSd | None] = summary(folds, part) if folds else dict.fromkeys(_SCORES)
    return tuple(mean_sd_entry(found[name], text, digits=2) for name, text in zip(_SCORES, printed, strict=True))


def _both_parts(name: str, folds: Folds | None, printed: Sequence[Sequence[str]]) -> Row:
    validation, test = printed
    return Row(name=name, entries=_score_entries(folds, "validation", validation) + _score_entries(folds, "test", test))


def _both_parts_columns() -> tuple[str, ...]:
    return tuple(f"{part} {score}" for part in ("validation", "test") for score in paper.SCORES)


def _vote_entries(study: Study, letter: str, printed: Sequence[str]) -> tuple[Entry, ...]:
    if not study.ablation:
        return tuple(Entry(paper=text) for text in printed)
    vote, labels = study.ablation.vote(letter), study.ablation.a.folds[0].test_labels
    auc = delong_interval(vote.mean_probability, labels)
    # Any share above one half is at or above this.
    scores = prediction_scores(vote.vote_share, labels, threshold=Threshold(0.5 + 1e-6, 0.0))
    rates = (scores.f1, scores.sensitivity, scores.specificity)
    return (
        interval_entry(auc.auc, auc.low, auc.high, printed[0], digits=2),
        *(Entry(here=f"{rate:.2f}", paper=text, value=rate) for rate, text in zip(rates, printed[1:], strict=True)),
    )


def _ablation_note(found: AblationStudy) -> str:
    return (
        f"Model A: {found.a.spec.variant.label}, the best with DAFT in validation. Model B goes without "
        f"{', '.join(found.removed_from_b)}. Model C sees {', '.join(found.c.spec.columns)} and gains "
        f"{len(found.recovered)} development cases (the paper: {paper.RECOVERED}). All have the same test cohort."
    )


def _interval(found: AucInterval) -> Entry:
    return interval_entry(found.auc, found.low, found.high)


def _number(value: float | None) -> Entry:
    return Entry() if value is None else Entry(here=f"{value:.3f}", value=value)

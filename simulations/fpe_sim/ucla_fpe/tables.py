"""Tables 2 to 4 of the paper and the patients' way through the study, paper beside here."""

from collections.abc import Mapping

from fpe_core.evaluation.folds import MeanSd
from fpe_sim.protocol_results import DELONG_RANGE, Entry, ResultTable, Row, interval_entry, mean_sd_entry
from fpe_sim.ucla_fpe.measured import COLUMNS, Difference, Measured
from fpe_sim.ucla_fpe.models import BASE, SSL
from fpe_sim.ucla_fpe.paper import (
    CROSS_VALIDATION,
    FLOW,
    INCLUDED,
    METRICS,
    PROSPECTIVE,
    TABLE_NUMBER,
    UNLABELLED,
    Printed,
)
from fpe_sim.ucla_fpe.participants import Participants
from fpe_sim.ucla_fpe.protocol import Modality

_NOTHING: Printed = ("", "", "", "")
_NAMES: dict[Modality, str] = {"mr": "MR", "ct": "CT"}


def cross_validation_table(modality: Modality, measured: Mapping[str, Measured], num_folds: int) -> ResultTable:
    """Table 2 or 3, one row for each network."""
    printed, number = CROSS_VALIDATION[modality], TABLE_NUMBER[modality]
    return ResultTable(
        id=f"table-{number}-cross-validation",
        title=f"Table {number}. {_NAMES[modality]}, cross-validation",
        columns=METRICS,
        rows=tuple(_row(name, printed[name], one.validation) for name, one in measured.items()),
        note=f"Mean (SD) over the validation cases of {num_folds} folds. Each fold's threshold is where Youden's J is "
        "largest on those same cases, as in the paper: accuracy, sensitivity and specificity are optimistic.",
    )


def prospective_table(
    modality: Modality, measured: Mapping[str, Measured], num_test: int, test_from: str
) -> ResultTable:
    """Table 4: the paper's two rows, and the networks that it does not print."""
    rows = [
        _row(f"{SSL}, {_NAMES[one]}", PROSPECTIVE[one], measured[SSL].test if one == modality else None)
        for one in ("mr", "ct")
    ]
    rows += [_row(f"{name}, {_NAMES[modality]}", _NOTHING, one.test) for name, one in measured.items() if name != SSL]
    return ResultTable(
        id="table-4-prospective",
        title="Table 4. Prospective test",
        columns=METRICS,
        rows=tuple(rows),
        note=f"Mean (SD) over the folds' models, each on the same {num_test} patients treated from {test_from} on, at "
        "the threshold of its own validation cases. The SD is between models; how few the patients are is not in it.",
    )


def comparison_table(found: Difference, paper: str) -> ResultTable:
    """The gain of self-supervision, by three ways to ask for it."""
    folds = found.over_folds
    tests = ((found.out_of_fold, "out of fold"), (found.test, "prospective, mean of the folds' probabilities"))
    rows = [
        Row(
            name="mean over the folds",
            entries=(interval_entry(folds.mean, folds.low, folds.high, paper), Entry(here="paired t over the folds")),
        ),
        *(
            Row(
                name=name,
                entries=(
                    interval_entry(one.difference, one.low, one.high),
                    Entry(here="paired DeLong" + ("" if one.p_value is None else f", p = {one.p_value:.3f}")),
                ),
            )
            for one, name in tests
        ),
    ]
    return ResultTable(
        id="self-supervision",
        title=f"AUC of {SSL} less AUC of {BASE}",
        columns=("difference (95 % interval)", "by"),
        rows=tuple(rows),
        note="The paper gives no interval; its number is the difference of two rows of its table. Folds share most of "
        "their training cases, so that the interval over the folds is rather too narrow. DeLong's is "
        f"{DELONG_RANGE}.",
    )


def auc_table(measured: Mapping[str, Measured]) -> ResultTable:
    """AUCs with intervals that know the number of patients."""
    return ResultTable(
        id="auc-intervals",
        title="ROC-AUC with the uncertainty of the number of patients",
        columns=("development, out of fold", "prospective", "epochs"),
        rows=tuple(
            Row(
                name=name,
                entries=(
                    interval_entry(one.out_of_fold.auc, one.out_of_fold.low, one.out_of_fold.high),
                    interval_entry(one.pooled_test.auc, one.pooled_test.low, one.pooled_test.high),
                    Entry(here=f"{one.mean_epochs:.1f}", value=one.mean_epochs),
                ),
            )
            for name, one in measured.items()
        ),
        note=f"95 % intervals by DeLong, {DELONG_RANGE}. Out of fold: all "
        "development cases in one curve, each judged by the model that has not seen it. Prospective: the mean of the "
        "folds' probabilities. Epochs: mean over the folds.",
    )


def flow_table(modality: Modality, who: Participants, num_unlabelled: int, test_from: str) -> ResultTable:
    """Figure 1 as numbers."""
    counts = {"eligible": who.flow.eligible, **dict(who.flow.excluded), "included": len(who.included)}
    rows = [
        Row(
            name=name,
            entries=(
                Entry(here=str(count), value=count, paper=INCLUDED[modality] if name == "included" else ""),
                Entry(paper=FLOW.get(name, "")),
            ),
        )
        for name, count in counts.items()
    ]
    rows += [
        Row(name=name, entries=(Entry(here=str(count), value=count, paper=paper), Entry()))
        for name, count, paper in (
            (f"development, before {test_from}", len(who.development), ""),
            (f"prospective, from {test_from} on", len(who.test), ""),
            ("scans for self-supervision", num_unlabelled, UNLABELLED[modality]),
        )
    ]
    return ResultTable(
        id="flow",
        title="Figure 1. Who takes part",
        columns=(_NAMES[modality], "MR and CT together"),
        rows=tuple(rows),
        note="The first reason that holds counts. The paper gives reasons for both modalities together only, and no "
        "sizes of the development and the prospective cohort.",
    )


def _row(name: str, printed: Printed, values: Mapping[str, MeanSd | None] | None) -> Row:
    here = values or {}
    return Row(
        name=name,
        entries=tuple(mean_sd_entry(here.get(column), paper) for column, paper in zip(COLUMNS, printed, strict=True)),
    )

"""Results with everything that a report can hold: narrow and wide tables, gaps on either side, figures, long texts."""

from datetime import UTC, datetime
from pathlib import Path

import matplotlib
import numpy as np

from fpe_core.evaluation.report_figures import COLOURS, STYLE, canvas
from fpe_sim.figure_files import save_figure
from fpe_sim.protocol_results import (
    CohortFacts,
    Entry,
    ProtocolResults,
    ResultFigure,
    ResultTable,
    Row,
    interval_entry,
)
from fpe_sim.run_record import RunPart, RunRecord

SETTINGS = {
    "kind": "ucla-fpe",
    "name": "ucla-fpe-mr",
    "summary": "First-pass effect from DWI, FLAIR and ADC: 5-fold cross-validation, then a prospective test.",
    "seed": 7,
    "dials": {"scale": 0.2, "images": "small"},
    "training": {"epochs": 12, "learning_rate": 5e-4},
    "site": None,
    "check": {"set": {"dials.scale": 0.1}, "bands": []},
}
RECORD = RunRecord(
    command="fpe-sim run ucla-fpe-mr --scale 0.2 --images small --set training.epochs=12 --out DIR",
    parts=tuple(
        RunPart(
            started=datetime(2026, 11, 21, hour, tzinfo=UTC),
            seconds=4000.0 * hour,
            machine="AMD EPYC, 2 CPUs, Linux 6.18",
            jobs=2,
            device="auto",
            software={"torch": "2.13.0"},
        )
        for hour in (1, 2)
    ),
)
_SCORES = ("ROC-AUC", "accuracy", "sensitivity", "specificity")
_FIGURES = ("roc", "calibration", "decision", "grad-cam")


def made_up_results() -> ProtocolResults:
    """All numbers in it are invented."""
    return ProtocolResults(
        protocol="ucla-fpe-mr",
        kind="ucla-fpe",
        title="UCLA, first-pass effect from MR",
        sources=("AJNR 2024 (MNT-DL)", "MIDL 2022 (SCANet)"),
        synthetic=True,
        scale=0.2,
        images="small",
        seed=7,
        device="cpu",
        software={"python": "3.11.9", "torch": "2.13.0"},
        seconds={"phantoms of ucla-mr": 212.0, "trainings": 11_400.0},
        cohorts=(
            CohortFacts(
                name="ucla-mr",
                synthetic=True,
                num_eligible=204,
                num_included=152,
                num_positive=67,
                excluded={"a sequence is missing": 30, "quality": 22},
                reachable_auc={"images": 0.871, "table": 0.702, "both": 0.893},
            ),
            CohortFacts(name="ucla-mr-unlabelled", synthetic=True, num_eligible=599, num_included=599, num_positive=0),
        ),
        findings=(
            "MNT-DL with self-supervision reaches an AUC of 0.742 (95 % interval 0.655 to 0.829) in the prospective "
            "cohort; the best that any model can expect from these phantoms' images is 0.871.",
            "Self-supervision changes the AUC by +0.021 (−0.034 to +0.076): no difference can be shown at this size.",
            "All three sequences together are better than DWI alone by 0.061 (0.004 to 0.118).",
        ),
        numbers={"auc": 0.742, "undefined": float("nan")},
        tables=(_paired(), _unpaired(), _very_wide()),
        figures=tuple(
            ResultFigure(
                id=name, title=f"Figure {i}: {name}", caption="Prospective cohort, mean over five folds and ± SD."
            )
            for i, name in enumerate(_FIGURES, start=1)
        ),
        discrepancies=(
            "The abstract says 326 patients, the text and Table 1 say 332; 332 are taken here.",
            "Table 2 prints an SD of .5011 for the AUC of FLAIR-DL, which an AUC cannot have; .0501 may be meant.",
        ),
    )


def _paired() -> ResultTable:
    names = ("ADC-DL", "DWI-DL", "FLAIR-DL", "MNT-DL", "MNT-DL + SSL <script>")
    rows = [
        Row(
            name=name,
            entries=tuple(
                Entry(
                    here=f".{6000 + 311 * i + 97 * j} (.0{400 + i})",
                    paper=f".{7000 + 211 * i + 59 * j} (.0{500 + i})",
                    value=0.6,
                    sd=0.04,
                )
                for j in range(4)
            ),
        )
        for i, name in enumerate(names)
    ]
    not_run = Row(name="Only in the paper", entries=tuple(Entry(paper=".7105 (.0333)") for _ in _SCORES))
    only_here = Row(
        name="Only here: all columns of the table, logistic regression",
        entries=tuple(Entry(here=".6644 (.0555)") for _ in _SCORES),
    )
    return ResultTable(
        id="table-2", title="Table 2: cross-validation on the development cohort", columns=_SCORES,
        rows=(*rows, not_run, only_here),
        note="Mean (SD) over five folds, each fold's threshold by Youden's J on its own validation cases.",
    )  # fmt: skip


def _unpaired() -> ResultTable:
    rows = tuple(Row(name=name, entries=(interval_entry(0.7, 0.6, 0.8), Entry(here="0.171"), Entry())) for name in "AB")
    return ResultTable(
        id="calibration", title="Calibration in the test cohort", columns=("slope", "Brier", "p"), rows=rows
    )


def _very_wide() -> ResultTable:
    columns = tuple(
        f"{part} {score}" for part in ("validation", "test") for score in ("AUC", "F1", "sensitivity", "specificity")
    )
    rows = tuple(
        Row(
            name=name,
            entries=tuple(
                Entry(here="0.61 ± 0.05", paper=".60 ± .06" if j != 3 else "") for j, _ in enumerate(columns)
            ),
        )
        for name in ("EfficientNet-B0", "EfficientNet-B0 + prior + DAFT", "DenseNet169 + prior + DAFT")
    )
    return ResultTable(
        id="table-3", title="Table 3: networks, with and without prior and clinical table", columns=columns, rows=rows
    )


def made_up_figures(folder: Path) -> None:
    """The files of the figures."""
    for number, name in enumerate(_FIGURES):
        with matplotlib.rc_context(STYLE):
            figure, axes = canvas((4.8, 4.0))
            x = np.linspace(0, 1, 50)
            axes.plot(x, x ** (0.4 + 0.1 * number), color=COLOURS[number], label="here")
            axes.set(xlabel="False positive rate", ylabel="True positive rate")
            axes.legend(loc="lower right")
            save_figure(figure, folder, name)

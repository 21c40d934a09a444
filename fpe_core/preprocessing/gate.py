"""The quality gate: which preprocessed cases may be used, and why the others may not.

A case passes, waits for a person to look at its picture, or fails. A person's decision, kept with the cases, overrules
the gate in both directions. The limits stand in `fpe_core.preprocessing.limits`, the numbers in `…measure`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import Literal

from fpe_core.config.recipe import Modality, PreprocessingRecipe
from fpe_core.errors import CaseQualityFailed, CaseRejected, CaseUnderReview
from fpe_core.preprocessing.decisions import Decision, key_of, load_decisions
from fpe_core.preprocessing.limits import CT, LIMITS, MR, NOT_MEASURED, Limit, Range
from fpe_core.preprocessing.manifest import load_manifest, read_manifest

Status = Literal["pass", "review", "fail"]

_WORSE = {"pass": 0, "review": 1, "fail": 2}
_SEQUENCES = {"ct": CT, "mr": MR}


@dataclass(frozen=True)
class Judged:
    """One number against its limit.

    Attributes:
        limit: with code and words.
        name: the number's name, for example "coverage_dwi".
        sequence: its sequence; empty for a number of the whole case.
        value: what was measured.
        status: of this number alone.
    """

    limit: Limit
    name: str
    sequence: str
    value: float
    status: Status


@dataclass(frozen=True)
class Verdict:
    """What the gate says about a case.

    Attributes:
        status: that of the worst number.
        reasons: codes of the limits that are not kept, failures first, each once.
        numbers: every number that has a limit, worst first.
    """

    status: Status
    reasons: tuple[str, ...]
    numbers: tuple[Judged, ...] = ()


@dataclass(frozen=True)
class Screened:
    """The cases of one recipe after gate and decisions.

    Attributes:
        files: file of each case that may be used, by case id.
        set_aside: error code of each preprocessed case that may not: FPE-226 failed, 227 waits, 228 rejected.
    """

    files: dict[str, Path]
    set_aside: dict[str, str]


def judge(qc: Mapping[str, float], modality: Modality) -> Verdict:
    """Hold a case's quality numbers against the limits.

    A number that a case does not have, such as that of a missing sequence, is not judged. A case that was not measured,
    or one of whose sequences was not, is for review.

    Args:
        qc: quality numbers by name.
        modality: of the recipe.
    """
    if not _measured(qc, _SEQUENCES[modality]):
        return Verdict("review", (NOT_MEASURED.code,))
    judged = [
        Judged(limit, name, _sequence(limit, name), qc[name], _status(qc[name], limit))
        for limit in LIMITS
        if not limit.sequences or set(limit.sequences) & set(_SEQUENCES[modality])
        for name in limit.names()
        if name in qc
    ]
    judged.sort(key=lambda one: -_WORSE[one.status])
    reasons = dict.fromkeys(one.limit.code for one in judged if one.status != "pass")
    return Verdict(judged[0].status if judged else "pass", tuple(reasons), tuple(judged))


def usable(folder: Path, recipe: PreprocessingRecipe) -> Screened:
    """The cases of a preprocessed cohort that may be used: those that pass or that a person accepted, and that nobody
    rejected.

    Args:
        folder: the cohort's folder.
        recipe: cases of another recipe do not count at all.

    Raises:
        DataError: the manifest or the list of decisions is damaged.
    """
    decisions = load_decisions(folder).cases
    entries = load_manifest(folder).cases
    files: dict[str, Path] = {}
    set_aside: dict[str, str] = {}
    for case_id, path in read_manifest(folder, recipe).items():
        entry = entries[case_id]
        code = code_of(judge(entry.qc, recipe.modality), decisions.get(key_of(entry)))
        if code is None:
            files[case_id] = path
        else:
            set_aside[case_id] = code
    return Screened(files, set_aside)


def code_of(verdict: Verdict, decision: Decision | None) -> str | None:
    """Error code of a case that may not be used, None of one that may."""
    if decision is not None:
        return None if decision.accepted else CaseRejected.code
    return {"pass": None, "review": CaseUnderReview.code, "fail": CaseQualityFailed.code}[verdict.status]


def _measured(qc: Mapping[str, float], sequences: tuple[str, ...]) -> bool:
    """Whether the pipeline's own number is there, and for each sequence that it brought to the grid the gate's."""
    brought = [name for name in sequences if f"similarity_{name}" in qc]
    return NOT_MEASURED.number in qc and all(f"coverage_{name}" in qc for name in brought)


def _status(value: float, limit: Limit) -> Status:
    if not _within(value, limit.possible):
        return "fail"
    return "pass" if _within(value, limit.usual) else "review"


def _within(value: float, allowed: Range) -> bool:
    """NaN lies within nothing."""
    low, high = (-inf if allowed[0] is None else allowed[0]), (inf if allowed[1] is None else allowed[1])
    return low <= value <= high


def _sequence(limit: Limit, name: str) -> str:
    return name.removeprefix(f"{limit.number}_") if limit.sequences else ""

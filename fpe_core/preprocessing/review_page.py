"""The page on which a person reviews a cohort: one local HTML file beside the pictures, worst cases first.

It needs no network and no other file but the pictures. It holds case ids, so it stays at the site, like the cases.
"""

import base64
import hashlib
import shlex
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from jinja2 import Environment, PackageLoader, StrictUndefined

from fpe_core.config.recipe import PreprocessingRecipe
from fpe_core.errors import CaseError, FpeError
from fpe_core.preprocessing.decisions import Decision, key_of, load_decisions
from fpe_core.preprocessing.gate import Judged, Verdict, code_of, judge
from fpe_core.preprocessing.limits import LIMITS, NOT_MEASURED, Limit, Range
from fpe_core.preprocessing.manifest import Manifest, load_manifest, load_quarantine, read_manifest
from fpe_core.preprocessing.processed import write_private
from fpe_core.preprocessing.storage import storage_errors_told

REVIEW_PAGE = "review.html"

Group = Literal["fail", "review", "error", "rejected", "accepted", "pass"]
GROUPS: Mapping[Group, tuple[str, str, str]] = {
    "fail": ("✕", "Failed", "A number is outside what is possible. Not used, unless a person accepts it."),
    "review": ("?", "To review", "A number is unusual. Not used until a person has looked."),
    "error": ("!", "Not preprocessed", "The images could not be brought into form."),
    "rejected": ("−", "Rejected", "A person took it out."),
    "accepted": ("＋", "Accepted", "A person looked at it and took it in."),
    "pass": ("✓", "Passed", "Every number is as usual."),
}
"""Sign, name and meaning of each group, in the order of the page: what needs a person comes first."""
_WORDS = {"pass": "as usual", "review": "unusual", "fail": "out of range"}


@dataclass(frozen=True)
class Number:
    """One line of a case's table: what was measured, against which limits, and in words how that is."""

    code: str
    title: str
    sequence: str
    value: str
    usual: str
    possible: str
    status: str
    word: str


@dataclass(frozen=True)
class Case:
    """One case of the page; `reasons` are `(code, sequences, meaning, action)`."""

    case_id: str
    group: Group
    picture: str
    reasons: tuple[tuple[str, str, str, str], ...]
    numbers: tuple[Number, ...]
    decision: Decision | None

    @property
    def decidable(self) -> bool:
        """Whether accepting or rejecting it means anything."""
        return self.group != "error"


def write_review_page(folder: Path, recipe: PreprocessingRecipe, site_file: Path) -> Path:
    """Write `review.html` into a preprocessed cohort's folder, readable by the owner only.

    Args:
        folder: the cohort's folder; pictures are linked relative to it.
        recipe: cases of another recipe are left out.
        site_file: named in the commands to copy.

    Returns:
        Path of the page.

    Raises:
        DataError: a list of the cohort is damaged, or the folder cannot be written.
    """
    path = folder / REVIEW_PAGE
    with storage_errors_told(folder):
        write_private(path, render_review_page(folder, recipe, site_file).encode())
    return path


def render_review_page(folder: Path, recipe: PreprocessingRecipe, site_file: Path) -> str:
    """The page's text. Arguments and errors as for `write_review_page`."""
    cases = sorted(review_cases(folder, recipe), key=lambda case: (list(GROUPS).index(case.group), case.case_id))
    loader = PackageLoader("fpe_core.preprocessing", "templates")
    environment = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    environment.filters["sha256"] = _source_hash
    return environment.get_template("review.html.j2").render(
        recipe=recipe.name,
        cases=cases,
        groups=GROUPS,
        counts=Counter(case.group for case in cases),
        tail=f"--site {shlex.quote(str(site_file.resolve()))} --recipe {recipe.name}",
        written_at=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        script=loader.get_source(environment, "review.js")[0],
    )


def review_cases(folder: Path, recipe: PreprocessingRecipe) -> Iterator[Case]:
    """Every case of a cohort, preprocessed or not, with what gate and people say about it.

    Raises:
        DataError: a list of the cohort is damaged.
    """
    decisions, manifest = load_decisions(folder).cases, load_manifest(folder)
    for case_id in read_manifest(folder, recipe):
        yield _ready(folder, manifest, case_id, recipe, decisions)
    sentences = _sentences(CaseError)
    for case_id, entry in load_quarantine(folder).cases.items():
        reason = (entry.code, "", sentences.get(entry.code, ""), entry.message)
        yield Case(case_id, "error", "", (reason,), (), None)


def _ready(
    folder: Path, manifest: Manifest, case_id: str, recipe: PreprocessingRecipe, decisions: Mapping[str, Decision]
) -> Case:
    entry = manifest.cases[case_id]
    verdict = judge(entry.qc, recipe.modality)
    decision = decisions.get(key_of(entry))
    picture = f"qc/{key_of(entry)}.png"
    return Case(
        case_id,
        _group(verdict, decision),
        picture if (folder / picture).is_file() else "",
        tuple(_reasons(verdict)),
        tuple(_number(one) for one in verdict.numbers),
        decision,
    )


def _group(verdict: Verdict, decision: Decision | None) -> Group:
    if decision is not None:
        return "accepted" if code_of(verdict, decision) is None else "rejected"
    return verdict.status


def _reasons(verdict: Verdict) -> Iterator[tuple[str, str, str, str]]:
    by_code: dict[str, Limit] = {limit.code: limit for limit in (*LIMITS, NOT_MEASURED)}
    for code in verdict.reasons:
        sequences = [n.sequence for n in verdict.numbers if n.limit.code == code and n.status != "pass"]
        yield code, ", ".join(name for name in sequences if name), by_code[code].meaning, by_code[code].action


def _number(one: Judged) -> Number:
    return Number(
        code=one.limit.code,
        title=one.limit.title,
        sequence=one.sequence,
        value=f"{one.value:.4g}",
        usual=range_words(one.limit.usual),
        possible=range_words(one.limit.possible),
        status=one.status,
        word=_WORDS[one.status],
    )


def range_words(allowed: Range) -> str:
    """A range as people write it."""
    low, high = allowed
    if low is None or high is None:
        return f"up to {high:g}" if high is not None else f"{low:g} or more" if low is not None else "any"
    return f"{low:g} to {high:g}"


def _sentences(error: type[FpeError]) -> dict[str, str]:
    """The safe sentence of every error from `error` down, by code."""
    found = {error.code: error.safe_sentence}
    for child in error.__subclasses__():
        found |= _sentences(child)
    return found


def _source_hash(text: str) -> str:
    """A content security policy's name for one script."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"

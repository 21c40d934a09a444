"""From recognised series to cases: which studies belong together, and which series of each sequence to take."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from itertools import groupby

from fpe_core.data.case_table import ImageColumn
from fpe_core.imaging.dicom.recognise import Recognition, recognise
from fpe_core.imaging.dicom.rules import ImportRules, Preference, found
from fpe_core.imaging.dicom.series import Series

Rank = tuple[float, ...]


@dataclass(frozen=True)
class Candidate:
    """A series that was recognised. `why`: how, and for those after the first, why another is preferred."""

    series: Series
    why: str


@dataclass(frozen=True)
class Left:
    """A series that is not taken, and why. `named` as in `Recognition`."""

    series: Series
    why: str
    named: bool


@dataclass(frozen=True)
class CaseChoice:
    """One case: a study, or several that complete each other.

    Attributes:
        patient_key: the patient; stays at the site.
        study_keys: the studies in order of time; stay at the site.
        started: begin of the first study; None where no header gives a date. Stays at the site.
        ranked: per sequence every series that could serve, best first.
        left: all other series.
    """

    patient_key: str = field(repr=False)
    study_keys: tuple[str, ...] = field(repr=False)
    started: datetime | None = field(repr=False)
    ranked: dict[ImageColumn, tuple[Candidate, ...]]
    left: tuple[Left, ...]


@dataclass
class _Study:
    patient_key: str
    study_key: str
    started: datetime | None
    recognised: list[tuple[Series, Recognition]]

    @property
    def sequences(self) -> set[ImageColumn]:
        return {recognition.sequence for _, recognition in self.recognised if recognition.sequence}

    @property
    def modalities(self) -> set[str]:
        return {series.attributes.modality for series, recognition in self.recognised if recognition.sequence}


def choose_cases(series: Sequence[Series], rules: ImportRules) -> tuple[CaseChoice, ...]:
    """Recognise every series, form cases, and rank the series of each sequence.

    Studies of one patient and modality become one case when they start within `rules.same_case_within_h` of the first
    and no sequence comes twice: a CT angiography that was filed under a study of its own completes the case, whereas a
    repeated CT, which may have been taken after the treatment, is a case of its own. For the same reason a series that
    a study holds beside its first ones, but that was taken after those hours, is left.

    Returns:
        Cases ordered by patient and time. A study in which nothing was recognised is a case without a sequence.
    """
    studies = _studies(series, rules)
    groups: list[list[_Study]] = []
    for _, of_patient in groupby(studies, key=lambda study: study.patient_key):
        groups += _grouped(of_patient, rules.same_case_within_h)
    return tuple(_choice(group, rules) for group in groups)


def _grouped(of_patient: Iterable[_Study], within_h: float) -> list[list[_Study]]:
    """The studies of one patient, in order of time, by case."""
    groups: list[list[_Study]] = []
    for study in of_patient:
        group = next((g for g in groups if _completes(study, g, within_h)), None)
        if group is None:
            groups.append([study])
        else:
            group.append(study)
    return groups


def _studies(series: Sequence[Series], rules: ImportRules) -> list[_Study]:
    members: dict[tuple[str, str], list[Series]] = {}
    for one in series:
        members.setdefault((one.patient_key, one.study_key), []).append(one)
    studies = []
    for (patient, study), group in members.items():
        recognised = _without_repeats([(one, recognise(one.attributes, rules)) for one in group], rules)
        in_time = _without_late(recognised, rules.same_case_within_h)
        studies.append(_Study(patient, study, _start(group), in_time))
    return sorted(studies, key=lambda s: (s.patient_key, s.started or datetime.min, s.study_key))


def _without_repeats(
    recognised: list[tuple[Series, Recognition]], rules: ImportRules
) -> list[tuple[Series, Recognition]]:
    """One series that holds the same sequence many times is a course in time or a set of directions, not an image."""
    counts = Counter((one.series_key, found.sequence) for one, found in recognised)
    kept = []
    for one, recognition in recognised:
        count = counts[one.series_key, recognition.sequence]
        if recognition.sequence and count > rules.sequences[recognition.sequence].max_volumes:
            reason = (
                f"one of {count} volumes of one series: time points or directions, not a single {recognition.sequence}"
            )
            recognition = Recognition(None, reason)
        kept.append((one, recognition))
    return kept


def _without_late(recognised: list[tuple[Series, Recognition]], within_h: float) -> list[tuple[Series, Recognition]]:
    """A control scan after the treatment may be filed under the study of the scan before it: it is not to be taken."""
    first = _start([one for one, found in recognised if found.sequence])
    if first is None:
        return recognised
    reason = f"taken more than {within_h:g} h after the case's first image: it may show the treatment's result"
    return [
        (one, Recognition(None, reason) if found.sequence and _is_late(one, first, within_h) else found)
        for one, found in recognised
    ]


def _is_late(one: Series, first: datetime, within_h: float) -> bool:
    moment = None if one.attributes.time_s is None else _moment(one)
    return moment is not None and moment - first > timedelta(hours=within_h)


def _start(members: Sequence[Series]) -> datetime | None:
    """When the first of them was acquired. A day without a time counts only where nothing has a time."""
    timed = [one for one in members if one.attributes.time_s is not None and one.acquired_on is not None]
    return min((moment for one in timed or members if (moment := _moment(one)) is not None), default=None)


def _completes(study: _Study, group: list[_Study], within_h: float) -> bool:
    first = group[0]
    if study.started is None or first.started is None:
        return False
    taken = set().union(*(one.sequences for one in group))
    return (
        study.started - first.started <= timedelta(hours=within_h)
        and bool(study.sequences)
        and study.modalities == first.modalities
        and not taken & study.sequences
    )


def _choice(group: list[_Study], rules: ImportRules) -> CaseChoice:
    recognised = _without_late([pair for study in group for pair in study.recognised], rules.same_case_within_h)
    sequences = [name for name in rules.sequences if any(found.sequence == name for _, found in recognised)]
    return CaseChoice(
        patient_key=group[0].patient_key,
        study_keys=tuple(study.study_key for study in group),
        started=group[0].started,
        ranked={name: _ranked(name, recognised, rules) for name in sequences},
        left=tuple(Left(one, found.reason, found.named) for one, found in recognised if found.sequence is None),
    )


def _ranked(
    name: ImageColumn, recognised: list[tuple[Series, Recognition]], rules: ImportRules
) -> tuple[Candidate, ...]:
    prefer = rules.sequences[name].prefer
    ranked = sorted(
        (
            (_rank(one, prefer), _last_resort(one), one, found.reason)
            for one, found in recognised
            if found.sequence == name
        ),
        key=lambda entry: entry[:2],
    )
    best = ranked[0]
    return tuple(
        Candidate(one, reason if one is best[2] else f"{reason}; {_why_behind(one, rank, best[2], best[0], prefer)}")
        for rank, _, one, reason in ranked
    )


def _rank(one: Series, prefer: tuple[Preference, ...]) -> Rank:
    return tuple(_penalty(one, criterion) for criterion in prefer)


def _penalty(one: Series, criterion: Preference) -> float:
    """The smaller, the better."""
    attributes = one.attributes
    match criterion.by:
        case "original":
            return float(attributes.image_type[:1] != ("ORIGINAL",))
        case "slices":
            return -float(attributes.num_slices)
        case "latest":
            moment = _moment(one)
            return -(moment - datetime.min).total_seconds() if moment else 0.0
        case "thickness":
            thickness_mm = attributes.slice_thickness_mm
            if criterion.range is None or thickness_mm is None:
                return float("inf")
            return criterion.range.distance(thickness_mm)
        case "kernel":
            return _by_patterns(attributes.kernel, criterion)
        case "text":
            return _by_patterns(attributes.description, criterion)


def _by_patterns(text: str, criterion: Preference) -> float:
    """Place of the first pattern that is found; behind them what fits none, and last what is to be avoided."""
    if found(criterion.avoid, text):
        return len(criterion.patterns) + 1.0
    pattern = found(criterion.patterns, text)
    return float(len(criterion.patterns) if pattern is None else criterion.patterns.index(pattern))


def _last_resort(one: Series) -> tuple[float, str, datetime, str]:
    number = one.attributes.number
    first = one.frames[0]
    return (
        float("inf") if number is None else number,
        one.series_key,
        _moment(one) or datetime.min,
        f"{first.path}#{first.index}",
    )


def _why_behind(one: Series, rank: Rank, best: Series, best_rank: Rank, prefer: tuple[Preference, ...]) -> str:
    criterion = next((c for c, mine, its in zip(prefer, rank, best_rank, strict=True) if mine != its), None)
    mine, its = one.attributes, best.attributes
    match criterion.by if criterion else None:
        case "original":
            return "an original is preferred to a derived image"
        case "slices":
            return f"{its.num_slices} slices are preferred to {mine.num_slices}"
        case "latest":
            return "a later one is preferred"
        case "thickness":
            return f"slices of {_mm(its.slice_thickness_mm)} are preferred to {_mm(mine.slice_thickness_mm)}"
        case "kernel":
            return "another kernel is preferred"
        case "text":
            return "another description is preferred"
        case None:
            return "equal to the one taken, which has the lower series number"


def _mm(value: float | None) -> str:
    return "unknown thickness" if value is None else f"{value:g} mm"


def _moment(one: Series) -> datetime | None:
    if one.acquired_on is None:
        return None
    return datetime.combine(one.acquired_on, time()) + timedelta(seconds=one.attributes.time_s or 0.0)

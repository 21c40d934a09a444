"""Which sequence a series is, by the rules. A reason quotes the rules and numbers, never a text of the header."""

import re
from collections.abc import Mapping, Set
from dataclasses import dataclass

from fpe_core.data.case_table import ImageColumn
from fpe_core.imaging.dicom.headers import SeriesAttributes
from fpe_core.imaging.dicom.rules import ImportRules, NeverTaken, Quantity, Range, SequenceRule, found, plain

_UNITS: dict[str, str] = {
    "b_value": "s/mm²", "echo_time_ms": "ms", "repetition_time_ms": "ms", "inversion_time_ms": "ms",
    "slice_thickness_mm": "mm", "num_slices": "slices", "coverage_mm": "mm",
}  # fmt: skip
_LABELS: dict[str, str] = {
    "b_value": "b-value", "echo_time_ms": "echo time", "repetition_time_ms": "repetition time",
    "inversion_time_ms": "inversion time", "slice_thickness_mm": "slice thickness", "num_slices": "number of slices",
    "coverage_mm": "coverage",
}  # fmt: skip


@dataclass(frozen=True)
class Recognition:
    """What a series is taken for.

    Attributes:
        sequence: the image column, or None when the series is left out.
        reason: why, in words. Holds patterns and numbers only, so that it may stand in the report.
        named: whether any text of the series names a sequence, or shows what it is; False is what a site may want
            to add a pattern for.
    """

    sequence: ImageColumn | None
    reason: str
    named: bool = True


def recognise(attributes: SeriesAttributes, rules: ImportRules) -> Recognition:
    """Compare one series with every rule.

    What is never taken comes first. Then the first of description, protocol and sequence name that names a sequence
    decides, together with ImageType; where none does, the numbers that the rules give for unnamed series. They also
    decide where what is named cannot be: a thin "head" with contrast is an angiography. A series that fits no sequence
    or more than one is left out.
    """
    for kind in rules.never:
        if where := _never(attributes, kind):
            return Recognition(None, f"{kind.name}: {where}")
    named = _named(attributes, rules)
    if not named.why:
        return _unnamed(attributes, rules)
    decided = _decide(attributes, rules, named)
    if decided.sequence is None:
        by_numbers = _by_numbers(attributes, rules, without=set(named.why))
        if len(by_numbers) == 1:
            return Recognition(by_numbers[0], f"{decided.reason}; its numbers fit")
    return decided


def quantity(attributes: SeriesAttributes, name: Quantity) -> float | None:
    """A number of the header that a rule may limit; None where the header lacks it."""
    if name == "num_slices":
        return float(attributes.num_slices)
    if name == "coverage_mm":
        distance = attributes.spacing_mm[2] or attributes.slice_thickness_mm or 0.0
        return attributes.num_slices * distance or None
    if name == "b_value" and attributes.b_value is None:
        return _b_value_in_words(attributes.description)
    value: float | None = getattr(attributes, name)
    return value


def _b_value_in_words(description: str) -> float | None:
    """`b1000` or `b=1000` in the description; None when it speaks of none or of several."""
    values = set(re.findall(r"\bb(?:val\w*)? ?(\d{1,4})\b", plain(description)))
    return float(values.pop()) if len(values) == 1 else None


def _never(attributes: SeriesAttributes, kind: NeverTaken) -> str | None:
    if kind.modality is not None and kind.modality != attributes.modality:
        return None
    fields = {
        "description": (kind.description, attributes.description),
        "image type": (kind.image_type, " ".join(attributes.image_type)),
        "sequence name": (kind.sequence_name, attributes.sequence_name),
        "derivation": (kind.derivation, attributes.derivation),
        "body part": (kind.body_part, attributes.body_part),
    }
    for name, (patterns, text) in fields.items():
        if pattern := found(patterns, text):
            return f"the {name} fits '{pattern}'"
    return None


@dataclass(frozen=True)
class _Named:
    """Sequences that the series' own words name, each with the place and the pattern; `text` is what was searched."""

    text: str
    why: dict[ImageColumn, str]


def _named(attributes: SeriesAttributes, rules: ImportRules) -> _Named:
    """Ask ImageType, and the first of the texts that names any sequence.

    A protocol often stands for the whole examination ("stroke: CT, CTA, perfusion"): one that names several sequences
    says nothing about this series.
    """
    candidates = {name: rule for name, rule in rules.sequences.items() if rule.modality == attributes.modality}
    image_type = " ".join(attributes.image_type)
    by_type = _matches("image type", image_type, {name: rule.image_type for name, rule in candidates.items()})
    names = {name: rule.names for name, rule in candidates.items()}
    by_text = _matches("description", attributes.description, names)
    if by_text:
        return _Named(f"{attributes.description} {image_type}", by_text | by_type)
    for place, text in (("protocol", attributes.protocol), ("sequence name", attributes.sequence_name)):
        by_text = _matches(place, text, names)
        if len(by_text) == 1:
            return _Named(f"{attributes.description} {text} {image_type}", by_text | by_type)
    return _Named(f"{attributes.description} {image_type}", by_type)


def _matches(place: str, text: str, patterns: Mapping[ImageColumn, tuple[str, ...]]) -> dict[ImageColumn, str]:
    return {
        name: f"the {place} fits '{pattern}'"
        for name, several in patterns.items()
        if (pattern := found(several, text)) is not None
    }


def _decide(attributes: SeriesAttributes, rules: ImportRules, named: _Named) -> Recognition:
    objections = {name: _objection(attributes, rules.sequences[name], named.text) for name in named.why}
    fitting = [name for name, objection in objections.items() if objection is None]
    if len(fitting) == 1:
        return Recognition(fitting[0], named.why[fitting[0]])
    if fitting:
        return Recognition(None, f"fits several sequences: {', '.join(fitting)}")
    return Recognition(None, "; ".join(f"not {name}: {objection}" for name, objection in objections.items()))


def _objection(attributes: SeriesAttributes, rule: SequenceRule, text: str) -> str | None:
    """Why a series that is named so is not taken, or None."""
    if pattern := found(rule.not_names, text):
        return f"its words fit {pattern!r}"
    if rule.contrast is not None and rule.contrast != attributes.contrast_agent:
        return f"contrast agent {'given' if attributes.contrast_agent else 'not given'}"
    for name in rule.needs:
        if quantity(attributes, name) is None:
            return f"the header gives no {_LABELS[name]}"
    return _outside(attributes, rule.limits, lenient=True)


def _outside(attributes: SeriesAttributes, limits: Mapping[Quantity, Range], *, lenient: bool) -> str | None:
    """The first limit that does not hold, in words. A value that the header lacks holds when `lenient`."""
    for name, allowed in limits.items():
        value = quantity(attributes, name)
        if value is None:
            if lenient:
                continue
            return f"the header gives no {_LABELS[name]}"
        if allowed.distance(value) > 0:
            return f"{_LABELS[name]} {value:g} {_UNITS[name]}, expected {allowed}"
    return None


def _by_numbers(attributes: SeriesAttributes, rules: ImportRules, without: Set[ImageColumn]) -> list[ImageColumn]:
    return [
        name
        for name, rule in rules.sequences.items()
        if rule.modality == attributes.modality and name not in without and _fits_unnamed(attributes, rule)
    ]


def _unnamed(attributes: SeriesAttributes, rules: ImportRules) -> Recognition:
    fitting = _by_numbers(attributes, rules, without=set())
    if len(fitting) == 1:
        return Recognition(fitting[0], "no text names it; its numbers fit", named=False)
    if fitting:
        return Recognition(None, f"no text names it, and its numbers fit several: {', '.join(fitting)}", named=False)
    if attributes.modality not in {rule.modality for rule in rules.sequences.values()}:
        return Recognition(None, "a modality that no rule asks for")
    return Recognition(None, "no text names it, and its numbers fit no rule", named=False)


def _fits_unnamed(attributes: SeriesAttributes, rule: SequenceRule) -> bool:
    unnamed = rule.unnamed
    if unnamed is None or found(rule.not_names, f"{attributes.description} {' '.join(attributes.image_type)}"):
        return False
    if unnamed.contrast is not None and unnamed.contrast != attributes.contrast_agent:
        return False
    return _outside(attributes, unnamed.limits, lenient=False) is None

"""The rules by which series are recognised and chosen: one YAML file, which a site may replace by its own.

A pattern is a regular expression that must fit whole words of the text after `plain`: lower case, accents taken off,
and one space for every run of other characters. `Schädel_nativ (5.0)` becomes `schadel nativ 5 0`: `nativ` fits.
"""

import re
import unicodedata
from functools import cache
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from fpe_core.config.base import FrozenModel
from fpe_core.config.loader import load_yaml
from fpe_core.data.case_table import ImageColumn

DEFAULT_RULES = Path(__file__).with_name("default_rules.yaml")
"""The rules that are shipped; docs/dicom.md explains their keys."""

Modality = Literal["CT", "MR"]
Quantity = Literal[
    "b_value",
    "echo_time_ms",
    "repetition_time_ms",
    "inversion_time_ms",
    "slice_thickness_mm",
    "num_slices",
    "coverage_mm",
]
"""What a rule may limit: a number of the header, or `coverage_mm`, slices times their distance."""


def plain(text: str) -> str:
    """`text` in the form that patterns are searched in: lower case, no accents, single spaces between words."""
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return " ".join(re.sub(r"[^a-z0-9]+", " ", _without_marks(decomposed)).split())


def _without_marks(decomposed: str) -> str:
    return "".join(character for character in decomposed if not unicodedata.combining(character))


def _checked(pattern: str) -> str:
    folded = _without_marks(unicodedata.normalize("NFKD", pattern))
    try:
        if re.fullmatch(folded, ""):
            raise ValueError("a pattern that also fits the empty text fits everything")
    except re.error as error:
        raise ValueError(f"not a regular expression ({error})") from None
    return folded


Pattern = Annotated[str, AfterValidator(_checked)]


def found(patterns: tuple[str, ...], text: str) -> str | None:
    """The first of `patterns` that fits whole words of `text`, or None."""
    searched = plain(text)
    return next((pattern for pattern in patterns if _whole_words(pattern).search(searched)), None)


@cache
def _whole_words(pattern: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![a-z0-9])(?:{pattern})(?![a-z0-9])", re.IGNORECASE)


class Range(FrozenModel):
    """Both ends belong to it; an end that is left out is open."""

    min: float | None = None
    """Smallest value allowed."""
    max: float | None = None
    """Largest value allowed."""

    @model_validator(mode="after")
    def _ends_in_order(self) -> "Range":
        if self.min is None and self.max is None:
            raise ValueError("min, max or both are expected")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"min should not be above max, got {self.min:g} and {self.max:g}")
        return self

    def distance(self, value: float) -> float:
        """How far `value` lies outside; 0 inside."""
        below = 0.0 if self.min is None else self.min - value
        above = 0.0 if self.max is None else value - self.max
        return max(0.0, below, above)

    def __str__(self) -> str:
        if self.min is None:
            return f"at most {self.max:g}"
        return f"at least {self.min:g}" if self.max is None else f"{self.min:g} to {self.max:g}"


Limits = dict[Quantity, Range]


class NeverTaken(FrozenModel):
    """A kind of series that no sequence is taken from. One pattern that is found is enough."""

    name: str
    """What it is, in words; stands in the report."""
    modality: Modality | None = None
    """Only among series of this modality; all when left out."""
    description: tuple[Pattern, ...] = ()
    """Patterns in the series description."""
    image_type: tuple[Pattern, ...] = ()
    """Patterns in the values of ImageType."""
    sequence_name: tuple[Pattern, ...] = ()
    """Patterns in the sequence name."""
    derivation: tuple[Pattern, ...] = ()
    """Patterns in the derivation description."""
    body_part: tuple[Pattern, ...] = ()
    """Patterns in the body part examined."""

    @model_validator(mode="after")
    def _has_a_pattern(self) -> "NeverTaken":
        if not (self.description or self.image_type or self.sequence_name or self.derivation or self.body_part):
            raise ValueError("at least one pattern is expected")
        return self


class Unnamed(FrozenModel):
    """When a series is taken although no text names any sequence. A value that the header lacks does not fit."""

    contrast: bool | None = None
    """Whether a contrast agent was given; either when left out."""
    limits: Limits = Field(min_length=1)
    """Ranges that the header's numbers must lie in."""


class Preference(FrozenModel):
    """One criterion for choosing among several series of one sequence."""

    by: Literal["kernel", "text", "thickness", "original", "slices", "latest"]
    """kernel, text: patterns; thickness: a range in mm; original: not derived; slices: the most; latest: in time."""
    patterns: tuple[Pattern, ...] = ()
    """Best first. Kernel: in the convolution kernel. Text: in the series description."""
    avoid: tuple[Pattern, ...] = ()
    """Taken only when nothing else is there."""
    range: Range | None = None
    """Slice thickness in mm; outside of it, the nearer the better."""

    @model_validator(mode="after")
    def _has_what_it_needs(self) -> "Preference":
        if (self.by in ("kernel", "text")) != bool(self.patterns or self.avoid):
            raise ValueError("patterns or avoid belong to by: kernel and by: text, which need one of them")
        if (self.by == "thickness") != (self.range is not None):
            raise ValueError("range belongs to by: thickness, which needs it")
        return self


class SequenceRule(FrozenModel):
    """What one sequence looks like, and which series of it to take."""

    modality: Modality
    """CT or MR."""
    names: tuple[Pattern, ...] = Field(min_length=1)
    """A text that names this sequence. The description decides. Where it names no sequence at all, the protocol and
    then the sequence name are asked, and count when they name one sequence only."""
    image_type: tuple[Pattern, ...] = ()
    """Values of ImageType that name this sequence whatever the texts say."""
    not_names: tuple[Pattern, ...] = ()
    """A description or ImageType that shows it to be something else, although a name is found."""
    contrast: bool | None = None
    """Whether a contrast agent was given; either when left out."""
    limits: Limits = Field(default_factory=dict)
    """Ranges that the header's numbers must lie in; a value that the header lacks is let pass."""
    needs: tuple[Quantity, ...] = ()
    """Numbers that the header must have."""
    unnamed: Unnamed | None = None
    """When to take a series that no text names; never when left out."""
    max_volumes: Annotated[int, Field(ge=1)] = 2
    """Most volumes of this sequence in one series; more are time points or directions, and all are left."""
    prefer: tuple[Preference, ...] = ()
    """Criteria in order; a later one counts only where the earlier ones are equal. Last, the lowest series number."""


class ImportRules(FrozenModel):
    """A whole rules file."""

    same_case_within_h: Annotated[float, Field(ge=0, le=168)] = 3.0
    """Studies of one patient and modality that start within so many hours, and of which each brings sequences that the
    others lack, are one case; what was taken later is not part of it. Less than a thrombectomy is away from its control
    scan, more than a hospital needs for CT and CT angiography."""
    never: tuple[NeverTaken, ...] = ()
    """What is never taken; looked at before anything else."""
    sequences: dict[ImageColumn, SequenceRule] = Field(min_length=1)
    """One rule for each image column of the case table that is wanted."""


def load_rules(path: Path | None) -> ImportRules:
    """The rules in `path`, or those that are shipped.

    Raises:
        ConfigError: the file is missing, is not YAML, or does not fit `ImportRules`; the message gives file and line.
    """
    return load_yaml(path or DEFAULT_RULES, ImportRules)

"""Which files make up a case. Light: nothing here reads an image."""

from dataclasses import dataclass
from pathlib import Path

SEQUENCES_OF = {"ct": ("ncct", "cta"), "mr": ("dwi", "adc", "flair", "b0", "b1000")}
"""Names that a recipe of each modality reads. b0 and b1000 stand in for a DWI or ADC that was not exported."""


@dataclass(frozen=True)
class CaseFiles:
    """The images of one case.

    Attributes:
        case_id: the site's own pseudonym; it stays at the site.
        images: NIfTI path per sequence, among ncct, cta, dwi, adc, flair, b0, b1000.
    """

    case_id: str
    images: dict[str, Path]

"""The same image in two places: one of the paths in the case table is wrong, and no program can say which."""

from collections import defaultdict
from collections.abc import Mapping
from itertools import combinations
from typing import Final

from fpe_core.errors import ImageTwice

_MAY_BE_ONE_FILE: Final = frozenset({"b1000", "dwi"})
"""Two names of one image: the b = 1000 image is the DWI."""


def same_images(hashes_by_case: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    """Cases that share an image's content with another case, or between two of their own sequences.

    Args:
        hashes_by_case: sha256 of each file's content, by case id and sequence.

    Returns:
        FPE-236 for each of them, by case id in the order given.
    """
    cases_with: dict[str, set[str]] = defaultdict(set)
    for case_id, hashes in hashes_by_case.items():
        for content in hashes.values():
            cases_with[content].add(case_id)
    return {
        case_id: ImageTwice.code
        for case_id, hashes in hashes_by_case.items()
        if any(len(cases_with[content]) > 1 for content in hashes.values()) or _twice_within(hashes)
    }


def _twice_within(hashes: Mapping[str, str]) -> bool:
    return any(
        hashes[one] == hashes[other] and {one, other} != _MAY_BE_ONE_FILE for one, other in combinations(hashes, 2)
    )

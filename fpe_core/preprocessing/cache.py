"""Content addresses of cases, and an index that spares hashing files which have not changed."""

import hashlib
import json
import time
from collections.abc import Mapping
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from fpe_core.config.recipe import PreprocessingRecipe
from fpe_core.errors import CaseFileMissing
from fpe_core.imaging.content import file_sha256
from fpe_core.preprocessing.processed import write_private

_FRESH_NS = 2_000_000_000
"""A file changed less than two seconds before it was hashed may change again within its clock's tick: not indexed."""


class HashIndex:
    """sha256 by path, size and modification time, kept in a JSON file.

    A damaged index is thrown away: it only costs hashing again.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known = _read_index(path)
        self._used: dict[str, str] = {}

    def sha256(self, path: Path) -> str:
        """sha256 of the file's bytes.

        Raises:
            CaseFileMissing, CaseFileUnreadable: it cannot be read.
        """
        try:
            status = path.stat()
        except OSError:
            raise CaseFileMissing(f"{path}: no such file") from None
        entry = f"{path.absolute()}|{status.st_size}|{status.st_mtime_ns}"
        digest = self._known.get(entry) or file_sha256(path)
        if time.time_ns() - status.st_mtime_ns > _FRESH_NS:
            self._used[entry] = digest
        return digest

    def save(self, *, halfway: bool = False) -> None:
        """Write the entries that were asked for; those of vanished or changed files are dropped.

        Args:
            halfway: not every file was asked for yet, so all other entries are kept too.
        """
        entries = self._known | self._used if halfway else self._used
        write_private(self._path, json.dumps(entries, indent=1, sort_keys=True).encode())


def case_key(inputs: Mapping[str, str], recipe: PreprocessingRecipe) -> str:
    """sha256 over the sequence names, the contents of their files and the recipe's fingerprint.

    Args:
        inputs: sha256 per sequence.
        recipe: the recipe.
    """
    content = json.dumps({"inputs": dict(inputs), "recipe": recipe.fingerprint()}, sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()


def _read_index(path: Path) -> dict[str, str]:
    try:
        return TypeAdapter(dict[str, str]).validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return {}

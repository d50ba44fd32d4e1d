"""Vectors of frozen encoders on disk, by the hash of the texts and of the encoder: nothing is encoded twice.

It lies in the cache folder of the project (`synthesizeme.files.default_cache_dir`) and holds no text. Set
``SYNTHESIZEME_NO_CACHE`` to do without.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import sqlite3
import threading
import zlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import TypeVar

import numpy as np

from reward_models._types import Unit, Vector
from synthesizeme.files import default_cache_dir
from synthesizeme.key_value import KeyValueFile

OFF = "SYNTHESIZEME_NO_CACHE"
FILE = "features.sqlite"
_CHECKSUM = 4
"""Bytes of a checksum, which stands before its vector."""
_GIVEN_UP = (
    "the feature cache %s cannot be used (%s); features are computed and not kept. Cure: delete the file, "
    "free disk space, or name a writable folder in SYNTHESIZEME_CACHE_DIR"
)
_logger = logging.getLogger(__name__)
_Result = TypeVar("_Result")


class FeatureCache:
    """Vectors by encoder and texts in one SQLite file; several processes and threads may share it.

    A vector that does not fit its checksum counts as missing. A file that cannot be used is given up with one
    warning, and everything is encoded anew: the cache only saves time.

    Args:
        folder: Folder of the file; made if it does not exist.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE
        self._given_up = False
        self._lock = threading.Lock()

    def get(self, identity: str, units: Sequence[Unit], dim: int) -> dict[Unit, Vector]:
        """The vectors of length `dim` there are."""
        keys = {_key(identity, unit): unit for unit in units}
        found: dict[Unit, Vector] = {}
        nothing: dict[str, bytes] = {}
        for key, value in self._do(lambda file: file.get(list(keys)), nothing).items():
            checksum, stored = value[:_CHECKSUM], value[_CHECKSUM:]
            if len(stored) == 4 * dim and _checksum(stored) == checksum:
                found[keys[key]] = np.frombuffer(stored, dtype="<f4")
        return found

    def put(self, identity: str, vectors: Mapping[Unit, Vector]) -> None:
        """Store vectors, all or none of them; a damaged one is replaced."""
        stored = {_key(identity, unit): vector.astype("<f4").tobytes() for unit, vector in vectors.items()}
        rows = {key: _checksum(vector) + vector for key, vector in stored.items()}
        self._do(lambda file: file.put(rows), None)

    def _do(self, action: Callable[[KeyValueFile], _Result], otherwise: _Result) -> _Result:
        """`action` with the file, opened for it alone, or `otherwise` once the file has been given up."""
        with self._lock:
            if self._given_up:
                return otherwise
            try:
                with closing(KeyValueFile(self.path, "vectors")) as file:
                    return action(file)
            except (OSError, sqlite3.Error) as error:
                self._given_up = True
                _logger.warning(_GIVEN_UP, self.path, error)
                return otherwise


def open_cache(folder: Path | None) -> FeatureCache | None:
    """The cache in `folder`, by default the project's cache folder; None where that one is switched off."""
    if folder is None and os.environ.get(OFF):
        return None
    return _opened(folder or default_cache_dir())


@cache
def _opened(folder: Path) -> FeatureCache:
    return FeatureCache(folder)


def _key(identity: str, unit: Unit) -> str:
    return hashlib.blake2b(json.dumps([identity, *unit]).encode(), digest_size=16).hexdigest()


def _checksum(stored: bytes) -> bytes:
    return zlib.crc32(stored).to_bytes(_CHECKSUM, "little")

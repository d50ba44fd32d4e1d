"""Feature values of the responses measured last: a judge is shown the same ones again and again."""

from __future__ import annotations

import hashlib

import numpy as np

from synthesizeme import stylometry
from synthesizeme.backends.builtin._weights import Vector

MOST = 20_000
"""Responses that are remembered, under a hash, not by their text: some 10 MB, however long they are."""


class Measured:
    """Values of the named features, shape (len(FEATURES),), by response and question.

    Args:
        most: How many are remembered; the oldest goes first.
    """

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._known: dict[bytes, Vector] = {}

    def __call__(self, response: str, question: str) -> Vector:
        """The values of one response; not to be changed."""
        length = str(len(response)).encode()
        digest = hashlib.blake2b(
            b"\0".join(
                (length, response.encode("utf-8", "surrogatepass"), question.encode("utf-8", "surrogatepass"))
            ),
            digest_size=16,
        ).digest()
        found = self._known.get(digest)
        if found is None:
            found = np.array(stylometry.measure(response, question))
            if len(self._known) >= self._most:
                self._known.pop(next(iter(self._known)), None)
            self._known[digest] = found
        return found

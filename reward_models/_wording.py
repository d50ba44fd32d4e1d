"""A response as hashed character n-grams: a fixed vector of its wording, nothing learned, nothing stored."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

DIM = 2048
"""Length of a vector."""
_ORDERS = (3, 4)
_TABLE_BITS = 15
"""N-grams are counted in 2^15 buckets, which are then folded onto DIM columns with fixed signs."""
_BASE, _MIX = np.uint64(1_000_003), np.uint64(0x9E3779B97F4A7C15)


def _signs() -> NDArray[np.float32]:
    buckets = np.arange(1 << _TABLE_BITS, dtype=np.uint64) + np.uint64(1)
    return np.where((buckets * _MIX) >> np.uint64(63), np.float32(1), np.float32(-1))


_SIGNS = _signs()


def wording(responses: Sequence[str]) -> NDArray[np.float32]:
    """Signed, hashed byte 3- and 4-grams of each response as written, weighted 1 + log(count), of length one.

    Returns:
        Shape (n, DIM). A vector depends on its response alone; responses with the same wording are near.

    References:
        Weinberger et al., "Feature Hashing for Large Scale Multitask Learning", ICML 2009.
    """
    rows = np.zeros((len(responses), DIM), dtype=np.float32)
    for row, response in zip(rows, responses, strict=True):
        row[:] = _one(response)
    return rows


def _one(response: str) -> NDArray[np.float32]:
    text = f" {response}    ".encode("utf-8", errors="surrogatepass")
    letters = np.frombuffer(text, dtype=np.uint8).astype(np.uint64)
    letters += np.uint64(1)
    running, hashes = letters, []
    for order in range(2, max(_ORDERS) + 1):
        running = running[:-1] * _BASE
        running += letters[order - 1 :]
        if order in _ORDERS:
            hashes.append((running * _MIX >> np.uint64(64 - _TABLE_BITS)).astype(np.uint16))
    buckets = np.sort(np.concatenate(hashes), kind="stable")  # by radix, as there are 16 bits
    changes = np.empty(len(buckets) + 1, dtype=bool)
    changes[0] = changes[-1] = True
    np.not_equal(buckets[1:], buckets[:-1], out=changes[1:-1])
    bounds = np.flatnonzero(changes)
    found, counts = buckets[bounds[:-1]], bounds[1:] - bounds[:-1]
    values = _SIGNS[found] * (1 + np.log(counts, dtype=np.float32))
    folded = np.bincount(found % DIM, values, minlength=DIM)
    return np.asarray(folded / max(math.sqrt(folded.dot(folded)), 1e-9), dtype=np.float32)

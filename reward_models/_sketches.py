"""Texts as hashes: a digest that stands for one, its wording, and what features do not represent of it.

What the basis does not represent adds to a standard error. A group of vectors x is read as z = C (x - c),
with orthonormal components C and the centre c of the training responses;
the rest, r = (x - c) - C^T z, moves no margin. A Gaussian process with the group's linear kernel
k(x, x') = v (x - c).(x' - c) still gives it the prior variance v |r|^2, since nothing was learned along it.
The usual amount of it, t = E |r|^2 over the training responses, is part of every pair that the prior
variances and the sharpness of probabilities were chosen on, and is not counted again. So the variance of a
reward grows by v (|r|^2 - t)+ and that of a margin by v (|r_a - r_b|^2 - 2 t)+, v being the prior variances
of the user's deviations and of the shared weights together. A named feature beyond
`reward_models._basis.CLIP` is held there; what is cut off is treated alike, with t = 0.

A remainder is as long as the vector, so a sketch of it is kept: S r, with S the sums of entries with fixed
signs in `WIDTH` buckets (Charikar et al. 2002), for which E (S r).(S r') = r.r' and |S r|^2 has a relative
standard deviation of at most sqrt(2 / WIDTH), 12.5 %.

References:
    Rasmussen and Williams, "Gaussian Processes for Machine Learning", 2006, section 2.1 (linear kernels).
    Charikar, Chen and Farach-Colton, "Finding Frequent Items in Data Streams", ICALP 2002 (count sketch).
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synthesizeme.types import Message

BYTES = 16


def text_digest(prompt: Sequence[Message], response: str) -> bytes:
    """16 bytes that stand for a response to its prompt."""
    found = hashlib.blake2b(response.encode("utf-8", "surrogatepass"), digest_size=BYTES)
    for message in prompt:
        # Where a text ends, no text says.
        found.update(
            f"\0{message.role} {len(message.content)}\0{message.content}".encode("utf-8", "surrogatepass")
        )
    return found.digest()


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


WIDTH = 128
"""Numbers that a remainder is kept as."""
_SEED = 20020708


class Sketch:
    """Sketches of what a group's components do not represent.

    Args:
        components: C, orthonormal rows, shape (k, dim).
        centre: c, shape (dim,).
    """

    def __init__(self, components: NDArray[np.float32], centre: NDArray[np.float32]) -> None:
        dim = components.shape[1]
        self._signs = np.random.default_rng(_SEED).choice(np.array([-1, 1], dtype=np.float32), dim)
        self._centre = self._folded(centre)
        self._components = np.ascontiguousarray(np.stack([self._folded(row) for row in components], axis=1))

    def of(self, vectors: NDArray[np.float32], represented: NDArray[np.float32]) -> NDArray[np.float32]:
        """S r of every row, each by itself, so that it never depends on its neighbours.

        Args:
            vectors: x, shape (n, dim).
            represented: z, shape (n, k), before it is scaled.

        Returns:
            Shape (n, `WIDTH`).
        """
        found = np.empty((len(vectors), WIDTH), dtype=np.float32)
        for x, z, out in zip(vectors, represented, found, strict=True):
            np.dot(self._components, z, out=out)
            np.subtract(self._folded(x) - self._centre, out, out=out)
        return found

    def _folded(self, vector: NDArray[np.float32]) -> NDArray[np.float32]:
        signed = np.zeros(-(-len(vector) // WIDTH) * WIDTH, dtype=np.float32)
        np.multiply(vector, self._signs, out=signed[: len(vector)])
        found: NDArray[np.float32] = signed.reshape(-1, WIDTH).sum(axis=0)
        return found


def excess(remainders: NDArray[Any], usual: float) -> NDArray[np.float64]:
    """(|r|^2 - usual)+ of every row, shape (n,).

    Args:
        remainders: r, or the difference of those of two responses, shape (n, width).
        usual: t, or 2 t for a difference.
    """
    lengths = (remainders.astype(np.float64) ** 2).sum(axis=1)
    found: NDArray[np.float64] = np.maximum(lengths - usual, 0)
    return found

"""Responses with an effect of their own: which they are, and sums over the pairs that hold them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reward_models._sketches import BYTES, text_digest
from reward_models._types import Floats, Item

FEWEST = 2
"""Judgements below which a response has no effect of its own."""
MOST = 1024
"""Responses with an effect, those judged most often; memory and time of a fit grow with their square."""


class JudgedTexts:
    """Numbers of responses, by a digest of prompt and response; no text is kept.

    Args:
        digests: One a response, shape (I, 16), uint8.
    """

    def __init__(self, digests: NDArray[Any] | None = None) -> None:
        none = np.zeros((0, BYTES), dtype=np.uint8)
        self.digests: NDArray[np.uint8] = none if digests is None else np.asarray(digests, dtype=np.uint8)
        self._numbers = {bytes(key): number for number, key in enumerate(self.digests)}

    @classmethod
    def of(cls, items: Iterable[Item]) -> JudgedTexts:
        """The responses among `items`, one a judgement, that were judged often enough."""
        counts = Counter(text_digest(*item) for item in items)
        often = sorted((-n, key) for key, n in counts.items() if n >= FEWEST)[:MOST]
        kept = [np.frombuffer(key, dtype=np.uint8) for _, key in often]
        return cls(np.stack(kept) if kept else None)

    def __len__(self) -> int:
        return len(self._numbers)

    def numbers(self, items: Sequence[Item]) -> Numbers:
        """The number of each response, or `NONE`, shape (n,)."""
        if not self._numbers:
            return np.full(len(items), NONE)
        return np.array([self._numbers.get(text_digest(*item), NONE) for item in items], dtype=np.int64)


NONE = -1
"""Number of a response without an effect of its own."""
Numbers = NDArray[np.int64]


class Effects:
    """Sums over pairs that belong to the effects of their responses: what a matrix of -1, 0 and 1 would do.

    Args:
        items: Of all pairs laid end to end, shape (n, 2).
        blocks: Of each group of users with equally many pairs, the numbers of its pairs, shape (U, n_u).
        count: I, the number of effects.
    """

    def __init__(self, items: Numbers, blocks: Sequence[Numbers], count: int) -> None:
        self.count = count
        signs = np.repeat([1.0, -1.0], len(items))
        pairs, numbers = np.tile(np.arange(len(items)), 2), items.T.ravel()
        order = np.argsort(numbers, kind="stable")
        order = order[numbers[order] != NONE]
        self._pairs, self._signs = pairs[order], signs[order]
        self._present, self._begins = np.unique(numbers[order], return_index=True)
        self._cells = [
            np.stack([
                items[block, one][:, :, None] * (count + 1) + items[block, other][:, None, :]
                for one in (0, 1) for other in (0, 1)
            ])
            for block in blocks
        ]  # fmt: skip
        for block, cells in zip(blocks, self._cells, strict=True):
            absent = [items[block, side] == NONE for side in (0, 1)]
            for k, (one, other) in enumerate(((0, 0), (0, 1), (1, 0), (1, 1))):
                cells[k][absent[one][:, :, None] | absent[other][:, None, :]] = count * (count + 1)

    def summed(self, values: Floats) -> Floats:
        """Values of all pairs, shape (n, ...), added to their first response and taken from their second.

        Returns:
            Shape (I, ...).
        """
        found = np.zeros((self.count, *values.shape[1:]), dtype=values.dtype)
        if len(self._pairs):
            signs = self._signs.astype(values.dtype).reshape(-1, *(1,) * (values.ndim - 1))
            found[self._present] = np.add.reduceat(values[self._pairs] * signs, self._begins, axis=0)
        return found

    def spread(self, matrices: Floats, items: Numbers) -> Floats:
        """Matrices of users, (U, n, n), times the signs of the responses of their pairs, shape (U, n, I)."""
        u, n = matrices.shape[:2]
        found = np.zeros((u, n, self.count + 1))
        if self.count:
            rows = np.arange(u)[:, None, None], np.arange(n)[None, :, None]
            for side, sign in ((0, 1.0), (1, -1.0)):
                np.add.at(found, (*rows, items[:, None, :, side]), sign * matrices)
        return found[:, :, : self.count]

    def both_sides(self, matrices: Sequence[Floats]) -> Floats:
        """Matrices of the groups, shape (U, n_u, n_u), summed from both sides, shape (I, I)."""
        size = self.count + 1
        found = np.zeros(size * size)
        for cells, matrix in zip(self._cells, matrices, strict=True):
            signed = np.stack([matrix, -matrix, -matrix, matrix])
            found += np.bincount(cells.ravel(), signed.ravel(), minlength=size * size)
        return found.reshape(size, size)[: self.count, : self.count]


def first_less_second(values: Floats, items: Numbers) -> Floats:
    """Values of the first responses less those of the second ones; `NONE` counts as zero.

    Args:
        values: One a response, shape (I, ...).
        items: Numbers of both responses, shape (..., 2).
    """
    known = np.concatenate([values, np.zeros((1, *values.shape[1:]))])
    found: Floats = known[items[..., 0]] - known[items[..., 1]]
    return found

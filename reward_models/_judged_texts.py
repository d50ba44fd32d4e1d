"""Responses that were judged often enough in training to have an effect of their own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reward_models._basis import Item
from reward_models._effects import NONE, Numbers
from reward_models._text_digest import BYTES, text_digest

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

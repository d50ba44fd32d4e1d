"""Items drawn by chance: what retrieval has to beat."""

from __future__ import annotations

import random
from collections.abc import Sequence

from synthesizeme.retrieval._base import Retriever


class Drawn(Retriever):
    """Draws without replacement; the same seed, query and number of items give the same draw.

    Args:
        seed: Seed of all draws.
    """

    def __init__(self, *, seed: int = 0) -> None:
        self.seed = seed

    def rank(self, query: str, documents: Sequence[str]) -> list[int]:
        """All positions in an order by chance."""
        drawn = random.Random(f"{self.seed}\0{len(documents)}\0{query}\0retrieval")
        return drawn.sample(range(len(documents)), len(documents))

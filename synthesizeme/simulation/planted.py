"""Planted users as respondents: they answer by their known weights, also about each other's pairs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from synthesizeme.datasets.synthetic import ATTRIBUTES, PlantedUser, Population, planted_population
from synthesizeme.types import Comparison, Failure, PreferencePair, Verdict

_OTHERS = 1_000_003
"""Added to a seed for the makers of the texts, who are other people."""


class PlantedRespondents:
    """The users of a population, asked about any pair that a planted population was made of.

    The verdict is the more valuable response, its probability that of the user's noisy choice.

    Args:
        population: Whose users answer, with its noise and weight of quality.
        pool: Pairs of any planted population, which they can be asked about.
    """

    name = "planted"
    order_sensitive = False

    def __init__(self, population: Population, pool: Sequence[PreferencePair]) -> None:
        self._population = population
        self._known = {
            (pair.pair_id, text): (pair.metadata["kind"], *_facts(pair.metadata, side))
            for pair in pool
            for side, text in (("chosen", pair.chosen_text), ("rejected", pair.rejected_text))
        }

    def compare(self, comparisons: Sequence[Comparison]) -> list[Verdict | Failure]:
        """One verdict a comparison; a `Failure` for a user or a text that was not planted."""
        return [self._verdict(comparison) for comparison in comparisons]

    def _verdict(self, comparison: Comparison) -> Verdict | Failure:
        user = self._population.users.get(comparison.user_id)
        texts = [
            self._known.get((comparison.pair_id, text)) for text in (comparison.first, comparison.second)
        ]
        if user is None or texts[0] is None or texts[1] is None:
            what = "user" if user is None else "pair"
            return Failure(
                kind="unknown_user", detail=f"pair {comparison.pair_id!r}: the {what} is not planted"
            )
        first, second = (self._value(user, *known) for known in texts if known is not None)
        margin = (first - second) / self._population.noise
        return Verdict(
            preference="tie" if margin == 0 else "first" if margin > 0 else "second",
            probability=(1 + math.tanh(margin / 2)) / 2,
            margin=margin,
            probability_source="model",
        )

    def _value(self, user: PlantedUser, kind: str, levels: Sequence[float], quality: float) -> float:
        taste = sum(user.weight(name, kind) * level for name, level in zip(ATTRIBUTES, levels, strict=True))
        return taste + self._population.quality_weight * quality


def planted_respondents(
    users: int, pairs: int, *, seed: int = 0
) -> tuple[PlantedRespondents, list[str], list[PreferencePair]]:
    """Planted users, by name, and so many planted pairs of others that all of them can be asked about."""
    population = planted_population(users, 1, seed=seed)
    others = planted_population(pairs, 1, seed=seed + _OTHERS)
    return PlantedRespondents(population, others.pairs), list(population.users), others.pairs


def _facts(metadata: dict[str, Any], side: str) -> tuple[Sequence[float], float]:
    return metadata[f"{side}_levels"], metadata[f"{side}_quality"]

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import pytest

from synthesizeme.evaluation.harness import Outcome, evaluate
from synthesizeme.types import Comparison, Failure, Message, PreferencePair, Verdict

MakePair = Callable[..., PreferencePair]


class Scripted:
    """Answers from a table: (pair_id, text shown first) -> result; remembers what it was asked."""

    name = "scripted"

    def __init__(
        self, table: Mapping[tuple[str, str], Verdict | Failure], *, order_sensitive: bool = True
    ) -> None:
        self.table = table
        self.order_sensitive = order_sensitive
        self.batches: list[list[Comparison]] = []

    def compare(self, comparisons: Sequence[Comparison]) -> list[Verdict | Failure]:
        self.batches.append(list(comparisons))
        return [self.table[c.pair_id, c.first] for c in comparisons]


class FromScores:
    """Wants to be right (1), wrong (0), tied (.5) or failing (None) on each pair, in any order."""

    name = "from scores"
    order_sensitive = False

    def __init__(self, pairs: Sequence[PreferencePair], scores: Sequence[float | None]) -> None:
        self.wanted = {p.pair_id: (p, s) for p, s in zip(pairs, scores, strict=True)}

    def compare(self, comparisons: Sequence[Comparison]) -> list[Verdict | Failure]:
        return [self._one(c) for c in comparisons]

    def _one(self, comparison: Comparison) -> Verdict | Failure:
        pair, score = self.wanted[comparison.pair_id]
        if score is None:
            return Failure(kind="parse", detail="unreadable")
        p_first = score if comparison.first == pair.chosen_text else 1 - score
        side = "tie" if score == 0.5 else "first" if p_first > 0.5 else "second"
        return Verdict(preference=side, probability=p_first, probability_source="model")


@pytest.fixture
def make_pair() -> MakePair:
    def make(
        pair_id: str, user_id: str = "u", chosen: str = "good", rejected: str = "bad", **fields: object
    ) -> PreferencePair:
        return PreferencePair(
            pair_id=pair_id,
            user_id=user_id,
            prompt=fields.pop("prompt", (Message(role="user", content="Hello?"),)),  # type: ignore[arg-type]
            chosen=(Message(role="assistant", content=chosen),),
            rejected=(Message(role="assistant", content=rejected),),
            **fields,  # type: ignore[arg-type]
        )

    return make


@pytest.fixture
def scripted() -> type[Scripted]:
    return Scripted


@pytest.fixture
def outcome_of(make_pair: MakePair) -> Callable[..., Outcome]:
    """Outcome with the given scores per user: ``{"ann": [1, 0, None]}``."""

    def build(scores: Mapping[str, Sequence[float | None]], **options: object) -> Outcome:
        pairs = [make_pair(f"{user}/{i}", user) for user, row in scores.items() for i in range(len(row))]
        wanted = [score for row in scores.values() for score in row]
        return evaluate(FromScores(pairs, wanted), pairs, **options)  # type: ignore[arg-type]

    return build

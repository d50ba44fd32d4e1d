"""Stage 1 and 3: let the judge explain the user's choices, keep what agrees with the user."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field

from synthesizeme.judges import LLMJudge
from synthesizeme.types import ORDERS, Demonstration, Order, PreferencePair, Verdict, preferred_side


@dataclass(frozen=True)
class Trace:
    """One judgement of one train pair."""

    pair: PreferencePair
    order: Order
    verdict: Verdict

    @property
    def verified(self) -> bool:
        """Whether the judge's preference is the user's."""
        return self.verdict.preference == preferred_side(self.order)

    @property
    def score(self) -> float:
        """1 for agreement with the user, 0.5 for a tie, 0 against."""
        return 0.5 if self.verdict.preference == "tie" else float(self.verified)


@dataclass
class TracePool:
    """Every judgement of the train pairs: candidates are drawn from it and nothing is judged again."""

    traces: dict[str, list[Trace]] = field(default_factory=dict)
    """By pair id, in the order in which they were asked; a failed call leaves none."""

    def add(self, pair: PreferencePair, order: Order, verdict: Verdict) -> None:
        """Keep one judgement."""
        self.traces.setdefault(pair.pair_id, []).append(Trace(pair, order, verdict))

    def best(self, pair: PreferencePair) -> Trace | None:
        """The first verified trace of a pair, or None."""
        return next((trace for trace in self.traces.get(pair.pair_id, ()) if trace.verified), None)

    @property
    def judged(self) -> int:
        """Number of traces."""
        return sum(map(len, self.traces.values()))

    @property
    def verified(self) -> int:
        """Number of verified traces."""
        return sum(trace.verified for traces in self.traces.values() for trace in traces)


def draw_orders(pairs: Sequence[PreferencePair], *, seed: int) -> dict[str, Order]:
    """An order for each pair, by (seed, user, pair), so that position carries nothing."""
    return {
        pair.pair_id: random.Random(f"{seed}\0{pair.user_id}\0{pair.pair_id}\0order").choice(ORDERS)
        for pair in pairs
    }


def other(order: Order) -> Order:
    """The opposite order."""
    return ORDERS[1 - ORDERS.index(order)]


def bootstrap(
    judge: LLMJudge,
    pairs: Sequence[PreferencePair],
    orders: dict[str, Order],
    *,
    pool: TracePool,
    rejudged: int,
) -> None:
    """Judge each pair once in its order; unexplained ones once more in the other order.

    Args:
        judge: Without a persona in stage 1, with it in stage 3.
        pairs: Train pairs.
        orders: Order of each pair, by pair id.
        pool: Where the judgements go.
        rejudged: Most pairs that are asked again, in the order of `pairs`.
    """
    _judge_into(pool, judge, [(pair, orders[pair.pair_id]) for pair in pairs])
    unexplained = [pair for pair in pairs if pool.best(pair) is None][: max(0, rejudged)]
    _judge_into(pool, judge, [(pair, other(orders[pair.pair_id])) for pair in unexplained])


def _judge_into(pool: TracePool, judge: LLMJudge, asked: Sequence[tuple[PreferencePair, Order]]) -> None:
    if not asked:
        return
    results = judge.compare([pair.compare(order) for pair, order in asked])
    for (pair, order), result in zip(asked, results, strict=True):
        if isinstance(result, Verdict):
            pool.add(pair, order, result)


def reasoned(trace: Trace) -> Demonstration:
    """A verified trace as a demonstration with its reasoning and the chance the judge gave it."""
    verdict = trace.verdict
    given = verdict.probability if verdict.preference == "first" else 1 - verdict.probability
    return Demonstration(
        comparison=trace.pair.compare(trace.order),
        preference=preferred_side(trace.order),
        reasoning=verdict.reasoning,
        confidence=None if verdict.probability_source == "verdict" else max(given, 0.5),
    )


def labelled(pair: PreferencePair, order: Order) -> Demonstration:
    """A choice that no trace explains, as a bare label."""
    return Demonstration(comparison=pair.compare(order), preference=preferred_side(order))

"""Stages 1 and 3: explain the user's choices, and select what teaches the judge best, without believing luck.

The judge explains every train pair; what agrees with the user is kept, and candidates are drawn from it. A
handful of validation pairs cannot rank a dozen candidates: the best of ten useless ones looks perfect nine
times in ten. So every candidate is compared with the judge that has no demonstrations, on the same pairs in
the same order; both orders of a pair are one observation; the mean gain is shrunk toward the small one that
demonstrations bring on average. Poor candidates stop early (successive halving).

The winner is the set whose shrunken gain is largest and positive: the better bet, not a proven one. What is
known of it is recorded beside it, gain and standard error.

References:
    SynthesizeMe (arXiv 2506.05598), sections 3.1 and 3.3.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate

from synthesizeme.judges import LLMJudge
from synthesizeme.personas import own_words
from synthesizeme.profile import Candidate
from synthesizeme.prompts import conversation_text
from synthesizeme.scoring import PairwiseScorer
from synthesizeme.types import (
    ORDERS,
    Comparison,
    Demonstration,
    Order,
    PreferencePair,
    Verdict,
    preferred_side,
)


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
    def probability(self) -> float:
        """What the judge gave the user's choice, in [0, 1]."""
        first = self.verdict.probability
        return first if preferred_side(self.order) == "first" else 1 - first

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
    """Judge each pair once in its order; once more in the other one what neither it nor the user explains.

    Args:
        judge: The judge that knows nobody.
        pairs: Train pairs.
        orders: Order of each pair, by pair id.
        pool: Where the judgements go.
        rejudged: Most pairs that are asked again, in the order of `pairs`.
    """
    judge_into(pool, judge, [(pair, orders[pair.pair_id]) for pair in pairs])
    unexplained = [pair for pair in pairs if not pair.reason and pool.best(pair) is None][: max(0, rejudged)]
    judge_into(pool, judge, [(pair, other(orders[pair.pair_id])) for pair in unexplained])


def judge_into(pool: TracePool, judge: LLMJudge, asked: Sequence[tuple[PreferencePair, Order]]) -> None:
    """Judge pairs, each in its order, and keep what was said."""
    if not asked:
        return
    results = judge.compare([pair.compare(order) for pair, order in asked])
    for (pair, order), result in zip(asked, results, strict=True):
        if isinstance(result, Verdict):
            pool.add(pair, order, result)


def reasoned(trace: Trace) -> Demonstration:
    """A verified trace as a demonstration with the user's reason, else its own, and the chance it gave."""
    verdict, shown = trace.verdict, labelled(trace.pair, trace.order)
    return shown.model_copy(
        update={
            "reasoning": shown.reasoning or verdict.reasoning,
            "confidence": None if verdict.probability_source == "verdict" else max(trace.probability, 0.5),
        }
    )


def labelled(pair: PreferencePair, order: Order) -> Demonstration:
    """A choice with the reason that the user gave for it, or as a bare label."""
    reason = own_words.reason(pair)
    return Demonstration(
        comparison=pair.compare(order),
        preference=preferred_side(order),
        reasoning=reason,
        own_words=bool(reason),
    )


def with_why(pair: PreferencePair, orders: Mapping[str, Order], pools: Sequence[TracePool]) -> Demonstration:
    """A choice with the user's reason, else with its first verified trace, else as a bare label."""
    trace = next((trace for pool in pools if (trace := pool.best(pair))), None)
    return labelled(pair, orders[pair.pair_id]) if trace is None else reasoned(trace)


SHRINKAGE = 4.0
"""Pairs' worth of belief that demonstrations bring their prior gain."""
PRIOR_GAIN = 0.01
"""Gain on average over users for each doubling of the number of demonstrations, about as on validation rows
(`experiments/personas`)."""
MOST_CHARACTERS = 48_000
"""Characters of the conversations and responses of one set of demonstrations, about 12,000 tokens."""
PRIOR_VARIANCE = 0.5
"""Variance of the gain on one pair in those: that of the difference of two coins."""

Item = tuple[PreferencePair, Order]


@dataclass
class CandidateSet:
    """A set of demonstrations that is tried."""

    name: str
    demonstrations: tuple[Demonstration, ...]
    judge: PairwiseScorer
    expected: float = 0.0
    """Gain that is expected of it beside that of its demonstrations, before anything is scored."""
    scores: dict[tuple[str, Order], float] = field(default_factory=dict)
    failures: int = 0

    @property
    def pair_ids(self) -> frozenset[str]:
        """Pairs its demonstrations show; it is never scored on them."""
        return frozenset(demonstration.comparison.pair_id for demonstration in self.demonstrations)

    def judge_items(self, items: Sequence[Item]) -> None:
        """Score the items this candidate may be scored on and has not been."""
        shown = self.pair_ids
        fresh = [
            (pair, order)
            for pair, order in items
            if pair.pair_id not in shown and (pair.pair_id, order) not in self.scores
        ]
        comparisons: list[Comparison] = [pair.compare(order) for pair, order in fresh]
        for (pair, order), result in zip(fresh, self.judge.compare(comparisons), strict=True):
            if isinstance(result, Verdict):
                self.scores[pair.pair_id, order] = Trace(pair, order, result).score
            else:
                self.failures += 1

    def shrunken_gain(self, base: CandidateSet) -> float:
        """Mean gain over `base` on the pairs both were scored on, shrunk toward the prior gain.

        That is what more demonstrations than those of `base` bring on average, and what is `expected` of it
        beyond `base`. A call that failed, as for a prompt beyond the model's window, counts as a pair lost
        against a coin.
        """
        gains = self._gains(base)
        prior = PRIOR_GAIN * math.log2((1 + len(self.demonstrations)) / (1 + len(base.demonstrations)))
        prior += self.expected - base.expected
        total = sum(gains) - self.failures / 2 + SHRINKAGE * prior
        return total / (len(gains) + self.failures + SHRINKAGE)

    def mean_gain(self, base: CandidateSet) -> float:
        """Mean gain over `base` on the pairs both were scored on, as it is; 0 where there are none."""
        gains = self._gains(base)
        return sum(gains) / len(gains) if gains else 0.0

    def standard_error(self, base: CandidateSet) -> float:
        """Its standard error, the prior belief counted as `SHRINKAGE` pairs."""
        gains, mean = self._gains(base), self.shrunken_gain(base)
        weight = len(gains) + SHRINKAGE
        variance = (sum((gain - mean) ** 2 for gain in gains) + SHRINKAGE * PRIOR_VARIANCE) / weight
        return math.sqrt(variance / weight)

    def beats(self, base: CandidateSet) -> bool:
        """Whether it is the better bet: its shrunken gain is positive."""
        return self.shrunken_gain(base) > 0

    def _gains(self, base: CandidateSet) -> list[float]:
        """Gain on each pair, the mean over its orders: two orders of a pair are one observation."""
        by_pair: dict[str, list[float]] = {}
        for item, score in self.scores.items():
            if item in base.scores:
                by_pair.setdefault(item[0], []).append(score - base.scores[item])
        return [sum(gains) / len(gains) for gains in by_pair.values()]


def draw_demonstrations(
    pool: TracePool,
    train: Sequence[PreferencePair],
    orders: dict[str, Order],
    *,
    count: int,
    largest: int,
    seed: int,
) -> list[tuple[str, tuple[Demonstration, ...]]]:
    """Named sets of demonstrations drawn from the pool: all kinds of sizes, with and without bare labels.

    Choices that the user gave a reason for come before those that a trace explains. A set has at most
    `MOST_CHARACTERS`.

    Args:
        pool: Judgements of the train pairs.
        train: Train pairs.
        orders: Order in which a pair without verified trace is shown.
        count: How many sets; fewer when the pool is small.
        largest: Most demonstrations in a set.
        seed: Seed; the user is mixed in.
    """
    reasons = [pair for pair in train if pair.reason]
    without = [pair for pair in train if not pair.reason]
    explained = [trace for pair in without if (trace := pool.best(pair)) is not None]
    unexplained = [pair for pair in without if pool.best(pair) is None]
    half = max(1, largest // 2)
    shapes = [(largest, largest), (largest, 0), (half, half), (half, 0)]
    rng = random.Random(f"{seed}\0{train[0].user_id}\0demonstrations")
    drawn: dict[frozenset[str], tuple[str, tuple[Demonstration, ...]]] = {}
    for attempt in range(4 * count):
        size, labels = shapes[attempt % len(shapes)]
        hard = rng.sample(unexplained, min(len(unexplained), labels // 2))
        told = rng.sample(reasons, min(len(reasons), size - len(hard)))
        easy = rng.sample(explained, min(len(explained), size - len(hard) - len(told)))
        chosen = [with_why(pair, orders, [pool]) for pair in told]
        chosen += [reasoned(trace) for trace in easy] + [
            labelled(pair, orders[pair.pair_id]) for pair in hard
        ]
        rng.shuffle(chosen)
        chosen = _within(chosen, MOST_CHARACTERS)
        key = frozenset(demonstration.comparison.pair_id for demonstration in chosen)
        if chosen and key not in drawn:
            bare = sum(not demonstration.reasoning for demonstration in chosen)
            name = f"{len(chosen) - bare} reasoned + {bare} labelled"
            drawn[key] = (f"{name} #{len(drawn) + 1}", tuple(chosen))
        if len(drawn) == count:
            break
    return list(drawn.values())


def _within(chosen: Sequence[Demonstration], characters: int) -> list[Demonstration]:
    """The first demonstrations that fit into so many characters of conversation and responses."""
    sizes = (
        len(conversation_text(it.comparison.prompt)) + len(it.comparison.first) + len(it.comparison.second)
        for it in chosen
    )
    return [it for it, size in zip(chosen, accumulate(sizes), strict=True) if size <= characters]


def successive_halving(
    base: CandidateSet,
    candidates: Sequence[CandidateSet],
    validation: Sequence[Item],
    out_of_fold: Sequence[Item],
    *,
    calls_left: Callable[[], int],
) -> CandidateSet:
    """Successive halving on the validation items, then on out-of-fold ones; returns the winner.

    Every candidate is scored on a few items, the better half of them on a few more, until one is left or the
    calls are spent: of 4 candidates and 24 items the first 4 are scored by 8 items, the best 2 by 8 further
    ones, the best by the rest, so that most calls go to those that can still win.

    Args:
        base: The judge without demonstrations, scored on all items already.
        candidates: Candidates; each is scored only on pairs it does not show.
        validation: Validation pairs in both orders, adjacent.
        out_of_fold: Train pairs in the order `base` judged them; used where validation pairs are few.
        calls_left: Distinct calls that may still be made.

    Returns:
        The candidate of largest shrunken gain, or `base` unless that one beats it.
    """
    items = [*validation, *out_of_fold]
    alive = list(candidates)
    position = 0
    while alive and position < len(items):
        share = calls_left() // len(alive)
        rounds_left = max(1, len(alive).bit_length())
        step = min(share, max(4, -(-(len(items) - position) // rounds_left)))
        step -= step % 2
        if step <= 0:
            alive = sorted(alive, key=lambda c: -c.shrunken_gain(base))[: len(alive) // 2]
            continue
        for candidate in alive:
            candidate.judge_items(items[position : position + step])
        position += step
        if len(alive) > 1:
            alive = sorted(alive, key=lambda c: -c.shrunken_gain(base))[: -(-len(alive) // 2)]
    best = max(candidates, key=lambda c: c.shrunken_gain(base), default=base)
    return best if best.beats(base) else base


def candidate_report(candidate: CandidateSet, base: CandidateSet, *, selected: bool) -> Candidate:
    """What the profile records about a candidate."""
    compared = candidate is not base
    return Candidate(
        name=candidate.name,
        shrunken_gain=candidate.shrunken_gain(base) if compared else 0.0,
        standard_error=candidate.standard_error(base) if compared else 0.0,
        correct=sum(candidate.scores.values()),
        judged=len(candidate.scores),
        failures=candidate.failures,
        selected=selected,
    )

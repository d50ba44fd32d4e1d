"""Whether a user's judge is better read several times: means of judgements, tried on validation pairs.

A model that draws its replies answers the same question now one way and now the other. Where one sample is
right with the chance q, the majority of k independent ones is right with the chance that Binomial(k, q)
exceeds k / 2: more often where q is above one half, less often below. Which of it weighs more is the user's
own, so it is tried: the mean of 3 samples, then that of 5; and beside what is best by then one judgement
under the persona of the nearest other user, then one more under that of the next. Each takes the place of
what is cheaper only where its gain on the validation pairs, both orders of a pair as one and shrunk as that
of demonstrations is, is positive. Of samples nothing is expected beforehand, so ties go to fewer. Of each
neighbour `NEIGHBOUR_GAIN` is, so a tie goes to them, and one order lost in one pair refuses them: the
demonstrations were chosen on these very pairs, which flatters the judge that is read once.

References:
    P-GenRM (arXiv 2602.12116): several sampled judgements of the user's own judge, and those of similar
    users, are averaged at test time.
    Wang et al., "Self-Consistency Improves Chain of Thought Reasoning in Language Models" (2023).
    Differs: taken for a user only where it did better on that user's validation pairs.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence

from synthesizeme.backends import Session, open_model
from synthesizeme.judges import LLMJudge
from synthesizeme.personas.selection import CandidateSet, Item, TracePool, candidate_report, judge_into
from synthesizeme.plain_text import count
from synthesizeme.profile import Averaging, Candidate, UserProfile
from synthesizeme.scoring import PairwiseScorer

SAMPLES = (3, 5)
"""Numbers of samples whose mean is tried, the cheaper first."""
MOST_SAMPLES = SAMPLES[-1]
MOST_NEIGHBOURS = 2
"""Other users whose personas are tried."""
NEIGHBOUR_GAIN = 0.02
"""Gain that is expected of each neighbour, below what was measured on validation rows of people
(`experiments/personas`)."""
MOST_READ = 32
"""Other users among whom the nearest are sought, drawn by seed and user where there are more."""


def nearest(
    others: Mapping[str, UserProfile], user_id: str, train: Sequence[Item], *, seed: int
) -> tuple[str, ...]:
    """The personas of other users that tell most of this user's choices, as they enter a prompt.

    The embedded reader says which response of each pair a persona speaks for; no model is asked.

    Args:
        others: Profiles by user id; the user's own, and those without a persona, are passed over.
        user_id: The user.
        train: The user's train pairs, each in an order.
        seed: Seed of the draw where there are more than `MOST_READ`.
    """
    known = [name for name in sorted(others) if name != user_id and others[name].persona is not None]
    drawn = random.Random(f"{seed}\0{user_id}\0neighbours").sample(known, min(MOST_READ, len(known)))
    told: dict[str, float] = {}
    with Session(open_model("builtin")) as session:
        for name in drawn:
            bare = UserProfile(user_id=user_id, persona=others[name].persona)
            pool = TracePool()
            judge_into(pool, LLMJudge(session.ledger(), {user_id: bare}, name="seeking neighbours"), train)
            told[name] = sum(trace.score for traces in pool.traces.values() for trace in traces)
    best = sorted(drawn, key=lambda name: -told[name])
    texts = (persona.text for name in best if (persona := others[name].persona) is not None)
    return tuple(dict.fromkeys(texts))[:MOST_NEIGHBOURS]


def kept_back(averages: int, n_validation: int, *, samples: bool, neighbours: int) -> int:
    """Calls of a plan's `averages` that trying means takes: of none there is nothing to try."""
    tried = (MOST_SAMPLES if samples else 1) + neighbours
    return min(averages, 2 * n_validation * tried) if tried > 1 else 0


def choose_averaging(
    single: CandidateSet,
    judge: Callable[[Averaging], PairwiseScorer],
    validation: Sequence[Item],
    *,
    samples: bool = True,
    neighbours: Sequence[str] = (),
    calls_left: Callable[[], int],
) -> tuple[Averaging | None, CandidateSet, list[Candidate]]:
    """The average that did better than one judgement, None where none did; its scores; what was tried.

    Args:
        single: The judge as it is read once; it is scored on what it was not scored on yet.
        judge: Makes the same judge read as a mean.
        validation: Validation pairs in both orders, adjacent.
        samples: Whether the samples of the model differ.
        neighbours: Personas of other users, the nearest first.
        calls_left: Distinct calls that may still be made.
    """
    items, best, chosen, tried = validation, single, Averaging(), []

    def steps() -> Iterator[tuple[Averaging, int]]:
        """What is tried next, beside the best by then, and the calls that each item takes more."""
        asked = 0
        for number in SAMPLES if samples else ():
            yield Averaging(samples=number), number - asked
            asked = number
        own = chosen.samples
        for number in range(1, len(neighbours) + 1):
            how = Averaging(samples=own, neighbours=tuple(neighbours[:number]))
            yield how, 2 if not asked and number == 1 else 1

    for how, more in steps():
        affordable = max(0, calls_left()) // more
        items = items[: affordable - affordable % 2]
        if not items:
            break
        single.judge_items(items)
        expected = NEIGHBOUR_GAIN * len(how.neighbours)
        mean = CandidateSet(_name(how), single.demonstrations, judge(how), expected)
        mean.judge_items(items)
        tried.append(mean)
        if mean.beats(best):
            pairs = len({pair.pair_id for pair, _ in items})
            update = {"gain": mean.mean_gain(single), "pairs": pairs}
            best, chosen = mean, how.model_copy(update=update)
    reports = [candidate_report(it, single, selected=it is best) for it in tried]
    return None if best is single else chosen, best, reports


def _name(how: Averaging) -> str:
    beside = f" and {count(len(how.neighbours), 'neighbour')}" if how.neighbours else ""
    return f"mean of {count(how.samples, 'sample')}{beside}"

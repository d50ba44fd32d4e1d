"""One answer among several: the largest reward, or the winner of a bracket of comparisons."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from synthesizeme.judges import combine
from synthesizeme.scoring import Answer, PairwiseScorer, ResponseScorer
from synthesizeme.types import Comparison, Failure, Message, Verdict


@dataclass(frozen=True)
class Choice:
    """What there is to choose from for one user's question."""

    choice_id: str
    """Unique among the choices put together; the pair id of its comparisons."""
    user_id: str
    """Whose choice it is."""
    prompt: tuple[Message, ...]
    """What is answered."""
    candidates: tuple[str, ...]
    """At least two different texts."""


def choose(scorer: PairwiseScorer, choices: Sequence[Choice]) -> list[int | Failure]:
    """Position of the candidate that each user prefers, by what the scorer says.

    A scorer of responses takes the largest reward (best-of-n). A judge is asked about neighbours, then the
    winners about each other, until one is left: n - 1 comparisons in about log2(n) rounds, all questions of a
    round in one go, both orders where the verdict may depend on the order. The earlier one wins a tie.

    Returns:
        One position for each choice, or the first `Failure` that came in its way.
    """
    if isinstance(scorer, ResponseScorer):
        return _by_reward(scorer, choices)
    standing: list[list[int] | Failure] = [list(range(len(choice.candidates))) for choice in choices]
    while any(isinstance(left, list) and len(left) > 1 for left in standing):
        standing = _round(scorer, choices, standing)
    return [left if isinstance(left, Failure) else left[0] for left in standing]


def _by_reward(scorer: ResponseScorer, choices: Sequence[Choice]) -> list[int | Failure]:
    asked = [Answer(it.prompt, text, it.user_id) for it in choices for text in it.candidates]
    rewards = iter(scorer.rewards(asked))
    found: list[int | Failure] = []
    for choice in choices:
        values = [next(rewards) for _ in choice.candidates]
        found.append(values.index(max(values)))
    return found


def _round(
    scorer: PairwiseScorer, choices: Sequence[Choice], standing: Sequence[list[int] | Failure]
) -> list[list[int] | Failure]:
    """Every second candidate against the one before it; an odd one waits."""
    asked = [
        (row, left[i], left[i + 1])
        for row, left in enumerate(standing)
        if isinstance(left, list)
        for i in range(0, len(left) - 1, 2)
    ]
    comparisons = [
        Comparison(
            pair_id=choices[row].choice_id,
            user_id=choices[row].user_id,
            prompt=choices[row].prompt,
            first=choices[row].candidates[first],
            second=choices[row].candidates[second],
        )
        for row, first, second in asked
    ]
    verdicts = _verdicts(scorer, comparisons)
    left_over: list[list[int] | Failure] = [left if isinstance(left, Failure) else [] for left in standing]
    for (row, first, second), verdict in zip(asked, verdicts, strict=True):
        winners = left_over[row]
        if isinstance(winners, Failure):
            continue
        if isinstance(verdict, Failure):
            left_over[row] = verdict
        else:
            winners.append(second if verdict.preference == "second" else first)
    for left, winners in zip(standing, left_over, strict=True):
        if isinstance(left, list) and isinstance(winners, list) and len(left) % 2:
            winners.append(left[-1])
    return left_over


def _verdicts(scorer: PairwiseScorer, comparisons: Sequence[Comparison]) -> list[Verdict | Failure]:
    """One verdict a comparison, independent of the order where the scorer is not."""
    if not scorer.order_sensitive:
        return list(scorer.compare(comparisons))
    both = scorer.compare([shown for it in comparisons for shown in (it, it.swapped())])
    found: list[Verdict | Failure] = []
    for shown, swapped in zip(both[::2], both[1::2], strict=True):
        if isinstance(shown, Failure):
            found.append(shown)
        else:
            found.append(swapped if isinstance(swapped, Failure) else combine(shown, swapped))
    return found

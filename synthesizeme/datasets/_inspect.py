"""What is in a set of pairs, in numbers."""

from __future__ import annotations

import statistics
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Sequence

from pydantic import Field

from synthesizeme.datasets._splits import same_texts
from synthesizeme.types import Frozen, PreferencePair, Respondents, respondents

UNSPLIT = "none"
"""Key under which pairs without a split are counted."""


class Spread(Frozen):
    """Smallest, middle and largest of some numbers."""

    minimum: float
    """Smallest."""
    median: float
    """Middle."""
    maximum: float
    """Largest."""


class PairsSummary(Frozen):
    """A set of pairs in numbers."""

    pairs: int
    """Number of pairs."""
    users: int
    """Number of users."""
    pairs_per_user: Spread
    """Pairs of one user."""
    respondents: dict[Respondents, int]
    """Pairs that people chose, and pairs that simulations did; who made none is left out."""
    splits: dict[str, int]
    """Pairs per split; ``none`` counts pairs without."""
    prompt_turns: Spread
    """Turns of a prompt."""
    response_characters: Spread
    """Length of a response in characters."""
    chosen_longer: float | None = Field(ge=0.0, le=1.0)
    """Share of pairs whose chosen response is the longer one, among those of unequal length."""
    prompts: int
    """Number of different prompts."""
    prompts_in_several_splits: int
    """Prompts that stand in more than one split: the test is then not one of unseen prompts."""
    comparisons_in_several_splits: int
    """Comparisons of the same two texts by the same user in more than one split: a leak."""
    metadata_keys: dict[str, int]
    """Pairs that have a metadata key, by key."""


def inspect(pairs: Sequence[PreferencePair]) -> PairsSummary:
    """Summarise pairs.

    Raises:
        ValueError: there are none.
    """
    if not pairs:
        raise ValueError("no pairs to summarise; expected at least one")
    lengths = [(len(pair.chosen_text), len(pair.rejected_text)) for pair in pairs]
    unequal = [chosen > rejected for chosen, rejected in lengths if chosen != rejected]
    per_user = Counter(pair.user_id for pair in pairs)
    return PairsSummary(
        pairs=len(pairs),
        users=len(per_user),
        pairs_per_user=_spread(per_user.values()),
        respondents=dict(Counter(respondents([pair]) for pair in pairs)),
        splits=dict(Counter(pair.split or UNSPLIT for pair in pairs)),
        prompt_turns=_spread(len(pair.prompt) for pair in pairs),
        response_characters=_spread(length for both in lengths for length in both),
        chosen_longer=sum(unequal) / len(unequal) if unequal else None,
        prompts=len({pair.prompt for pair in pairs}),
        prompts_in_several_splits=_in_several((pair.prompt, pair) for pair in pairs),
        comparisons_in_several_splits=_in_several(((pair.user_id, same_texts(pair)), pair) for pair in pairs),
        metadata_keys=dict(Counter(key for pair in pairs for key in pair.metadata).most_common()),
    )


def _spread(numbers: Iterable[int]) -> Spread:
    values = sorted(numbers)
    return Spread(minimum=values[0], median=statistics.median(values), maximum=values[-1])


def _in_several(keyed: Iterable[tuple[Hashable, PreferencePair]]) -> int:
    splits = defaultdict(set)
    for key, pair in keyed:
        splits[key].add(pair.split)
    return sum(len(found) > 1 for found in splits.values())

"""Sets of pairs: by user, split by a seed, counted, of people or of simulations."""

from __future__ import annotations

import math
import random
import statistics
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Protocol, TypeVar

from pydantic import Field

from synthesizeme.errors import ConfigError, DataError
from synthesizeme.feedback import Judgement, kinds_of
from synthesizeme.plain_text import short_repr
from synthesizeme.types import SIMULATED, Frozen, PreferencePair, Respondents, Split, respondents

FRACTIONS = (0.6, 0.2, 0.2)
"""Shares of train, validation and test."""
SPLITS: tuple[Split, ...] = ("train", "validation", "test")
"""In the order of the shares."""
FEWEST_TO_SPLIT = 3
"""With fewer pairs all of them are train: nothing can be learned from none."""


def assign_splits(
    pairs: Sequence[PreferencePair], *, seed: int, fractions: tuple[float, float, float] = FRACTIONS
) -> tuple[list[PreferencePair], str]:
    """Give every pair a split: users whose rows name one keep it, the others' pairs are drawn by `resplit`.

    Returns:
        The pairs in the same order, and the rule in words.

    Raises:
        DataError: some rows of a user name a split and some do not.
        ConfigError: the fractions are not shares of one whole.
    """
    named: dict[str, dict[bool, PreferencePair]] = defaultdict(dict)
    for pair in pairs:
        named[pair.user_id].setdefault(pair.split is not None, pair)
    if mixed := [user for user, firsts in named.items() if len(firsts) > 1]:
        first = named[mixed[0]]
        raise DataError(
            f"user {short_repr(mixed[0])} has rows with a split, the first being pair "
            f"{_shown_pair(first[True])}, and rows without, the first being pair "
            f"{_shown_pair(first[False])}; expected all or none",
            field="split",
            cure="complete the splits or remove them; `synthesizeme data split` draws them afresh",
        )
    drawn = iter(resplit([pair for pair in pairs if pair.split is None], seed, fractions))
    given = sum(True in firsts for firsts in named.values())
    shares = "/".join(f"{100 * share:g}" for share in fractions)
    rules = []
    if given:
        rules.append(f"given in the rows of {given} users" if given < len(named) else "given in the rows")
    if given < len(named):
        whom = f" of {len(named) - given} users" if given else ""
        rules.append(f"{shares} at random within each user{whom}, seed {seed}")
    return [pair if pair.split else next(drawn) for pair in pairs], "; ".join(rules)


def extend_splits(
    pairs: Sequence[PreferencePair], known: Mapping[str, str], *, seed: int
) -> tuple[list[PreferencePair], str]:
    """Give every pair of one user a split that stays when further pairs come.

    A pair keeps the split that its row names, else the one it had before. The others come, in an order drawn
    by the seed and the user, each to the split that is most behind its share; a pair of the same two texts as
    an older one goes with it. Where nothing is known and no row names a split, this is `assign_splits`.

    Args:
        pairs: All pairs of the user.
        known: Split of older pairs by pair id.
        seed: Seed of the draw.

    Returns:
        The pairs in the same order, and the rule in words.
    """
    named = {pair.pair_id: pair.split or known.get(pair.pair_id) for pair in pairs}
    fresh = [pair for pair in pairs if named[pair.pair_id] is None]
    if len(fresh) == len(pairs) or all(pair.split for pair in pairs):
        return assign_splits(pairs, seed=seed)
    texts = {same_texts(pair): split for pair in pairs if (split := named[pair.pair_id])}
    counts = Counter(split for split in named.values() if split)
    fresh.sort(key=lambda pair: pair.pair_id)
    random.Random(f"{seed}\0{pairs[0].user_id}\0{len(pairs)}").shuffle(fresh)
    for pair in fresh:
        total = counts.total() + 1
        behind = [share * total - counts[name] for name, share in zip(SPLITS, FRACTIONS, strict=True)]
        split = texts.setdefault(same_texts(pair), SPLITS[behind.index(max(behind))])
        named[pair.pair_id] = split
        counts[split] += 1
    rule = f"{len(pairs) - len(fresh)} kept, {len(fresh)} drawn, each for the split most behind its share"
    return [_with_split(pair, named[pair.pair_id]) for pair in pairs], f"{rule}, seed {seed}"


class _OfUser(Protocol):
    @property
    def user_id(self) -> str: ...


Own = TypeVar("Own", bound=_OfUser)
"""Something of one user, such as a pair, or what was said about one."""


def by_user(pairs: Iterable[Own]) -> dict[str, list[Own]]:
    """The pairs of each user, users and pairs in the order in which they come."""
    users: dict[str, list[Own]] = {}
    for pair in pairs:
        users.setdefault(pair.user_id, []).append(pair)
    return users


def resplit(
    pairs: Iterable[PreferencePair], seed: int, fractions: tuple[float, float, float] = FRACTIONS
) -> list[PreferencePair]:
    """Draw splits afresh within each user, whatever the rows say.

    Pairs of the same two texts stay together. A user with fewer than three pairs is all train; with three
    there is a test pair, from four on also one for validation. The draw depends on the seed, the user and
    the user's own pairs, not on their order or on other users.

    Raises:
        ConfigError: the fractions are not shares of one whole.
    """
    if not math.isclose(sum(fractions), 1) or min(fractions) < 0 or fractions[0] == 0:
        raise ConfigError(f"fractions are {fractions}; expected three shares >= 0 that sum to 1, train > 0")
    pairs = list(pairs)
    users: dict[str, list[int]] = defaultdict(list)
    for index, pair in enumerate(pairs):
        users[pair.user_id].append(index)
    splits: dict[int, Split] = {}
    for user_id, indices in users.items():
        splits.update(_draw(pairs, indices, random.Random(f"{seed}\0{user_id}"), fractions))
    return [pair.model_copy(update={"split": splits[index]}) for index, pair in enumerate(pairs)]


def hold_out(pairs: Iterable[PreferencePair], share: float, *, seed: int) -> list[PreferencePair]:
    """Keep a share of each user's pairs back: they become test rows, the others have no split.

    Drawn as by `resplit`: pairs of the same two texts stay together, a user with fewer than three has none.

    Raises:
        ConfigError: the share is not in [0, 1).
    """
    drawn = resplit(pairs, seed, (1 - share, 0.0, share))
    return [pair if pair.split == "test" else _with_split(pair, None) for pair in drawn]


def hold_out_responses(
    pairs: Iterable[PreferencePair], seed: int
) -> tuple[list[PreferencePair], list[PreferencePair]]:
    """Hold a third of all responses out, whoever judged them: what a model meets that scores new texts.

    The distinct texts of both sides are sorted and shuffled by `random.Random(seed)`; the first third of
    them, rounded down, is held out. Pairs of which one side is held out and the other is not belong to
    neither part.

    Returns:
        The pairs with no side held out, and those with both, each in the order given.
    """
    pairs = list(pairs)
    texts = sorted({text for pair in pairs for text in (pair.chosen_text, pair.rejected_text)})
    random.Random(seed).shuffle(texts)
    held_out = set(texts[: len(texts) // 3])
    sides = [(pair.chosen_text in held_out) + (pair.rejected_text in held_out) for pair in pairs]
    parts = [[pair for pair, n in zip(pairs, sides, strict=True) if n == number] for number in (0, 2)]
    return parts[0], parts[1]


def split_at(position: float, n: int, fractions: tuple[float, float, float] = FRACTIONS) -> Split:
    """Split of what stands at `position` (in [0, n], the middle of its span) of a shuffled history of `n`.

    >>> [split_at(rank + 0.5, 5) for rank in range(5)]
    ['train', 'train', 'train', 'validation', 'test']
    """
    share = position / n
    if share < fractions[0]:
        return "train"
    return "validation" if share < fractions[0] + fractions[1] else "test"


def same_texts(pair: PreferencePair) -> frozenset[str]:
    """What makes two pairs of a user the same comparison: the two texts, whichever was chosen."""
    return frozenset((pair.chosen_text.strip(), pair.rejected_text.strip()))


def _with_split(pair: PreferencePair, split: str | None) -> PreferencePair:
    return pair if pair.split == split else pair.model_copy(update={"split": split})


def _shown_pair(pair: PreferencePair) -> str:
    """A pair's id and, since that may have been derived, the beginning of what the user asked."""
    return f"{short_repr(pair.pair_id)} ({short_repr(pair.prompt[-1].content)})"


def _draw(
    pairs: Sequence[PreferencePair],
    indices: Sequence[int],
    rng: random.Random,
    fractions: tuple[float, float, float],
) -> dict[int, Split]:
    if len(indices) < FEWEST_TO_SPLIT:
        return dict.fromkeys(indices, "train")
    together: dict[frozenset[str], list[int]] = defaultdict(list)
    for index in sorted(indices, key=lambda index: pairs[index].pair_id):
        together[same_texts(pairs[index])].append(index)
    groups = list(together.values())
    rng.shuffle(groups)
    splits: dict[int, Split] = {}
    for group in groups:
        place = split_at(len(splits) + len(group) / 2, len(indices), fractions) if splits else "train"
        splits.update(dict.fromkeys(group, place))
    if "test" not in splits.values() and fractions[2] > 0:
        return {index: "test" if split == "validation" else split for index, split in splits.items()}
    return splits


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


class FeedbackSummary(Frozen):
    """What was said beside bare choices, in numbers."""

    kinds: dict[str, int]
    """How much other feedback there is, by kind; see `kinds_of`."""
    users: int
    """Users who gave it."""
    reasons: dict[str, int]
    """Pairs and other feedback that come with a reason in words, by kind."""
    strengths: int
    """Pairs of which it was said how much the chosen response was preferred."""


def inspect_feedback(pairs: Iterable[PreferencePair], feedback: Sequence[Judgement]) -> FeedbackSummary:
    """Summarise what was said beside bare choices."""
    pairs = list(pairs)
    reasoned = sum(pair.reason is not None for pair in pairs)
    reasons = {"pair": reasoned} if reasoned else {}
    return FeedbackSummary(
        kinds=kinds_of(feedback),
        users=len({said.user_id for said in feedback}),
        reasons=reasons | kinds_of(said for said in feedback if said.reason is not None),
        strengths=sum(pair.strength is not None for pair in pairs),
    )


def _spread(numbers: Iterable[int]) -> Spread:
    values = sorted(numbers)
    return Spread(minimum=values[0], median=statistics.median(values), maximum=values[-1])


def _in_several(keyed: Iterable[tuple[Hashable, PreferencePair]]) -> int:
    splits = defaultdict(set)
    for key, pair in keyed:
        splits[key].add(pair.split)
    return sum(len(found) > 1 for found in splits.values())


def check_single_source(pairs: Sequence[PreferencePair], source: str | None = None) -> Respondents:
    """Who chose in pairs that are to be measured together.

    Raises:
        DataError: people made some of the choices, and simulations others.
    """
    kind = respondents(pairs)
    if kind == "mixed":
        people, simulated = counted(pairs)
        raise DataError(
            f"{people} of the pairs to be measured on are choices of people and {simulated} of simulations; "
            "no figure can speak of both",
            source=source,
            field=f"metadata.{SIMULATED}",
            cure="measure each apart: `synthesizeme data convert IN --out OUT --respondents human`",
        )
    return kind


def counted(pairs: Sequence[PreferencePair]) -> tuple[int, int]:
    """How many choices people made, and how many simulations."""
    counts = Counter(pair.simulated for pair in pairs)
    return counts[False], counts[True]

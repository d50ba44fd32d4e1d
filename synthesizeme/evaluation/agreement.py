"""How far several people agree on the same pairs: all of them, each person, and each pair.

Which of two responses is called the first is an accident of the showing. What people say of pairs therefore
enters both ways round, so that no result depends on which response stood where.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from statistics import fmean

from synthesizeme.evaluation.intervals import Interval
from synthesizeme.evaluation.krippendorff import Judged, alpha_interval, alphas_without
from synthesizeme.feedback import Given, Tie, pairs_in
from synthesizeme.pairs import check_single_source
from synthesizeme.types import Frozen, PreferencePair


class Annotator(Frozen):
    """One person among those who judged the same."""

    name: str
    """Who; a user's id."""
    shared: int
    """Comparisons that somebody else judged too."""
    agrees: float | None
    """Mean over these of the share of the others who said the same, in [0, 1]; None without any."""
    ties: int
    """How many of these were called a tie."""
    alpha_without: float | None
    """The nominal alpha of all others; above that of all it is this person who differs."""
    repeats: int
    """Comparisons of any that were judged again; the first judgement counts."""
    repeated_alike: int
    """Of these, those judged as before."""


class Compared(Frozen):
    """One prompt with two responses, and what people said of it."""

    ids: tuple[str, ...]
    """Ids of the pairs and ties, in the order of the file."""
    votes: tuple[int, int, int]
    """How many preferred the response whose text is first in the alphabet, neither, and the other one."""
    disagreement: float
    """Share of the pairs of people who did not say the same, in [0, 1]."""


class Agreement(Frozen):
    """How far people agree on pairs that several of them judged."""

    nominal: Interval
    """Alpha of three verdicts: the one, the other, a tie; see `alpha_interval`."""
    ordinal: Interval
    """The same with a tie half way between the two."""
    alone: int
    """Comparisons that one person alone judged; they say nothing here."""
    annotators: tuple[Annotator, ...]
    """Everybody, who agrees least first."""
    compared: tuple[Compared, ...]
    """Comparisons that two or more judged, those of most disagreement first."""


def agreement(given: Iterable[Given], *, seed: int = 0) -> Agreement:
    """How far people agree on the same prompt with the same two responses, whichever was shown first.

    Pairs and ties are read; other feedback is no verdict between two. Texts are the same but for space around
    them. Who judges a comparison again has said it once, the first time; the repeats are counted.

    Args:
        given: What was said, in the order in which it was.
        seed: Of the bootstrap.

    Raises:
        DataError: people made some of the choices, and simulations others.
    """
    given = list(given)
    check_single_source([*pairs_in(given)])
    judged, ids, again = judged_pairs(given)
    people = Counter(it.item for it in judged)
    shared = [it for it in judged if people[it.item] > 1]
    return Agreement(
        nominal=alpha_interval(shared, mirrored=True, seed=seed),
        ordinal=alpha_interval(shared, "ordinal", mirrored=True, seed=seed),
        alone=sum(number == 1 for number in people.values()),
        annotators=_annotators(judged, shared, again),
        compared=_compared(shared, ids),
    )


def judged_pairs(
    given: Iterable[Given],
) -> tuple[list[Judged], dict[Hashable, list[str]], dict[str, list[bool]]]:
    """What was said of pairs as values: 1 for the text first in the alphabet, -1 for the other, 0 for a tie.

    Args:
        given: What was said; only pairs and ties are read.

    Returns:
        The first judgement of every person on every comparison; the ids of each; and of each person whether
        further judgements of the same were alike.
    """
    first: dict[tuple[Hashable, str], float] = {}
    ids: dict[Hashable, list[str]] = {}
    again: dict[str, list[bool]] = {}
    for said in given:
        if isinstance(said, PreferencePair):
            name, texts, value = said.pair_id, (said.chosen_text.strip(), said.rejected_text.strip()), 1.0
        elif isinstance(said, Tie):
            name, texts, value = said.feedback_id, (said.responses[0].strip(), said.responses[1].strip()), 0.0
        else:
            continue
        value = value if texts[0] < texts[1] else -value
        item = (tuple((turn.role, turn.content.strip()) for turn in said.prompt), frozenset(texts))
        ids.setdefault(item, []).append(name)
        if (item, said.user_id) in first:
            again.setdefault(said.user_id, []).append(first[item, said.user_id] == value)
        else:
            first[item, said.user_id] = value
    return [Judged(item, who, value) for (item, who), value in first.items()], ids, again


def _annotators(
    judged: Sequence[Judged], shared: Sequence[Judged], again: Mapping[str, Sequence[bool]]
) -> tuple[Annotator, ...]:
    votes, without = _votes(shared), alphas_without(shared, mirrored=True)
    own: dict[str, list[Judged]] = {it.annotator: [] for it in judged}
    for it in shared:
        own[it.annotator].append(it)
    found = []
    for name, mine in own.items():
        alike = [(votes[it.item][it.value] - 1) / (votes[it.item].total() - 1) for it in mine]
        repeats = again.get(name, ())
        found.append(
            Annotator(
                name=name, shared=len(mine), agrees=fmean(alike) if alike else None,
                ties=sum(it.value == 0 for it in mine), alpha_without=without.get(name),
                repeats=len(repeats), repeated_alike=sum(repeats),
            )
        )  # fmt: skip
    return tuple(sorted(found, key=lambda it: (it.agrees is None, it.agrees or 0.0, it.name)))


def _compared(shared: Sequence[Judged], ids: Mapping[Hashable, Sequence[str]]) -> tuple[Compared, ...]:
    found = []
    for item, votes in _votes(shared).items():
        m = votes.total()
        alike = sum(number * (number - 1) for number in votes.values())
        found.append(
            Compared(
                ids=tuple(ids[item]),
                votes=(votes[1.0], votes[0.0], votes[-1.0]),
                disagreement=1 - alike / (m * (m - 1)),
            )
        )
    return tuple(sorted(found, key=lambda it: -it.disagreement))


def _votes(shared: Iterable[Judged]) -> dict[Hashable, Counter[float]]:
    votes: dict[Hashable, Counter[float]] = {}
    for it in shared:
        votes.setdefault(it.item, Counter())[it.value] += 1
    return votes

"""How far people who judged the same agree: Krippendorff's alpha, and for pairs each person and each pair.

Which of two responses is called the first is an accident of the showing. What people say of pairs therefore
enters both ways round, so that no result depends on which response stood where.

References:
    Krippendorff (2011), "Computing Krippendorff's Alpha-Reliability", repository.upenn.edu/asc_papers/43: the
    coincidence matrix, missing values, the metrics.
    Field and Welsh (2007), "Bootstrapping clustered data", JRSS B 69(3): people are resampled, with all they
    said.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Literal, NamedTuple

import numpy as np

from synthesizeme.evaluation.intervals import (
    FEW_UNITS,
    RESAMPLES,
    Floats,
    Interval,
    expanded_percentiles,
    left_open,
)
from synthesizeme.feedback import Given, Tie, pairs_in
from synthesizeme.pairs import check_single_source
from synthesizeme.types import Frozen, PreferencePair

Metric = Literal["nominal", "ordinal"]
"""Whether values are only the same or not, or are ranks, some further apart than others."""
BOUNDS = (-1.0, 1.0)
"""Between which an interval of alpha lies."""


class Judged(NamedTuple):
    """One value that one annotator gave one item; an annotator gives an item one value at most."""

    item: Hashable
    """What was judged."""
    annotator: str
    """Who judged it."""
    value: float
    """What was said; of the ordinal metric its order counts, not its distances."""


def krippendorff_alpha(
    judged: Iterable[Judged], metric: Metric = "nominal", *, mirrored: bool = False
) -> float | None:
    """Krippendorff's alpha, ``1 - D_o / D_e``: 1 is perfect agreement, 0 what chance would bring about.

    Of every item that m >= 2 people judged, each ordered pair of values counts ``1 / (m - 1)``; values that
    stand alone are left out, and whoever did not judge an item is missing there. With n values in all, n_c of
    them equal to c, and o_ck the count of the pairs (c, k)::

        D_o = sum_ck o_ck delta(c, k) / n
        D_e = sum_ck n_c n_k delta(c, k) / (n (n - 1))
        delta(c, k) = 1 if c != k else 0                             # nominal
        delta(c, k) = (n_c / 2 + sum of n_g between + n_k / 2) ** 2    # ordinal

    Two people say of four texts yes yes no no, and yes no no no. Three texts are agreed on: of eight values
    n_yes = 3 and n_no = 5, D_o = 2 / 8, D_e = 2 * 3 * 5 / (8 * 7), and alpha is 1 - 7 / 15:

    >>> said = {"ann": [1, 1, 0, 0], "bob": [1, 0, 0, 0]}
    >>> rows = [Judged(text, who, value) for who, values in said.items() for text, value in enumerate(values)]
    >>> round(krippendorff_alpha(rows), 4), round(1 - 7 / 15, 4)
    (0.5333, 0.5333)

    Args:
        judged: What was said.
        metric: How far apart two values are.
        mirrored: Whether a value v of an item is -v once the item is turned round; each item then enters both
            ways, and alpha is the same whichever way it was written down.

    Returns:
        At most 1; None where no item was judged by two, or nobody ever said anything else.

    Raises:
        ValueError: an annotator judged an item twice.
    """
    table = _Table.of(judged, mirrored)
    return table.alpha(np.ones(len(table.annotators)), metric)


def alpha_interval(
    judged: Iterable[Judged],
    metric: Metric = "nominal",
    *,
    mirrored: bool = False,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Interval:
    """`krippendorff_alpha` with its 95 % interval from a bootstrap over annotators, each with all they said.

    Whoever is drawn twice counts twice, but is never set against themself; draws in which no item has two
    people are left out. With fewer than `FEW_UNITS` annotators that says little, and ``for_these_users``
    holds the interval over items: how surely these same people agree. Where all draws give the same value,
    what so many people leave open is the interval, as in `intervals.interval`.

    Args:
        judged: What was said.
        metric: See `krippendorff_alpha`.
        mirrored: See `krippendorff_alpha`.
        resamples: Bootstrap samples.
        seed: Of the bootstrap.

    Returns:
        ``n_pairs`` counts the items that two or more judged, ``n_users`` their annotators.

    Raises:
        ValueError: an annotator judged an item twice.
    """
    table = _Table.of(judged, mirrored)
    people, items = len(table.annotators), table.items
    value = table.alpha(np.ones(people), metric)
    if value is None:
        return Interval(
            value=None, low=None, high=None, standard_error=None, n_pairs=items, n_users=people, unit="user"
        )
    rng = np.random.default_rng(seed)
    draws = rng.multinomial(people, np.full(people, 1 / people), size=resamples)
    found = np.array([it for row in draws if (it := table.alpha(row, metric)) is not None])
    low, high = _ends(value, found, people)
    own = None
    if people < FEW_UNITS:
        drawn = rng.multinomial(items, np.full(items, 1 / items), size=resamples)
        over = [table.alpha(np.ones(people), metric, row) for row in drawn]
        own = _ends(value, np.array([it for it in over if it is not None]), items)
    error = float(found.std(ddof=1)) if len(found) > 1 else None
    return Interval(
        value=value, low=low, high=high, standard_error=error, n_pairs=items, n_users=people, unit="user",
        for_these_users=own,
    )  # fmt: skip


def alphas_without(judged: Iterable[Judged], *, mirrored: bool = False) -> dict[str, float | None]:
    """The nominal alpha of all others, for each annotator who judged an item that somebody else judged."""
    table = _Table.of(judged, mirrored)
    everybody = np.ones(len(table.annotators))
    return {
        name: table.alpha(np.where(np.arange(len(everybody)) == number, 0.0, everybody), "nominal")
        for number, name in enumerate(table.annotators)
    }


def _ends(value: float, found: Floats, units: int) -> tuple[float, float]:
    if len(found) < 2 or units < 2 or np.ptp(found) < 1e-12:
        return left_open(value, units, BOUNDS)
    low, high = expanded_percentiles(found, units)
    return max(min(low, value), BOUNDS[0]), min(max(high, value), BOUNDS[1])


@dataclass(frozen=True)
class _Table:
    """Judgements of items that two or more judged, as numbers: of each one its item, annotator and value."""

    item: np.ndarray
    annotator: np.ndarray
    value: np.ndarray
    items: int
    annotators: tuple[str, ...]
    values: int
    mirrored: bool

    @classmethod
    def of(cls, judged: Iterable[Judged], mirrored: bool) -> _Table:
        """Numbers for what was said.

        Raises:
            ValueError: an annotator judged an item twice.
        """
        rows = list(judged)
        if len({(it.item, it.annotator) for it in rows}) < len(rows):
            raise ValueError("an annotator judged an item twice; expected one value each")
        people = Counter(it.item for it in rows)
        rows = [it for it in rows if people[it.item] > 1]
        items = {item: i for i, item in enumerate(dict.fromkeys(it.item for it in rows))}
        annotators = {name: i for i, name in enumerate(sorted({it.annotator for it in rows}))}
        said = {it.value for it in rows} | {-it.value for it in rows if mirrored}
        values = {value: i for i, value in enumerate(sorted(said))}
        columns = ([items[it.item], annotators[it.annotator], values[it.value]] for it in rows)
        found = np.array(list(columns), dtype=np.intp).reshape(-1, 3)
        item, annotator, value = found.T
        return cls(item, annotator, value, len(items), tuple(annotators), len(values), mirrored)

    def alpha(self, people: np.ndarray, metric: Metric, items: np.ndarray | None = None) -> float | None:
        """Alpha where each annotator counts as often as `people` says, (A,), and each item as `items`."""
        weight = people[self.annotator].astype(np.float64)
        place = self.item * self.values + self.value
        counts = np.bincount(place, weight, self.items * self.values).reshape(self.items, self.values)
        others = counts.sum(1)[self.item] - weight
        paired = (others > 0) & (weight > 0)
        weight = np.where(paired, weight, 0.0)
        if items is not None:
            weight = weight * items[self.item]
        marginal, ways = np.bincount(self.value, weight, self.values).astype(np.float64), 1
        if self.mirrored:
            marginal, ways = marginal + marginal[::-1], 2
        n = marginal.sum()
        distance = _distances(marginal, metric)
        expected = marginal @ distance @ marginal
        if n <= 1 or expected <= 0:
            return None
        share = np.divide(weight, others, out=np.zeros_like(weight), where=paired)
        observed = ways * share @ np.einsum("rk,rk->r", counts[self.item], distance[self.value])
        return float(1 - (n - 1) * observed / expected)


def _distances(marginal: Floats, metric: Metric) -> Floats:
    """Squared differences between values, shape (V, V)."""
    if metric == "nominal":
        return 1.0 - np.eye(len(marginal))
    middle = np.cumsum(marginal) - marginal / 2
    return np.asarray((middle[:, None] - middle[None, :]) ** 2)


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

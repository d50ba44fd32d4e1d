"""What a user said of responses, as margins and terms of the likelihood; never as pairs that nobody chose.

With r the user's reward of a response, and with thresholds t of the user's own, drawn to those of all users:

- choice: log sigma(r_a - r_b). Where ties could be said it is one of three outcomes.
- tie: Davidson's third outcome with log nu = -0.7 + t; both good or both bad are also a thumb for each.
- strength, level k of L: c_(k-1) < r_a - r_b + noise < c_k with c_k = (1 + t) log((L + k) / (L - k)); all
  levels together are a choice. A tie of a user who says strengths is the middle level of the same scale.
- ranking: Plackett-Luce.
- rating, level k of K: c_(k-1) < r + noise < c_k with c_k = t + (1 + t') log(k / (K - k)); of thumbs the t is
  another one.
- edit: a choice of the user's own version.
- trait: with d the difference between a response with one standard deviation more of the feature and one
  without it, by what goes with it in the training (`Basis.trait`), and with g = d.(w + v) what it is worth to
  the user, m = t + a g / sd(d.v); it is yes where c < m + noise, no where m + noise < -c, and between them it
  does not matter. With c = log 2 the three are equally probable at m = 0, and with a = 2 who is one standard
  deviation above 0 says yes with 0.79 and no with 0.06. The t is a user's way to say yes, whatever is asked
  (Cronbach 1946).

The spread of a user's scale, 1 + t', has the prior N(1, V) times 1 + t', so that thresholds stay in order.

Reasons are no term, nor are ratings of one aspect. The noise is logistic throughout.

References:
    See `reward_models._likelihood`.
    Cronbach, "Response Sets and Test Validity", Educational and Psychological Measurement 6, 1946.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from reward_models._likelihood import Term, Terms, beside_ties, between, gathered, positive, ranking
from reward_models._types import Item, Prompt
from synthesizeme.feedback import Edit, Judgement, Ranking, Rating, Tie, Trait
from synthesizeme.stylometry import FEATURES
from synthesizeme.types import PreferencePair, Strength

KINDS = frozenset({"strength", "tie", "ranking", "rating", "edit", "trait"})
"""Kinds of feedback beside choices that have a term."""

_FULLEST = ("ranking", "rating", "tie", "edit", "trait")
"""Kinds of feedback, those first that say most of one act."""


class Threshold(NamedTuple):
    """A number of a user's own."""

    place: int
    """Which it is."""
    shared: float
    """Prior variance of the mean of all users."""
    own: float
    """Of a user's difference from it."""


TIES = Threshold(0, shared=1.0, own=3.0)
THUMBS = Threshold(1, shared=4.0, own=1.0)
RATINGS = Threshold(2, shared=4.0, own=1.0)
SPREAD_OF_RATINGS = Threshold(3, shared=0.25, own=0.1)
SPREAD_OF_STRENGTHS = Threshold(4, shared=0.25, own=0.1)
TRAITS = Threshold(5, shared=0.25, own=0.25)
THRESHOLDS = (TIES, THUMBS, RATINGS, SPREAD_OF_RATINGS, SPREAD_OF_STRENGTHS, TRAITS)
"""In the order of their places; prior means are 0."""
CLEAR = 2.0
"""Log-odds by which the answer about a trait moves with one standard deviation of the users' weights."""
NO_MATTER = (-math.log(2), math.log(2))
"""Between these a trait does not matter."""
_PLACES = {feature.name: place for place, feature in enumerate(FEATURES)}
LOG_NU = -0.7
"""Of Davidson's model at a threshold of 0: one in five of two equal responses is called a tie."""


class Weight(NamedTuple):
    """How much counts in a margin what a named feature is worth to a user."""

    feature: int
    """Its place in `synthesizeme.stylometry.FEATURES`."""
    by: float
    """In prior standard deviations of the users' weights."""


class Line(NamedTuple):
    """A margin: the reward of the first response less that of the second, and what stands beside them."""

    first: Item | None = None
    second: Item | None = None
    moment: datetime | None = None
    """As of when."""
    constant: float = 0.0
    thresholds: tuple[tuple[Threshold, float], ...] = ()
    weight: Weight | None = None

    def lowered(self, threshold: float, spread: Threshold | None = None) -> Line:
        """How far this margin lies above a threshold on a scale, whose spread is the user's own or fixed."""
        moved = self.thresholds if spread is None else ((spread, -threshold), *self.thresholds)
        return self._replace(constant=-threshold, thresholds=moved)

    def turned(self) -> Line:
        """The negative of it."""
        return Line(
            self.second,
            self.first,
            self.moment,
            -self.constant,
            tuple((threshold, -by) for threshold, by in self.thresholds),
            None if self.weight is None else self.weight._replace(by=-self.weight.by),
        )


@dataclass
class Margins:
    """All margins by which a user said anything."""

    lines: list[Line] = field(default_factory=list)
    said: list[tuple[Term, Sequence[int]]] = field(default_factory=list)
    """Terms by the numbers of lines; lines in none are choices."""
    outcomes: dict[bool, list[Line]] = field(default_factory=lambda: {False: [], True: []})
    """Choices and, where the key is true, ties, of which `close` makes one term."""

    def choose(self, line: Line) -> None:
        """Add a choice by one margin."""
        self.lines.append(line)

    def say(self, term: Term, *lines: Line) -> None:
        """Add what was said by several margins."""
        begin = len(self.lines)
        self.lines.extend(lines)
        self.said.append((term, range(begin, len(self.lines))))

    def close(self) -> None:
        """Add what stands for all that was said: outcomes beside ties, and priors of spreads."""
        chosen, tied = self.outcomes.values()
        if chosen or tied:
            self.say(beside_ties(len(chosen), len(tied)), *chosen, *tied, _LOG_NU)
        held = {threshold for line in self.lines for threshold, by in line.thresholds if by}
        for spread in (SPREAD_OF_RATINGS, SPREAD_OF_STRENGTHS):
            if spread in held:
                self.say(positive, Line(constant=1.0, thresholds=((spread, 1.0),)))

    def level(self, line: Line, bounds: tuple[float, float], spread: Threshold | None) -> None:
        """Add that a margin with noise fell between two thresholds of a scale, which may be infinite."""
        lower, upper = (line.lowered(bound, spread) if math.isfinite(bound) else None for bound in bounds)
        if lower is not None and upper is not None:
            self.say(between, lower, upper)
        elif lower is not None:
            self.choose(lower)
        elif upper is not None:
            self.choose(upper.turned())

    @property
    def terms(self) -> Terms:
        """Terms, alike ones put together."""
        return gathered(self.said)

    @property
    def plain(self) -> bool:
        """Whether there are choices alone, without any threshold."""
        return not self.said and not any(line.thresholds for line in self.lines)

    def beside(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Constants, shape (n,), and how much of each threshold the margins hold, shape (n, T)."""
        thresholds = np.zeros((len(self.lines), len(THRESHOLDS)))
        for row, line in zip(thresholds, self.lines, strict=True):
            for threshold, by in line.thresholds:
                row[threshold.place] += by
        return np.array([line.constant for line in self.lines]), thresholds


def choices(pairs: Sequence[PreferencePair]) -> Margins:
    """Pairs as choices, whatever else was said."""
    return Margins([_contest(pair) for pair in pairs])


def says_ties(feedback: Iterable[Judgement]) -> bool:
    """Whether a tie is among what was said."""
    return any(isinstance(it, Tie) for it in feedback)


def everything(
    pairs: Sequence[PreferencePair], feedback: Sequence[Judgement], *, ties: bool = False
) -> Margins:
    """All margins of one user and what was said by them.

    Args:
        pairs: Choices.
        feedback: What else was said.
        ties: Whether a tie could have been said in place of each choice, though none is among `feedback`.
    """
    pairs, feedback = once(pairs, feedback)
    found = Margins()
    ties = ties or says_ties(feedback)
    levels = max((pair.strength.levels for pair in pairs if pair.strength is not None), default=0)
    for pair in pairs:
        _choice(found, _contest(pair), pair.strength, levels, ties=ties)
    for it in feedback:
        match it:
            case Tie():
                _tie(found, it, levels)
            case Ranking():
                best, *others = (_item(it, text) for text in it.responses)
                sizes = tuple(map(len, it.groups))
                found.say(ranking(sizes), *(Line(best, other, it.created_at) for other in others))
            case Rating():
                _rating(found, it, _item(it, it.response), it.level, it.scale.levels)
            case Trait():
                low, high = NO_MATTER
                bounds = {"yes": (high, math.inf), "no": (-math.inf, low), "no matter": NO_MATTER}
                found.level(trait(it.feature, it.created_at), bounds[it.answer], None)
            case Edit():
                found.choose(Line(_item(it, it.edited), _item(it, it.original), it.created_at))
    found.close()
    return found


def once(
    pairs: Sequence[PreferencePair], feedback: Sequence[Judgement]
) -> tuple[Sequence[PreferencePair], Sequence[Judgement]]:
    """What was said, each act once: the pairs that feedback stands for (`instead_of`) are left out.

    Of several kinds that stand for one pair the one that says most is taken, a ranking first.
    """
    kinds: dict[str, str] = {}
    for it in sorted(feedback, key=lambda it: _FULLEST.index(it.kind)):
        for pair_id in it.instead_of:
            kinds.setdefault(pair_id, it.kind)
    kept = [it for it in feedback if all(kinds[pair_id] == it.kind for pair_id in it.instead_of)]
    said = {pair_id for it in kept for pair_id in it.instead_of}
    return [pair for pair in pairs if pair.pair_id not in said], kept


def reads(judgement: Judgement) -> bool:
    """Whether there is a term for it: for all but ratings of one aspect."""
    return not (isinstance(judgement, Rating) and judgement.aspect is not None)


def contest(prompt: Prompt, first: str, second: str, moment: datetime | None = None) -> Line:
    """What is above zero where the first response is chosen."""
    return Line(Item(tuple(prompt), first), Item(tuple(prompt), second), moment)


def _contest(pair: PreferencePair) -> Line:
    return contest(pair.prompt, pair.chosen_text, pair.rejected_text, pair.created_at)


def _item(of: Any, text: str) -> Item:
    return Item(tuple(of.prompt), text)


def _choice(found: Margins, line: Line, strength: Strength | None, levels: int, *, ties: bool) -> None:
    if strength is not None:
        bounds = (_bound(strength.level + k, strength.levels, ties=ties) for k in (-1, 0))
        found.level(line, (next(bounds), next(bounds)), SPREAD_OF_STRENGTHS)
    elif ties and levels:
        found.level(line, (_bound(0, levels, ties=True), math.inf), SPREAD_OF_STRENGTHS)
    elif ties:
        found.outcomes[False].append(line)
    else:
        found.choose(line)


_LOG_NU = Line(constant=LOG_NU, thresholds=((TIES, 1.0),))


def _tie(found: Margins, it: Tie, levels: int) -> None:
    first, second = (_item(it, text) for text in it.responses)
    line = Line(first, second, it.created_at)
    if levels:
        bound = _bound(0, levels, ties=True)
        found.level(line, (-bound, bound), SPREAD_OF_STRENGTHS)
    else:
        found.outcomes[True].append(line)
    if it.both is not None:
        for item in (first, second):
            _rating(found, it, item, 1 + (it.both == "good"), 2)


def _rating(found: Margins, it: Judgement, item: Item, level: int, levels: int) -> None:
    cuts = (-math.inf, *rating_cuts(levels), math.inf)
    found.level(rated(item, levels, it.created_at), (cuts[level - 1], cuts[level]), SPREAD_OF_RATINGS)


def rated(item: Item, levels: int, moment: datetime | None = None) -> Line:
    """What falls between the thresholds of a scale when a response is rated."""
    return Line(item, None, moment, thresholds=((THUMBS if levels == 2 else RATINGS, -1.0),))


def rating_cuts(levels: int) -> tuple[float, ...]:
    """The thresholds between the levels of ratings, for a spread of 1."""
    return tuple(_logit(level, levels) for level in range(1, levels))


def trait(feature: str, moment: datetime | None = None) -> Line:
    """What falls below, into or above `NO_MATTER` when a user is asked about a named feature."""
    return Line(None, None, moment, thresholds=((TRAITS, 1.0),), weight=Weight(_PLACES[feature], CLEAR))


def _bound(level: int, levels: int, *, ties: bool) -> float:
    """Above a level of strength, where two equal responses get all levels, and ties, equally often."""
    return _logit(levels + 1 + level, 2 * levels + 1) if ties else _logit(levels + level, 2 * levels)


def _logit(k: int, n: int) -> float:
    """The log-odds of k in n."""
    return -math.inf if k <= 0 else math.inf if k >= n else math.log(k / (n - k))

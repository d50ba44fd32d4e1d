"""Controls and reference scorers: without them no number says "personalized".

The controls change what a scorer knows about the user; the reference scorers mark the floor, chance, the
positive control, and what other people or other judges said about the same pair. A function of two responses
is a scorer too.
"""

from __future__ import annotations

import hashlib
import inspect
import logging
import math
import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias, TypeVar

from synthesizeme.errors import ConfigError, DataError, SynthesizeMeError
from synthesizeme.scoring import PairwiseScorer
from synthesizeme.types import Comparison, Failure, Message, Preference, PreferencePair, Verdict

ScoreFunction: TypeAlias = Callable[[tuple[Message, ...], str, str], float]
"""A prompt and two responses to the margin of the first over the second: above 0 where it is preferred."""
_EXPECTED = (
    "an object with name, order_sensitive and compare, or a function of (prompt, first, second) that gives "
    "the margin of first over second"
)
_log = logging.getLogger(__name__)


def as_scorer(scorer: object) -> PairwiseScorer:
    """A scorer as it is, and a function as one.

    Raises:
        ConfigError: it is neither.
    """
    if isinstance(scorer, type):
        raise ConfigError(f"scorer is {scorer}, a class; expected {_EXPECTED}. Cure: give an object of it")
    if isinstance(scorer, PairwiseScorer):
        return scorer
    if not callable(scorer):
        raise ConfigError(f"scorer is a {type(scorer).__name__}; expected {_EXPECTED}")
    try:
        inspect.signature(scorer).bind(None, None, None)
    except TypeError:
        raise ConfigError(
            f"scorer {_name(scorer)!r} does not take three arguments; expected {_EXPECTED}"
        ) from None
    except ValueError:  # a function that does not tell its arguments
        pass
    return FunctionScorer(scorer)


class FunctionScorer:
    """A function of the prompt's messages and two responses; margins are log-odds of the first.

    Args:
        function: Gives a number above 0 where the first response is preferred, below 0 where the second is.
    """

    order_sensitive = True

    def __init__(self, function: ScoreFunction) -> None:
        self.function = function
        self.name = _name(function)
        self._warned = False

    def __repr__(self) -> str:
        return f"FunctionScorer({self.name})"

    def compare(self, comparisons: Sequence[Comparison]) -> list[Verdict | Failure]:
        """One verdict a comparison, in order.

        Raises:
            SynthesizeMeError: the function gives no finite number; its own exceptions name the pair.
        """
        margins = [self._margin(comparison) for comparison in comparisons]
        looks_like_shares = any(margins) and all(0 <= margin <= 1 for margin in margins)
        if len(margins) > 1 and looks_like_shares and not self._warned:
            self._warned = True
            _log.warning(
                "every number of %s is between 0 and 1, so that no second response is ever preferred. A "
                "margin is expected; of a probability p that is log(p / (1 - p)), or p - 0.5",
                self.name,
            )
        return [_verdict(margin) for margin in margins]

    def _margin(self, asked: Comparison) -> float:
        try:
            found: Any = self.function(asked.prompt, asked.first, asked.second)
        except Exception as error:
            error.add_note(
                f"{self.name} was asked about pair {asked.pair_id[:80]!r} of user {asked.user_id[:80]!r}"
            )
            raise
        try:
            margin = math.nan if isinstance(found, bool | str) else float(found)
        except (TypeError, ValueError):
            margin = math.nan
        if not math.isfinite(margin):
            raise SynthesizeMeError(
                f"{self.name} gave {str(found)[:60]!r}, a {type(found).__name__}, for pair "
                f"{asked.pair_id[:80]!r}; expected a finite number: above 0 if the first "
                "response is preferred, below 0 if the second is"
            )
        return margin


def _verdict(margin: float) -> Verdict:
    probability = 1 / (1 + math.exp(-min(max(margin, -700.0), 700.0)))
    return Verdict(
        preference=_side(margin), probability=probability, margin=margin, probability_source="model"
    )


def _name(function: object) -> str:
    return str(getattr(function, "__name__", type(function).__name__)).strip("<>")


T = TypeVar("T")
_ItemKey = tuple[str, frozenset[str]]
_P_FIRST: dict[Preference, float] = {"first": 1.0, "second": 0.0, "tie": 0.5}


def another_users(profiles: Mapping[str, T], seed: int = 0) -> dict[str, T]:
    """Give every user the profile (or history, or anything) of somebody else.

    A seeded derangement: everyone's profile is lent exactly once and nobody keeps their own. Values
    are handed on unchanged, so a profile's own `user_id` still says whose it is.

    Raises:
        DataError: there are fewer than two users.
    """
    if len(profiles) < 2:
        raise DataError(
            f"the wrong-user control got {len(profiles)} user(s); expected at least 2",
            cure="evaluate several users together, or leave this control out.",
        )
    users = sorted(profiles)
    random.Random(f"another_users:{seed}").shuffle(users)
    lenders = [*users[1:], users[0]]
    lent = dict(zip(users, lenders, strict=True))
    return {user: profiles[lent[user]] for user in profiles}


def swapped(pairs: Sequence[PreferencePair]) -> list[PreferencePair]:
    """A user's own history with every label reversed; never to be used on test pairs."""
    return [pair.swapped_labels() for pair in pairs]


class _OneByOne:
    """A reference that looks at each comparison by itself, in whichever order."""

    order_sensitive = False

    def compare(self, comparisons: Sequence[Comparison]) -> list[Verdict | Failure]:
        """One result a comparison, in order.

        Raises:
            DataError: a comparison is of a pair it was not given, where it is asked of its own pairs alone.
        """
        return [self.verdict(comparison) for comparison in comparisons]

    def verdict(self, comparison: Comparison) -> Verdict | Failure:
        """What it says of one comparison."""
        raise NotImplementedError


class LongerResponse(_OneByOne):
    """Prefers the response with more characters; equal lengths tie."""

    name = "longer response"

    def verdict(self, comparison: Comparison) -> Verdict:
        """Compare lengths."""
        return _in_favour(_side(len(comparison.first) - len(comparison.second)))


class RandomScorer(_OneByOne):
    """A fair coin per pair, the same in both orders: it prefers a text, not a side."""

    name = "random"

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed

    def verdict(self, comparison: Comparison) -> Verdict:
        """Toss one coin per pair id and side of the alphabet; its stated probability is .5."""
        key = f"random:{self.seed}:{comparison.pair_id}".encode("utf-8", "surrogatepass")
        heads = bool(hashlib.sha256(key).digest()[0] & 1)
        side: Preference = "first" if heads == (comparison.first < comparison.second) else "second"
        return Verdict(preference=side, probability=0.5, probability_source="model")


class OracleScorer(_OneByOne):
    """Knows the labels: the positive control of the harness itself, 1.0 on its own pairs."""

    name = "oracle"

    def __init__(self, pairs: Sequence[PreferencePair]) -> None:
        self._pairs = {pair.pair_id: pair for pair in pairs}

    def verdict(self, comparison: Comparison) -> Verdict:
        """Look the label up."""
        return _for_text(_known(self._pairs, comparison).chosen_text, comparison)


class MajorityOfOthers(_OneByOne):
    """What most other people said about the same two responses to the same prompt.

    A comparison carries texts, not ids, so items are matched by their (stripped) texts. Everybody has
    one vote for each text they chose, and the user asked about has none. It ties when nobody else
    judged the item or the votes are equal. Its probability is ``(v + 1) / (n + 2)`` for v of n votes.
    """

    name = "majority of the others"

    def __init__(self, pairs: Sequence[PreferencePair]) -> None:
        self._votes: dict[_ItemKey, set[tuple[str, str]]] = {}
        for pair in pairs:
            vote = (pair.user_id, pair.chosen_text.strip())
            self._votes.setdefault(_item(pair.compare("chosen_first")), set()).add(vote)

    def verdict(self, comparison: Comparison) -> Verdict:
        """Count the votes of the others on one comparison."""
        votes = [text for user, text in self._votes.get(_item(comparison), ()) if user != comparison.user_id]
        for_first = votes.count(comparison.first.strip())
        return Verdict(
            preference=_side(2 * for_first - len(votes)),
            probability=(for_first + 1) / (len(votes) + 2),
            probability_source="model",
        )


class RecordedVerdicts(_OneByOne):
    """Verdicts of a judge that the data carries in ``metadata.llm_judge[judge]``.

    Recorded as ``chosen``, ``rejected`` or ``tie``. A pair without a record is a failure of kind
    ``refusal``: the judge gave no answer.

    Raises:
        DataError: no pair carries a verdict of this judge, or a record is not one of the three words.
    """

    def __init__(self, pairs: Sequence[PreferencePair], judge: str) -> None:
        self.name = f"recorded {judge}"
        self._judge = judge
        self._pairs = {pair.pair_id: pair for pair in pairs}
        recorded = {pair.pair_id: (pair.metadata.get("llm_judge") or {}).get(judge) for pair in pairs}
        self._records = {pair_id: word for pair_id, word in recorded.items() if word is not None}
        if not self._records:
            raise DataError(
                f"none of {len(pairs)} pairs records a verdict of {judge!r}",
                field="metadata.llm_judge",
                cure="name a judge that the data carries.",
            )
        for pair_id, word in self._records.items():
            if word not in ("chosen", "rejected", "tie"):
                raise DataError(
                    f"pair {pair_id!r} records {word!r}; expected 'chosen', 'rejected' or 'tie'",
                    field=f"metadata.llm_judge.{judge}",
                )

    def verdict(self, comparison: Comparison) -> Verdict | Failure:
        """Look the recorded verdict up."""
        pair = _known(self._pairs, comparison)
        word = self._records.get(pair.pair_id)
        if word is None:
            return Failure(kind="refusal", detail=f"no verdict of {self._judge!r} on record for this pair")
        texts = {"chosen": pair.chosen_text, "rejected": pair.rejected_text, "tie": None}
        return _for_text(texts[word], comparison)


def _side(lead: float) -> Preference:
    return "tie" if lead == 0 else "first" if lead > 0 else "second"


def _in_favour(preference: Preference) -> Verdict:
    return Verdict(preference=preference, probability=_P_FIRST[preference])


def _for_text(text: str | None, comparison: Comparison) -> Verdict:
    """A verdict for the response with this text; a tie for None."""
    return _in_favour("tie" if text is None else "first" if comparison.first == text else "second")


def _known(pairs: Mapping[str, PreferencePair], comparison: Comparison) -> PreferencePair:
    try:
        return pairs[comparison.pair_id]
    except KeyError:
        raise DataError(
            f"pair {comparison.pair_id!r} was not among the pairs this scorer was built from",
            cure="build it from the same pairs that are evaluated.",
        ) from None


def _item(comparison: Comparison) -> _ItemKey:
    """What was judged, whoever judged it and in whatever order: the prompt and the two texts."""
    prompt = "\n".join(f"{message.role}: {message.content}" for message in comparison.prompt)
    return prompt, frozenset((comparison.first.strip(), comparison.second.strip()))

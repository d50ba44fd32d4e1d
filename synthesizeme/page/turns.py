"""How an item is put to one person, what the answer makes of it, and what the person has said so far."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, NamedTuple

from synthesizeme.errors import DataError
from synthesizeme.feedback import STARS, Given, Judgement, Ranking, Rating, Tie
from synthesizeme.page.pool import Item
from synthesizeme.simulation.answers import answered_pair
from synthesizeme.simulation.pool import asked_of
from synthesizeme.types import Comparison, PreferencePair

LONGEST_REASON = 2_000
"""Characters of a reason that are kept."""
AGAIN = "#again"
"""Ends the id of an answer to a question that was put a second time, with the sides exchanged."""
ASKED, SHOWN, EXPECTED = "asked", "shown_first", "expected"
"""In the metadata of an answer: the item, which response stood first, and with which probabilities the model
expected the first one beforehand: of this person, and of anybody."""
AGREED, AGREED_TO = "agreed", "agreed_to"
"""Likewise what the person had agreed to: `synthesizeme.page.project.terms_id` of the text, and in one
answer the whole text."""
_TIES = {"tie": None, "good": "good", "bad": "bad"}


@dataclass(frozen=True)
class Turn:
    """An item as it is put to one person: always in the same order, whenever it is shown."""

    item: Item
    user_id: str
    again: bool = False
    """Whether it is put a second time, with the sides exchanged."""

    @cached_property
    def responses(self) -> tuple[str, ...]:
        """The responses in the order shown, drawn from who is asked and the texts: it says nothing."""
        if self.item.kind == "pair":
            return self.comparison.first, self.comparison.second
        return tuple(sorted(self.item.responses, key=lambda text: _drawn(self.user_id, text)))

    @cached_property
    def comparison(self) -> Comparison:
        """The choice between two, in the order shown."""
        first, second = self.item.responses
        asked = Comparison(
            pair_id=self.item.item_id, user_id="", prompt=self.item.prompt, first=first, second=second
        )
        shown = asked_of(self.user_id, asked)
        return shown.swapped() if self.again else shown

    @property
    def said_id(self) -> str:
        """Id of the answer: one question to one person has one."""
        return f"{self.item.item_id}@{self.user_id}{AGAIN if self.again else ''}"

    @property
    def path(self) -> str:
        """Where it is asked."""
        return f"/{'again' if self.again else 'question'}/{self.item.key}"


def read_answer(turn: Turn, form: Mapping[str, str], told: Mapping[str, Any]) -> Given:
    """What the person says in a form.

    Args:
        turn: What was asked.
        form: ``choice`` for two responses, ``value`` for one, ``rank_1`` ... for more; maybe a ``reason``.
        told: What else is to be known of the answer, for its metadata.

    Raises:
        DataError: the form gives no answer.
    """
    reason = " ".join(form.get("reason", "").split())[:LONGEST_REASON] or None
    metadata = {ASKED: turn.item.item_id, **({"again": True} if turn.again else {}), **told}
    shared = {
        "feedback_id": turn.said_id, "user_id": turn.user_id, "prompt": turn.item.prompt,
        "created_at": datetime.now(UTC), "reason": reason, "metadata": metadata,
    }  # fmt: skip
    if turn.item.kind == "rating":
        value = form.get("value", "")
        if value not in ("1", "2", "3", "4", "5"):
            raise DataError("expected a rating from 1 to 5", field="value", cure="choose one of the five")
        return Rating(response=turn.responses[0], value=int(value), scale=STARS, **shared)
    if turn.item.kind == "ranking":
        return Ranking(**_ranked(turn, form), **shared)
    choice = form.get("choice", "")
    if choice in _TIES:
        return Tie(responses=(turn.responses[0], turn.responses[1]), both=_TIES[choice], **shared)
    if choice not in ("first", "second"):
        raise DataError("no answer was chosen", field="choice", cure="choose one of the two, or neither")
    metadata[SHOWN] = "chosen" if choice == "first" else "rejected"
    pair = answered_pair(turn.comparison, choice, metadata)  # type: ignore[arg-type]
    return pair.model_copy(
        update={"pair_id": turn.said_id, "created_at": shared["created_at"], "reason": reason}
    )


def _ranked(turn: Turn, form: Mapping[str, str]) -> dict[str, Any]:
    """Responses and ranks as `Ranking` has them, of ranks that may leave gaps."""
    given = [form.get(f"rank_{number}", "") for number in range(1, len(turn.responses) + 1)]
    if not all(rank.isascii() and rank.isdigit() and len(rank) < 3 for rank in given):
        raise DataError("a rank is missing", field="rank_1", cure="give each answer a rank; 1 is the best")
    ordered = sorted(zip(map(int, given), turn.responses, strict=True), key=lambda it: it[0])
    places = {rank: place for place, rank in enumerate(sorted({rank for rank, _ in ordered}), 1)}
    if len(places) == 1:
        raise DataError("all have the same rank", field="rank_1", cure="say which of them is the best")
    return {
        "responses": tuple(text for _, text in ordered),
        "ranks": tuple(places[rank] for rank, _ in ordered),
    }


class Consistency(NamedTuple):
    """How often a person answered alike when asked again with the sides exchanged."""

    alike: int
    asked: int


class History:
    """What one person has said so far, oldest first.

    Args:
        pairs: The person's choices.
        feedback: What else the person said of responses.
    """

    def __init__(self, pairs: Iterable[PreferencePair], feedback: Iterable[Judgement]) -> None:
        given: list[Given] = [*pairs, *feedback]
        given.sort(key=lambda it: it.created_at.timestamp() if it.created_at else 0.0)
        self.given: Sequence[Given] = given
        self.by_id: Mapping[str, Given] = {said_id(it): it for it in given}

    @property
    def pairs(self) -> list[PreferencePair]:
        """The choices alone."""
        return [it for it in self.given if isinstance(it, PreferencePair)]

    @property
    def last(self) -> Given | None:
        """What was said last on this page."""
        return next((it for it in reversed(self.given) if ASKED in it.metadata), None)

    def answer(self, turn: Turn) -> Given | None:
        """What was said to a question, if it was answered."""
        return self.by_id.get(turn.said_id)

    def of_pool(self, items: Iterable[Item]) -> int:
        """How many items were answered."""
        asked = {it.metadata.get(ASKED) for it in self.given}
        return sum(item.item_id in asked for item in items)

    @property
    def consistency(self) -> Consistency:
        """How often the second answer to a question was that of the first time."""
        twice = [
            (first, it)
            for name, it in self.by_id.items()
            if name.endswith(AGAIN) and (first := self.by_id.get(name.removesuffix(AGAIN)))
        ]
        return Consistency(sum(_preferred(one) == _preferred(other) for one, other in twice), len(twice))


def said_id(said: Given) -> str:
    """Id of an answer, of whatever kind."""
    return said.pair_id if isinstance(said, PreferencePair) else said.feedback_id


def chosen_side(turn: Turn, said: Given) -> str:
    """What was said to a pair, as the form says it: ``first``, ``second``, ``tie``, ``good``, ``bad``."""
    if isinstance(said, PreferencePair):
        return "first" if said.chosen_text == turn.responses[0] else "second"
    return (said.both or "tie") if isinstance(said, Tie) else ""


def _preferred(said: Given) -> object:
    return said.chosen_text if isinstance(said, PreferencePair) else None


def _drawn(user_id: str, text: str) -> bytes:
    return hashlib.sha256(f"{user_id}\0{text}".encode("utf-8", "surrogatepass")).digest()

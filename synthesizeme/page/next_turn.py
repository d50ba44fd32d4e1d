"""What a person is asked next: mostly the pair that tells most; some known ones; one in ten once more."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from typing import Any, Literal

from synthesizeme.page.pool import Item
from synthesizeme.page.turns import AGAIN, History, Turn
from synthesizeme.simulation.information import choose

Order = Literal["telling", "file"]
ONE_IN = 10
"""One answer in so many is asked for a second time, with the sides exchanged."""
APART = 3
"""So many other answers at least stand between the first time and the second."""
GOLD_EVERY = 8
"""One question in so many is one whose better answer is known, as long as there are such."""
CANDIDATES = 200
"""Open pairs that are looked at for the one that tells most."""


def next_turn(
    items: Sequence[Item],
    user_id: str,
    history: History,
    skipped: Collection[str],
    model: Any,
    order: Order = "telling",
) -> Turn | None:
    """The next question to a person; None where nothing is left.

    The same history gives the same question, so that whoever comes back finds it again.

    Args:
        items: The pool.
        user_id: Whom to ask.
        history: What the person has said so far.
        skipped: Ids of the answers that the person passed over (`Turn.said_id`); they come last.
        model: The reward model, which says what tells most if it can.
        order: Pairs by what ``telling`` they are, or in the order of the ``file``.
    """
    number = len(history.given)
    again = _again(items, user_id, history, number)
    if again is not None and again.said_id not in skipped:
        return again
    open_items = [it for it in items if it.responses and history.answer(Turn(it, user_id)) is None]
    left = [it for it in open_items if Turn(it, user_id).said_id not in skipped] or open_items
    for kind in ("pair", "rating", "ranking"):
        if some := [it for it in left if it.kind == kind]:
            return Turn(_of_kind(some, user_id, number, model, order), user_id)
    return None


def _of_kind(some: Sequence[Item], user_id: str, number: int, model: Any, order: Order) -> Item:
    gold = [it for it in some if it.gold is not None]
    if gold and number % GOLD_EVERY == 2:
        return gold[0]
    plain = [it for it in some if it.gold is None] or gold
    telling = order == "telling" and plain[0].kind == "pair"
    if len(plain) == 1 or not telling or not callable(getattr(model, "answer_posterior", None)):
        return plain[0]
    candidates = sorted(plain, key=lambda it: _drawn(user_id, it.item_id))[:CANDIDATES]
    (best,) = choose(model.answer_posterior(user_id, [Turn(it, user_id).comparison for it in candidates]))
    return candidates[best.place]


def _again(items: Sequence[Item], user_id: str, history: History, number: int) -> Turn | None:
    """A pair that was answered some time ago, where one is to be asked again."""
    done = sum(name.endswith(AGAIN) for name in history.by_id)
    if (number + 1) // ONE_IN <= done:
        return None
    place = {name: at for at, name in enumerate(history.by_id)}
    candidates = [
        turn
        for it in items
        if it.kind == "pair"
        and place.get(Turn(it, user_id).said_id, number) <= number - 1 - APART
        and history.answer(turn := Turn(it, user_id, again=True)) is None
    ]
    return min(candidates, key=lambda it: _drawn(f"{user_id}\0{number}", it.item.item_id), default=None)


def _drawn(seed: str, text: str) -> bytes:
    return hashlib.sha256(f"{seed}\0{text}".encode("utf-8", "surrogatepass")).digest()

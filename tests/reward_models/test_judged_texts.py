"""Which responses have an effect of their own."""

from __future__ import annotations

import numpy as np
from invented import user_says

from reward_models import _effects
from reward_models._effects import NONE, JudgedTexts
from reward_models._types import Item
from synthesizeme.types import Message

ASKED, OTHER = (user_says("How deep is it?"),), (user_says("Where is it?"),)


def often(text, n, prompt=ASKED):
    return [Item(prompt, text)] * n


def test_a_response_judged_once_has_no_effect():
    judged = JudgedTexts.of([*often("calm", 2), *often("loud", 1), *often("long", 3)])
    assert len(judged) == 2
    assert judged.numbers([Item(ASKED, text) for text in ("long", "calm", "loud", "new")]).tolist() == [
        0, 1, NONE, NONE,
    ]  # fmt: skip
    assert judged.numbers([]).shape == (0,)


def test_the_prompt_belongs_to_the_response():
    judged = JudgedTexts.of([*often("calm", 1), *often("calm", 1, OTHER), *often("loud", 2)])
    assert len(judged) == 1
    turns = (*ASKED, Message(role="assistant", content="Six feet."), user_says("How deep is it?"))
    assert judged.numbers([Item(p, "loud") for p in (ASKED, OTHER, turns)]).tolist() == [0, NONE, NONE]
    system = (Message(role="system", content="How deep is it?"),)
    assert judged.numbers([Item(system, "loud")]).tolist() == [NONE], "who said it counts"


def test_the_most_judged_are_kept_whatever_the_order(monkeypatch):
    assert _effects.MOST == 1024
    monkeypatch.setattr(_effects, "MOST", 3)
    items = [item for n in range(1, 8) for item in often(f"judged {n} times", n)]
    judged, turned = JudgedTexts.of(items), JudgedTexts.of(items[::-1])
    assert judged.digests.tobytes() == turned.digests.tobytes()
    asked = [Item(ASKED, f"judged {n} times") for n in range(1, 8)]
    assert judged.numbers(asked).tolist() == [NONE, NONE, NONE, NONE, 2, 1, 0]


def test_nothing_judged_twice():
    judged = JudgedTexts.of([*often("calm", 1), *often("loud", 1)])
    assert len(judged) == 0
    assert judged.digests.shape == (0, 16)
    assert judged.numbers(often("calm", 2)).tolist() == [NONE, NONE]


def test_digests_are_all_that_is_kept_and_enough():
    awkward = ["", "\ud800 alone", "他们在喝茶。", "a" * 100_000]
    judged = JudgedTexts.of([item for text in awkward for item in often(text, 2)])
    assert judged.digests.shape == (4, 16)
    assert judged.digests.dtype == np.uint8
    again = JudgedTexts(judged.digests)
    asked = [Item(ASKED, text) for text in [*awkward, "new"]]
    assert again.numbers(asked).tolist() == judged.numbers(asked).tolist()
    assert sorted(again.numbers(asked).tolist()) == [NONE, 0, 1, 2, 3]

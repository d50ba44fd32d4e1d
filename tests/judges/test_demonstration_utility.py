"""What one demonstration is worth to a judge, counted by hand with a judge that copies the last choice."""

from __future__ import annotations

import re

from invented import ledger, pair

from synthesizeme.judges import demonstration_utilities

CALM, LOUD = "Six feet.", "Six feet! Wow!"


def history():
    """Two choices of calm answers and one of a loud one."""
    texts = {0: (CALM, LOUD), 1: (CALM, LOUD), 2: (LOUD, CALM)}
    return [pair(i, chosen=chosen, rejected=rejected) for i, (chosen, rejected) in texts.items()]


def copies_the_demonstration(request):
    """Chooses the response that looks like the one chosen in the demonstration: loud, or calm."""
    shown, answered, asked = (message.text for message in request.messages)
    responses = re.findall(r"<(?:first|second)_response>\n(.*?)\n</", shown)
    liked = responses[0 if "First" in answered else 1]
    first = re.findall(r"<first_response>\n(.*?)\n</", asked)[0]
    return f"Preference: {'First' if first == liked else 'Second'}"


def test_a_demonstration_is_worth_whether_the_judge_is_right_with_it_alone():
    asked = ledger(copies_the_demonstration)
    found = demonstration_utilities(asked, {"ada": history()})
    assert len(found) == 3
    worth = {
        (it.asked.pair_id, other.pair_id): value
        for it in found
        for other, value in zip(it.shown, it.utilities, strict=True)
    }
    assert worth == {
        ("ada-0", "ada-1"): 1, ("ada-0", "ada-2"): 0, ("ada-1", "ada-0"): 1,
        ("ada-1", "ada-2"): 0, ("ada-2", "ada-0"): 0, ("ada-2", "ada-1"): 0,
    }  # fmt: skip
    assert asked.usage.calls == 12


def test_failures_are_left_out_and_sizes_are_limits():
    assert demonstration_utilities(ledger(lambda request: RuntimeError("down")), {"ada": history()}) == []
    asked = ledger(lambda request: "Preference: First")
    found = demonstration_utilities(
        asked, {"ada": history(), "bob": history()[:1]}, most_asked=2, most_shown=1
    )
    assert [len(it.shown) for it in found] == [1, 1]
    assert all(it.utilities == (0.5,) for it in found)
    assert all(it.asked.pair_id != it.shown[0].pair_id for it in found)

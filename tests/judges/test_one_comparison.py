from __future__ import annotations

import pytest
from invented import comparison, ledger

from synthesizeme.errors import JudgeError
from synthesizeme.judges.llm_judge import judge_both_orders
from synthesizeme.profile import UserProfile

ADA = UserProfile(user_id="ada")


def for_text(text):
    def script(request):
        shown = request.messages[-1].text
        side = "First" if shown.index(text) < shown.index("<second_response>") else "Second"
        return f"Reasoning: it is {text}\nPreference: {side}\nConfidence: 80"

    return script


def test_one_text_wins_in_both_orders():
    found = judge_both_orders(ledger(for_text("Six feet.")), ADA, comparison())
    assert found.consistent
    assert found.combined.preference == "first"
    assert found.combined.probability == pytest.approx(0.8)
    told = found.as_dict()
    assert told["order_consistent"] is True
    assert [order["preference"] for order in told["orders"]] == ["first", "first"]
    assert [order["probability"] for order in told["orders"]] == pytest.approx([0.8, 0.8])


def test_a_judge_that_always_says_first_has_no_preference():
    found = judge_both_orders(ledger(["Preference: First"] * 2), ADA, comparison())
    assert not found.consistent
    assert found.combined.preference == "tie"
    assert [order["preference"] for order in found.as_dict()["orders"]] == ["first", "second"]


@pytest.mark.parametrize("replies", [["Preference: First", "I cannot say."], ["hm", "Preference: First"]])
def test_a_failure_in_either_order_is_a_failure(replies):
    with pytest.raises(JudgeError, match="the judge gave no verdict: "):
        judge_both_orders(ledger(replies), ADA, comparison())

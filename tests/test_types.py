"""The nouns: what they refuse, what they hide, and how they add up."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from invented import comparison, pair, user_says
from pydantic import ValidationError

from synthesizeme.types import (
    ORDERS,
    Comparison,
    Evidence,
    Failure,
    Message,
    PreferencePair,
    Reward,
    Usage,
    Verdict,
    preferred_side,
)


def row(**changes):
    return pair().model_dump() | changes


def says(role, content):
    return {"role": role, "content": content}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"prompt": [says("user", "Hi"), says("assistant", "Hello")]}, "prompt ends with a turn of role"),
        ({"prompt": []}, "prompt"),
        ({"chosen": [says("user", "mine")]}, "chosen has role 'user'; expected 'assistant'"),
        ({"rejected": [says("system", "mine")]}, "rejected has role 'system'; expected 'assistant'"),
        ({"chosen": [says("assistant", "a"), says("assistant", "b")]}, "chosen"),
        ({"chosen": []}, "chosen"),
        ({"chosen": [says("assistant", " same ")], "rejected": [says("assistant", "same")]}, "same text"),
        ({"chosen": [says("assistant", " \n")]}, "blank"),
        ({"prompt": [says("model", "Hi")]}, "role"),
        ({"prompt": "How deep?"}, "prompt"),
        ({"pair_id": ""}, "pair_id"),
        ({"user_id": ""}, "user_id"),
        ({"split": "dev"}, "split"),
        ({"preferred": "chosen"}, "preferred"),
    ],
)
def test_a_pair_that_is_none_is_refused_by_name(changes, message):
    with pytest.raises(ValidationError, match=message):
        PreferencePair.model_validate(row(**changes))


def test_a_whole_conversation_as_prompt_is_sent_to_data_convert():
    talk = [says("user", "Hi"), says("assistant", "Hello")]
    with pytest.raises(ValidationError, match="synthesizeme data convert"):
        PreferencePair.model_validate(row(prompt=talk))


def test_values_are_frozen():
    for value, field in (
        (pair(), "split"),
        (comparison(), "first"),
        (user_says("x"), "content"),
        (Usage(), "calls"),
    ):
        with pytest.raises(ValidationError, match="frozen"):
            setattr(value, field, "train")


def test_a_comparison_hides_the_label():
    one = pair(gold="chosen", probability=0.9)
    shown = one.compare("chosen_first")
    assert set(Comparison.model_fields) == {"pair_id", "user_id", "prompt", "first", "second", "created_at"}
    assert "chosen" not in shown.model_dump_json()
    assert "gold" not in shown.model_dump_json()
    assert shown == one.swapped_labels().compare("rejected_first")


def test_orders_put_the_chosen_response_on_the_side_they_name():
    one = pair()
    for order in ORDERS:
        shown = one.compare(order)
        assert getattr(shown, preferred_side(order)) == one.chosen_text
        assert shown.swapped() == one.compare(ORDERS[1 - ORDERS.index(order)])
        assert shown.swapped().swapped() == shown


def test_swapped_labels_exchange_the_texts_and_nothing_else():
    one, other = pair(), pair().swapped_labels()
    assert (other.chosen_text, other.rejected_text) == (one.rejected_text, one.chosen_text)
    assert other.swapped_labels() == one
    assert (other.pair_id, other.prompt) == (one.pair_id, one.prompt)


def test_a_pair_survives_json_whatever_its_ids_are():
    for user in ("../../etc", "a\nb", "🦊", "x" * 10_000, "a/b.c", " "):
        one = pair(user=user)
        assert PreferencePair.model_validate_json(one.model_dump_json()) == one


@given(st.floats(1e-6, 1 - 1e-6))
def test_the_margin_is_the_log_odds_and_mirrors(p):
    margin = Verdict(preference="first", probability=p).margin
    assert margin == pytest.approx(math.log(p / (1 - p)))
    mirrored = Verdict(preference="second", probability=1 - p).margin
    assert mirrored == pytest.approx(-margin, abs=1e-6 + 1e-3 * abs(margin))


def test_certain_verdicts_have_finite_margins_and_a_scorer_may_bring_its_own():
    sure = Verdict(preference="first", probability=1.0)
    assert sure.margin == pytest.approx(math.log((1 - 1e-6) / 1e-6))
    assert Verdict(preference="tie", probability=0.5).margin == 0.0
    assert Verdict(preference="first", probability=0.6, margin=17.0).margin == 17.0
    assert Verdict.model_validate_json(sure.model_dump_json()) == sure


@pytest.mark.parametrize("probability", [-0.01, 1.01, math.nan])
def test_a_probability_outside_the_unit_interval_is_refused(probability):
    with pytest.raises(ValidationError):
        Verdict(preference="first", probability=probability)


def test_a_failure_is_no_verdict_and_has_a_known_kind():
    with pytest.raises(ValidationError, match="kind"):
        Failure(kind="tie", detail="x")
    failure = Failure(kind="refusal", detail="no")
    assert not hasattr(failure, "preference")
    assert not hasattr(failure, "probability")


def test_a_reward_has_a_probability_a_status_and_perhaps_an_error():
    reward = Reward(value=-1.5, probability=0.2)
    assert (reward.status, reward.standard_error) == ("scored", None)
    assert Reward.model_validate_json(reward.model_dump_json()) == reward
    for wrong in ({"probability": 1.1}, {"standard_error": -0.1}, {"status": "guessed"}):
        with pytest.raises(ValidationError, match=next(iter(wrong))):
            Reward(**{"value": 0.0, "probability": 0.5} | wrong)


def test_evidence_is_finite_and_survives_json():
    item = Evidence(
        feature="length", statement="short answers", weight=-0.8, standard_error=0.2, pair_ids=("a",)
    )
    assert Evidence.model_validate_json(item.model_dump_json()) == item
    for name, value in (("weight", math.nan), ("weight", math.inf), ("standard_error", math.inf)):
        with pytest.raises(ValidationError, match=name):
            Evidence(**item.model_dump() | {name: value})


def test_usage_adds_field_by_field():
    one = Usage(
        calls=2,
        distinct_calls=1,
        cached_calls=1,
        retries=3,
        prompt_tokens=5,
        completion_tokens=7,
        cost_usd=0.5,
    )
    assert one + one == Usage(
        calls=4,
        distinct_calls=2,
        cached_calls=2,
        retries=6,
        prompt_tokens=10,
        completion_tokens=14,
        cost_usd=1.0,
    )
    assert one + Usage() == one


def test_messages_keep_text_as_it_is():
    text = "  two\n\n lines \u202e rtl \x00"
    assert Message(role="user", content=text).content == text


def test_an_order_that_is_none_is_refused():
    with pytest.raises(ValueError, match="order is 'foo'; expected chosen_first or rejected_first"):
        pair(1).compare("foo")

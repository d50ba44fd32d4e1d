"""Stage 1: exactly the judgements that agree with the user are kept; orders carry nothing."""

from __future__ import annotations

import re

import pytest
from invented import ledger, pair, sent

from synthesizeme.judges import LLMJudge
from synthesizeme.personas.selection import (
    Trace,
    TracePool,
    bootstrap,
    draw_orders,
    labelled,
    other,
    reasoned,
)
from synthesizeme.types import ORDERS, Failure, Verdict, preferred_side

PAIRS = [pair(n) for n in range(12)]
ORDER = draw_orders(PAIRS, seed=0)


def number_of(request):
    return int(re.search(r"fathom (\d+)", request.messages[-1].text)[1])


def right_side(request):
    text = request.messages[-1].text
    return "First" if text.index("Six feet") < text.index("unit of length") else "Second"


def reply(side):
    return f"Reasoning: because {side.lower()}.\nPreference: {side}"


def wrong_side(request):
    return "Second" if right_side(request) == "First" else "First"


def run(script, rejudged=0, pairs=PAIRS):
    asked, pool = ledger(script), TracePool()
    bootstrap(LLMJudge(asked), pairs, ORDER, pool=pool, rejudged=rejudged)
    return pool, asked


def test_exactly_the_verified_traces_are_kept():
    """Pairs 0-3 are judged right, 4-6 wrong, 7 ties, 8 is refused, 9 fails, 10-11 are right."""

    def script(request):
        n = number_of(request)
        if n == 7:
            return "Preference: Tie"
        if n == 8:
            return "I'm sorry, I can't judge this."
        if n == 9:
            return RuntimeError("broken")
        return reply(wrong_side(request) if n in (4, 5, 6) else right_side(request))

    pool, asked = run(script)
    assert [n for n, one in enumerate(PAIRS) if pool.best(one)] == [0, 1, 2, 3, 10, 11]
    assert (pool.judged, pool.verified, asked.usage.distinct_calls) == (10, 6, 12)
    assert {n for n, one in enumerate(PAIRS) if one.pair_id not in pool.traces} == {8, 9}
    assert [pool.traces[PAIRS[n].pair_id][0].score for n in (0, 4, 7)] == [1.0, 0.0, 0.5]


def test_a_verified_trace_becomes_a_demonstration_in_the_order_it_was_judged_in():
    pool, _ = run(lambda request: reply(right_side(request)))
    for one in PAIRS:
        demonstration = reasoned(pool.best(one))
        assert demonstration.comparison == one.compare(ORDER[one.pair_id])
        assert getattr(demonstration.comparison, demonstration.preference) == one.chosen_text
        assert demonstration.reasoning == f"because {demonstration.preference}."


def test_a_bare_label_names_the_users_choice():
    for order in ORDERS:
        demonstration = labelled(PAIRS[0], order)
        assert getattr(demonstration.comparison, demonstration.preference) == PAIRS[0].chosen_text
        assert demonstration.reasoning == ""


def test_a_second_chance_asks_only_unexplained_pairs_in_the_other_order():
    """A judge that always says First explains the pairs whose chosen response stands first."""
    pool, asked = run(lambda request: reply("First"), rejudged=99)
    unexplained = [one for one in PAIRS if preferred_side(ORDER[one.pair_id]) == "second"]
    assert 0 < len(unexplained) < 12
    assert asked.usage.distinct_calls == pool.judged == 12 + len(unexplained)
    for one in unexplained:
        first_time, second_time = pool.traces[one.pair_id]
        assert second_time.order == other(first_time.order)
        assert pool.best(one) is second_time
    assert all(len(pool.traces[one.pair_id]) == 1 for one in PAIRS if one not in unexplained)


def test_second_chances_are_limited_and_never_negative():
    for allowed, asked_again in ((2, 2), (0, 0), (-3, 0)):
        _, asked = run(lambda request: reply(wrong_side(request)), rejudged=allowed)
        assert len(sent(asked)) == 12 + asked_again


def test_a_failed_call_gets_a_second_chance_too():
    def script(request):
        return (
            RuntimeError("once")
            if len(requests) <= 12 and number_of(request) == 3
            else reply(right_side(request))
        )

    asked, pool = ledger(script), TracePool()
    requests = asked.model.lm.engine.requests
    bootstrap(LLMJudge(asked), PAIRS, ORDER, pool=pool, rejudged=5)
    assert len(requests) == 13
    assert pool.best(PAIRS[3]).order == other(ORDER[PAIRS[3].pair_id])


def test_an_unverifiable_user_has_no_traces():
    pool, _ = run(lambda request: reply(wrong_side(request)), rejudged=12)
    assert pool.verified == 0
    assert [pool.best(one) for one in PAIRS] == [None] * 12


def test_orders_are_balanced_and_belong_to_the_pair_not_to_the_batch():
    many = [pair(n, user=f"user-{n % 20}") for n in range(2000)]
    orders = draw_orders(many, seed=3)
    assert (
        abs(sum(order == "chosen_first" for order in orders.values()) - 1000) < 100
    )  # 4.5 standard deviations
    assert draw_orders(many[::-1], seed=3) == orders
    assert draw_orders(many[7:9], seed=3) == {one.pair_id: orders[one.pair_id] for one in many[7:9]}
    reseeded = draw_orders(many, seed=4)
    assert 800 < sum(reseeded[key] != order for key, order in orders.items()) < 1200
    assert other(other("chosen_first")) == "chosen_first"


def test_the_same_pair_id_of_another_user_has_its_own_order():
    theirs = [pair(0).model_copy(update={"user_id": f"u{n}"}) for n in range(64)]
    assert len({draw_orders([one], seed=0)[one.pair_id] for one in theirs}) == 2


def test_a_failure_leaves_no_trace():
    class Down:
        def compare(self, comparisons):
            return [Failure(kind="transport", detail="down") for _ in comparisons]

    pool = TracePool()
    bootstrap(Down(), PAIRS, ORDER, pool=pool, rejudged=2)
    assert (pool.traces, pool.judged, pool.verified) == ({}, 0, 0)


@pytest.mark.parametrize(
    ("source", "probability", "order", "confidence"),
    [
        ("stated", 0.8, "chosen_first", 0.8),
        ("logprobs", 0.3, "rejected_first", 0.7),
        ("verdict", 1.0, "chosen_first", None),
    ],
)
def test_a_demonstration_states_what_the_judge_gave_the_choice_before_it_was_told(
    source, probability, order, confidence
):
    side = "first" if order == "chosen_first" else "second"
    verdict = Verdict(preference=side, probability=probability, probability_source=source, reasoning="So.")
    made = reasoned(Trace(pair(1), order, verdict))
    assert made.confidence == (None if confidence is None else pytest.approx(confidence))
    assert labelled(pair(1), order).confidence is None

"""How many calls an induction may make."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from invented import ledger, user_says

from synthesizeme.backends import Question
from synthesizeme.errors import ConfigError
from synthesizeme.personas.budget import EFFORTS, LEAST_CALLS, call_limit, make_plan
from synthesizeme.types import Usage


@pytest.mark.parametrize(("pairs", "calls"), [(2, 12), (10, 60), (15, 80), (20, 100), (40, 160)])
def test_limits_at_default_effort_by_hand(pairs, calls):
    assert call_limit(pairs, "medium") == calls
    assert call_limit(pairs, "low") == calls // 2
    assert call_limit(pairs, "high") == calls * 2


def test_the_limit_per_pair_is_six_at_ten_five_at_twenty_four_at_forty():
    for pairs, most in ((10, 6), (20, 5), (40, 4)):
        assert call_limit(pairs, "medium") <= most * pairs


@pytest.mark.parametrize("effort", EFFORTS)
@given(
    budget=st.none() | st.integers(LEAST_CALLS, 40) | st.integers(LEAST_CALLS, 2000),
    train=st.integers(2, 60),
    validation=st.integers(0, 20),
)
@example(budget=LEAST_CALLS, train=1, validation=1)
@example(budget=None, train=1, validation=1)
def test_a_plan_never_needs_more_than_its_limit(effort, budget, train, validation):
    plan = make_plan(train, validation, effort=effort, budget_calls=budget)
    assert plan.limit <= call_limit(train + validation, effort)
    assert plan.limit <= (budget or plan.limit)
    assert 1 <= plan.train <= train
    assert plan.rejudged >= 0
    assert plan.train + 1 <= plan.limit  # the judged pairs and one persona
    assert plan.train + plan.rejudged + 1 <= plan.limit


@pytest.mark.parametrize("budget", [2, 1, 0, -5])
def test_a_budget_that_pays_for_nothing_is_refused(budget):
    with pytest.raises(ConfigError, match=f"a budget of {budget} calls .* at least 3"):
        make_plan(5, 5, effort="medium", budget_calls=budget)


def ask(text):
    return Question((user_says(text),))


def test_a_part_of_a_ledger_counts_alike_whatever_was_asked_before():
    def script(request):
        return RuntimeError("down") if request.messages[-1].text == "bad" else "four words in reply"

    wider = ledger(script)
    questions = [ask("a"), ask("b"), ask("a"), ask("bad")]
    fresh, repeated = wider.part(), wider.part()
    assert fresh.ask(questions) == repeated.ask(questions)
    expected = Usage(calls=4, distinct_calls=3, prompt_tokens=2, completion_tokens=8, failed=1)
    assert fresh.usage == repeated.usage == expected
    assert fresh.failures == repeated.failures == wider.failures == {"transport": 1}
    assert (wider.usage.calls, wider.usage.distinct_calls) == (8, 3)
    assert len(wider.model.lm.engine.requests) == 3
    assert repeated.ask([ask("c")])[0].text == "four words in reply"
    assert (fresh.usage.distinct_calls, repeated.usage.distinct_calls) == (3, 4)

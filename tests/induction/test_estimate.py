from __future__ import annotations

import pytest
from invented import pair

from synthesizeme.backends import Session, open_model, token_price
from synthesizeme.induction.estimate import estimate_user, estimate_users
from synthesizeme.induction.one_user import InductionSettings, induce_user


def shouting(number, **more):
    """A pair of somebody who dislikes exclamation marks."""
    return pair(number, rejected=f"Wow! Fathom {number} is really great! So deep! Amazing!", **more)


def reader():
    return Session(open_model("builtin"))


@pytest.mark.parametrize(
    "settings",
    [InductionSettings(), InductionSettings(search="paper"), InductionSettings(effort="low", baselines=True)],
)
@pytest.mark.parametrize("n", [1, 2, 5, 20])
def test_an_estimate_is_never_below_what_is_spent(settings, n):
    pairs = [shouting(i, user_profile={"age": 7}) for i in range(n)]
    estimate = estimate_user(pairs, settings)
    induction, evaluation = estimate.induction, estimate.evaluation
    result = induce_user(reader(), pairs, settings)
    assert result.usage.distinct_calls <= induction.calls
    assert result.evaluation_usage.distinct_calls <= evaluation.calls
    if result.usage.distinct_calls > 10:
        assert induction.prompt_tokens > 0.5 * result.usage.prompt_tokens


def test_prices_are_known_unknown_or_nothing():
    induction = estimate_user([shouting(i) for i in range(20)], InductionSettings()).induction
    assert induction.cost(token_price("builtin", api_base=None)) == 0
    assert token_price("m", api_base="http://127.0.0.1:1/v1") is None
    assert token_price("openai/no-such-model-anywhere", api_base=None) is None
    assert induction.cost(None) is None
    price = induction.cost(token_price("openai/gpt-4o-mini", api_base=None))
    expected = induction.prompt_tokens * 0.15e-6 + induction.completion_tokens * 0.6e-6
    assert price == pytest.approx(expected)


def test_a_budget_is_divided_by_users():
    users = [[shouting(i) for i in range(20)] for _ in range(2)]
    found = estimate_users(users, InductionSettings(evaluate=False), budget_calls=60)
    assert [estimate.induction.calls for estimate in found] == [30, 30]


@pytest.mark.parametrize("budget", [None, 30, 44, 45, 300])
def test_an_estimate_says_what_the_run_will_do(budget):
    pairs = [shouting(i) for i in range(20)]
    estimate = estimate_user(pairs, InductionSettings(), budget_calls=budget)
    result = induce_user(reader(), pairs, InductionSettings(), budget_calls=budget)
    assert estimate.induction.calls == result.call_limit
    assert bool(estimate.evaluation.calls) == bool(result.outcomes)
    assert estimate.note is None or estimate.note in result.notes
    assert (estimate.note is None) == bool(result.outcomes)

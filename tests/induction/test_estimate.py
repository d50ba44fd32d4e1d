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


@pytest.mark.parametrize("budget", [None, 9, 40])
@pytest.mark.parametrize("effort", ["low", "medium", "high"])
@pytest.mark.parametrize("n", [1, 2, 3, 5, 6, 10, 20, 45])
def test_what_is_spent_lies_within_what_was_promised(n, effort, budget):
    pairs = [shouting(i, user_profile={"age": 7}) for i in range(n)]
    settings = InductionSettings(effort=effort, baselines=n == 10)
    estimate = estimate_user(pairs, settings, budget_calls=budget)
    result = induce_user(reader(), pairs, settings, budget_calls=budget)
    for promised, spent in (
        (estimate.induction, result.usage),
        (estimate.evaluation, result.evaluation_usage),
    ):
        assert promised.least_calls <= spent.distinct_calls <= promised.calls
    if result.usage.distinct_calls > 10:
        assert estimate.induction.prompt_tokens > 0.7 * result.usage.prompt_tokens


@pytest.mark.parametrize("n", [1, 2, 5, 20])
def test_the_papers_search_keeps_to_its_promise_too(n):
    pairs, settings = [shouting(i) for i in range(n)], InductionSettings(search="paper")
    promised = estimate_user(pairs, settings).induction
    assert (
        promised.least_calls <= induce_user(reader(), pairs, settings).usage.distinct_calls <= promised.calls
    )


@pytest.mark.parametrize("n", [10, 20, 45])
def test_the_range_is_no_wider_than_a_taste_and_its_lack_make_it(n):
    """Whoever has a taste takes most of the calls, whoever has none nearly the fewest."""
    settings = InductionSettings()
    with_taste = [shouting(i) for i in range(n)]
    without = [it if i % 2 else it.swapped_labels() for i, it in enumerate(with_taste)]
    promised = estimate_user(with_taste, settings).induction
    much = induce_user(reader(), with_taste, settings).usage.distinct_calls
    little = induce_user(reader(), without, settings).usage.distinct_calls
    assert promised.least_calls <= little < much <= promised.calls
    assert much > 0.45 * promised.calls  # few pairs make few different sets
    assert little < 2.5 * promised.least_calls


def test_pairs_that_stand_twice_are_asked_once():
    pairs = [shouting(i % 6).model_copy(update={"pair_id": f"p{i}"}) for i in range(24)]
    for budget in (None, 20, 33):
        promised = estimate_user(pairs, InductionSettings(evaluate=False), budget_calls=budget).induction
        spent = induce_user(reader(), pairs, InductionSettings(evaluate=False), budget_calls=budget).usage
        assert promised.least_calls <= spent.distinct_calls <= promised.calls


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

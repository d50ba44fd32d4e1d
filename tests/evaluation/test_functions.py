"""Any function of a prompt and two responses can be measured."""

from __future__ import annotations

import logging
import math

import numpy as np
import pytest
from invented import pair

from synthesizeme import Verdict, evaluate
from synthesizeme.errors import ConfigError, SynthesizeMeError
from synthesizeme.evaluation.controls import LongerResponse

PAIRS = [pair(number) for number in range(8)]


def longer(prompt, first, second):
    return len(first) - len(second)


def test_a_function_measures_as_the_scorer_that_does_the_same():
    found, same = evaluate(longer, PAIRS), evaluate(LongerResponse(), PAIRS)
    assert found.scorer == "longer"
    assert found.by_user == same.by_user
    assert found.order_consistency == 1.0


def test_it_is_shown_messages_and_both_orders_and_its_number_is_a_margin_in_log_odds():
    seen = []

    def scorer(prompt, first, second):
        seen.append((prompt[-1].role, first, second))
        return np.float64(2.0)

    found = evaluate(scorer, PAIRS[:1])
    assert [role for role, *_ in seen] == ["user", "user"]
    assert seen[0][1:] == seen[1][:0:-1]
    verdict = found.pairs[0].results[0].result
    assert isinstance(verdict, Verdict)
    assert (verdict.preference, verdict.margin) == ("first", 2.0)
    assert verdict.probability == pytest.approx(1 / (1 + math.exp(-2)))
    assert evaluate(lambda p, a, b: 0, PAIRS).ties == 16


def test_rows_are_read_as_everywhere():
    row = {"user_id": "u", "prompt": "Is it late?", "chosen": "Yes.", "rejected": "It depends."}
    assert evaluate(longer, [row]).micro == 0.0


def test_numbers_that_look_like_shares_are_warned_of_once(caplog):
    with caplog.at_level(logging.WARNING):
        evaluate(lambda p, a, b: 0.7, PAIRS, progress=lambda step: None)
    assert caplog.text.count("every number of lambda is between 0 and 1") == 1
    caplog.clear()
    evaluate(longer, PAIRS)
    assert caplog.text == ""


def test_steps_are_told():
    seen = []
    evaluate(longer, [pair(number) for number in range(40)], progress=seen.append)
    assert [(step.stage, step.done, step.total) for step in seen] == [
        ("evaluating", 32, 80), ("evaluating", 64, 80), ("evaluating", 80, 80),
    ]  # fmt: skip


@pytest.mark.parametrize("given", [None, "first", True, math.nan, math.inf, [1.0]])
def test_what_is_no_finite_number_is_refused_with_the_pair(given):
    with pytest.raises(
        SynthesizeMeError, match=r"for pair 'ada-0'; expected a finite number: above 0 if the first"
    ):
        evaluate(lambda p, a, b: given, PAIRS)


def test_an_exception_of_the_function_is_its_own_and_names_the_pair():
    def broken(prompt, first, second):
        raise KeyError("x")

    with pytest.raises(KeyError) as caught:
        evaluate(broken, PAIRS)
    assert caught.value.__notes__ == ["broken was asked about pair 'ada-0' of user 'ada'"]


@pytest.mark.parametrize(
    ("scorer", "said"),
    [
        (
            LongerResponse,
            "is <class .*LongerResponse'>, a class; expected an object.*Cure: give an object of it",
        ),
        (3, "scorer is a int; expected an object with name, order_sensitive and compare, or a function"),
        (lambda prompt, response: 0.0, r"scorer 'lambda' does not take three arguments"),
    ],
)
def test_what_is_no_scorer_is_refused(scorer, said):
    with pytest.raises(ConfigError, match=said):
        evaluate(scorer, PAIRS)

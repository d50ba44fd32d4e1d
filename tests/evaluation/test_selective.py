"""Abstaining with a promise: the rule, and that it is kept on average, with few validation pairs too."""

from __future__ import annotations

import doctest

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthesizeme.errors import ConfigError, DataError
from synthesizeme.evaluation import selective
from synthesizeme.evaluation.harness import OrderResult, PairOutcome
from synthesizeme.evaluation.selective import (
    Selection,
    fewest_pairs,
    rule_of,
    selected,
    selective_rule,
)
from synthesizeme.types import Failure, Verdict


def test_the_worked_example_holds():
    found = doctest.testmod(selective)
    assert found.attempted >= 4
    assert found.failed == 0


@given(
    st.lists(st.tuples(st.sampled_from([0.5, 0.6, 0.7, 0.8, 0.9]), st.sampled_from([0.0, 0.5, 1.0])),
             min_size=1, max_size=40),
    st.sampled_from([0.1, 0.25, 0.5]),
)  # fmt: skip
def test_the_threshold_is_the_lowest_confidence_at_which_the_inequality_holds(pairs, alpha):
    if len(pairs) < fewest_pairs(alpha):
        with pytest.raises(DataError):
            selective_rule([p for p, _ in pairs], [e for _, e in pairs], alpha)
        return
    rule = selective_rule([p for p, _ in pairs], [e for _, e in pairs], alpha)
    holding = []
    for t in {p for p, _ in pairs}:
        answered = [e for p, e in pairs if p >= t]
        if 1 + sum(e > 0 for e in answered) <= alpha * (1 + len(answered)) + 1e-9:
            holding.append((t, len(answered)))
    expected = min(holding, default=(None, 0))
    assert (rule.threshold, rule.answered) == expected
    assert not rule.accepts(0.49) or rule.threshold <= 0.51


RISKS = {
    "as good as promised everywhere": lambda c, alpha: 0 * c + alpha,
    "a little worse than promised": lambda c, alpha: 0 * c + 1.2 * alpha,
    "twice as bad": lambda c, alpha: 0 * c + 2 * alpha,
    "calibrated": lambda c, alpha: 1 - c,
    "overconfident": lambda c, alpha: 0.4 - 0.35 * (2 * c - 1),
    "good only at the top": lambda c, alpha: np.where(c > 0.85, alpha / 2, 0.5),
    "the surer the worse": lambda c, alpha: c - 0.5,
}
GRID = np.linspace(0.5, 1, 2001)


@pytest.mark.parametrize("alpha", [0.05, 0.1, 0.2])
@pytest.mark.parametrize("n", [10, 25, 100, 400])
@pytest.mark.parametrize("kind", RISKS)
def test_the_realised_error_is_at_most_the_promised_one_on_average_over_validation_pairs(kind, n, alpha):
    """The true error among answered pairs, and both sides of equation (2), over 600 draws."""
    if n < fewest_pairs(alpha):
        pytest.skip(f"{n} pairs are refused for an error of {alpha}")
    rng = np.random.default_rng(7)
    risk = RISKS[kind]
    errors, weighted, covered = [], [], []
    for _ in range(600):
        c = rng.uniform(0.5, 1, n)
        rule = selective_rule(c, (rng.random(n) < risk(c, alpha)).astype(float), alpha)
        answered = (2 if rule.threshold is None else rule.threshold) <= GRID
        wrong = risk(GRID[answered], alpha).sum() / len(GRID)
        errors.append(wrong / answered.mean() if answered.any() else 0.0)
        weighted.append((n + 1) * wrong / (1 + rule.answered))
        covered.append(answered.mean())
    for found in (errors, weighted):
        assert np.mean(found) <= alpha + 3 * np.std(found) / np.sqrt(len(found))
    if kind == "calibrated" and n == 400:
        assert np.mean(covered) > 1.5 * alpha, "it does answer"


def test_without_a_correction_the_promise_would_be_broken():
    """Control: the threshold at which validation pairs have just the promised error is too low."""
    rng, alpha, n = np.random.default_rng(7), 0.1, 25
    errors = []
    for _ in range(2000):
        c = rng.uniform(0.5, 1, n)
        wrong = (rng.random(n) < 0.2)[np.argsort(-c)]
        kept = np.flatnonzero(np.cumsum(wrong) <= alpha * np.arange(1, n + 1))
        errors.append(0.2 if len(kept) else 0.0)
    assert np.mean(errors) > 1.3 * alpha


@pytest.mark.parametrize(("alpha", "needed"), [(0.05, 19), (0.1, 9), (0.2, 4), (0.3, 3), (0.5, 1), (0.9, 1)])
def test_too_few_pairs_are_refused_and_told_how_many_are_needed(alpha, needed):
    assert fewest_pairs(alpha) == needed
    rule = selective_rule([0.9] * needed, [0] * needed, alpha)
    assert rule.threshold == 0.9
    with pytest.raises(DataError, match=rf"are too few for an error of at most {alpha}: {needed} are needed"):
        selective_rule([0.9] * (needed - 1), [0] * (needed - 1), alpha)


@pytest.mark.parametrize("alpha", [0, 1, -0.1, 2, float("nan")])
def test_what_is_no_share_of_errors_is_refused(alpha):
    with pytest.raises(ConfigError, match="expected a share of errors above 0 and below 1"):
        selective_rule([0.9] * 100, [0] * 100, alpha)


def test_wrong_validation_pairs_leave_nothing_to_answer():
    rule = selective_rule([0.9] * 50, [1] * 25 + [0] * 25, 0.1)
    assert (rule.threshold, rule.answered) == (None, 0)
    assert not rule.accepts(1.0)


def outcome(number, p, *, right=True):
    verdict = Verdict(preference="first" if right else "second", probability=p if right else 1 - p)
    return PairOutcome(
        pair_id=str(number), user_id="u", results=(OrderResult(order="chosen_first", result=verdict),)
    )


def test_outcomes_of_the_harness_are_selected_and_failures_are_not_answered():
    validation = [outcome(i, 0.9) for i in range(12)] + [outcome(99, 0.6, right=False)]
    rule = rule_of(validation, 0.1)
    assert (rule.threshold, rule.answered, rule.pairs) == (0.9, 12, 13)
    failed = PairOutcome(
        pair_id="f", user_id="u",
        results=(OrderResult(order="chosen_first", result=Failure(kind="parse", detail="?")),),
    )  # fmt: skip
    found = selected(rule, [outcome(1, 0.95), outcome(2, 0.92, right=False), outcome(3, 0.7), failed])
    assert (found.pairs, found.answered, found.errors, found.validation) == (4, 2, 1, 13)
    assert (found.coverage, found.realised) == (0.5, 0.5)
    both = found + found
    assert (both.pairs, both.errors, both.coverage, both.max_error) == (8, 2, 0.5, 0.1)
    assert found.in_words() == (
        "Error promised at most 10.0%, realised 50.0% (1 of 2 with a known choice); coverage 50.0% (2 of 4 "
        "pairs answered), by 13 validation pairs."
    )


def test_nothing_asked_has_neither_coverage_nor_error():
    nothing = Selection(max_error=0.1)
    assert (nothing.coverage, nothing.realised) == (None, None)
    assert "nothing was asked" in nothing.in_words()

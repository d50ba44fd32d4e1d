from __future__ import annotations

import itertools

import numpy as np
import pytest
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss

from synthesizeme.evaluation.calibration import (
    accuracy_at_coverage,
    brier,
    expected_calibration_error,
    probabilities,
    reliability,
    tempered,
)
from synthesizeme.evaluation.harness import evaluate
from synthesizeme.temperature import with_temperature
from synthesizeme.types import Failure, Verdict

P_CHOSEN = [0.9, 0.95, 0.1, 0.6, 0.4]


@pytest.fixture
def shown():
    """Random probabilities with the side of the chosen response drawn: (p_first, first is chosen, p_chosen)."""
    generator = np.random.default_rng(0)
    p_first = generator.random(500)
    first_chosen = generator.random(500) < p_first**0.5
    return p_first, first_chosen, np.where(first_chosen, p_first, 1 - p_first)


def test_worked_example():
    # confidences .9 .95 .9 .6 .6, right yes yes no yes no
    assert brier(P_CHOSEN) == pytest.approx((0.01 + 0.0025 + 0.81 + 0.16 + 0.36) / 5)
    low, high = reliability(P_CHOSEN, bins=2)
    assert (low.low, low.high, low.n, low.accuracy) == (0.5, 0.75, 2, 0.5)
    assert low.confidence == pytest.approx(0.6)
    assert (high.n, high.accuracy) == (3, pytest.approx(2 / 3))
    assert high.confidence == pytest.approx((0.9 + 0.95 + 0.9) / 3)
    expected = (2 * abs(0.5 - 0.6) + 3 * abs(2 / 3 - 2.75 / 3)) / 5
    assert expected_calibration_error(P_CHOSEN, bins=2) == pytest.approx(expected)
    curve = [(p.coverage, round(p.accuracy, 6), p.threshold) for p in accuracy_at_coverage(P_CHOSEN)]
    assert curve == [(0.2, 1.0, 0.95), (0.6, 0.666667, 0.9), (1.0, 0.6, 0.6)]


def test_brier_does_not_depend_on_which_side_was_shown_first(shown):
    p_first, first_chosen, p_chosen = shown
    assert brier(p_chosen) == pytest.approx(brier_score_loss(first_chosen, p_first))


def test_reliability_agrees_with_scikit_learn(shown):
    _, _, p_chosen = shown
    confidence, right = np.maximum(p_chosen, 1 - p_chosen), p_chosen > 0.5
    # scikit-learn spreads its bins over [0, 1]; stretched confidences put 10 of them over [.5, 1]
    accuracy, stretched = calibration_curve(right, 2 * confidence - 1, n_bins=10, strategy="uniform")
    points = reliability(p_chosen)
    assert [p.accuracy for p in points] == pytest.approx(accuracy)
    assert [p.confidence for p in points] == pytest.approx((stretched + 1) / 2)
    assert sum(p.n for p in points) == 500


def test_edges_of_the_bins():
    points = reliability([0.5, 1.0, 0.0])
    assert [(p.low, p.n, p.accuracy) for p in points] == [(0.5, 1, 0.5), (pytest.approx(0.95), 2, 0.5)]


def test_a_calibrated_scorer_has_small_error_and_an_overconfident_one_large():
    generator = np.random.default_rng(1)
    p = generator.uniform(0.5, 1, 20_000)
    p_chosen = np.where(generator.random(20_000) < p, p, 1 - p)
    assert expected_calibration_error(p_chosen) < 0.015
    assert expected_calibration_error(with_temperature(p_chosen, 0.25)) > 0.1


def test_coverage_curve_ignores_the_order_of_pairs_and_ends_at_accuracy(shown):
    p_chosen = np.round(shown[2], 2)
    curve = accuracy_at_coverage(p_chosen)
    assert curve == accuracy_at_coverage(p_chosen[::-1])
    assert curve[-1].coverage == 1.0
    assert curve[-1].accuracy == pytest.approx(np.mean((np.sign(p_chosen - 0.5) + 1) / 2))
    assert all(a.threshold > b.threshold for a, b in itertools.pairwise(curve))


def test_without_pairs_nothing_is_claimed():
    assert (brier([]), expected_calibration_error([])) == (None, None)
    assert (reliability([]), accuracy_at_coverage([])) == ((), ())


@pytest.mark.parametrize("bad", [[1.2], [float("nan")], [[0.5]]])
def test_what_is_no_probability_is_refused(bad):
    with pytest.raises(ValueError, match="probabilities in"):
        brier(bad)


def test_bare_verdicts_are_not_probabilities(make_pair, scripted):
    stated = Verdict(preference="first", probability=0.8, probability_source="logprobs")
    bare = Verdict(preference="second", probability=0.0)
    lost = Failure(kind="transport", detail="reset")
    pairs = [make_pair(i) for i in "abc"]
    table = {
        ("a", "good"): stated,
        ("a", "bad"): stated,
        ("b", "good"): stated,
        ("b", "bad"): bare,
        ("c", "good"): stated,
        ("c", "bad"): lost,
    }
    found = probabilities(evaluate(scripted(table), pairs))
    assert found == pytest.approx([0.5]), "b has a bare verdict, c a failure"


def test_a_temperature_rescales_what_is_stated_and_leaves_the_choices(outcome_of):
    outcome = outcome_of({"ann": [0.9, 0.2, None], "bob": [1.0]})
    warm = tempered(outcome, 2.0)
    assert warm.scores == outcome.scores
    assert warm.failures == outcome.failures
    assert probabilities(warm) == pytest.approx(with_temperature(probabilities(outcome), 2.0))
    assert probabilities(tempered(outcome, 1.0)) == pytest.approx(probabilities(outcome), abs=1e-6)
    with pytest.raises(ValueError, match="above 0"):
        tempered(outcome, 0.0)

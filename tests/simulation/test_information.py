"""Expected information: against Monte Carlo, the published closed form, and questions asked one by one."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.special import expit
from scipy.stats import norm

from synthesizeme.errors import ConfigError
from synthesizeme.simulation.information import (
    answered,
    choose,
    parameter_information,
    predictive_information,
    taste_information,
)

MEAN = np.array([0.0, 0.0, 1.5, -3.0, 0.3])
VARIANCE = np.array([0.01, 1.0, 2.0, 4.0, 9.0])


def entropy(p):
    return -p * np.log2(p) - (1 - p) * np.log2(1 - p)


def covariance(n=6, dim=3, seed=0):
    """Of margins that are linear in a few parameters."""
    rows = np.random.default_rng(seed).normal(size=(n, dim))
    return rows @ rows.T


def test_information_is_that_of_monte_carlo():
    draws = MEAN[:, None] + np.sqrt(VARIANCE)[:, None] * np.random.default_rng(1).normal(size=(5, 400_000))
    chance = expit(draws)
    expected = entropy(chance.mean(axis=1)) - entropy(chance).mean(axis=1)
    assert parameter_information(MEAN, np.diag(VARIANCE)) == pytest.approx(expected, abs=2e-3)


def test_information_is_near_the_closed_form_of_houlsby_and_others():
    """Their equation for the probit, whose argument is the margin times sqrt(pi / 8)."""
    mean, variance = math.sqrt(math.pi / 8) * MEAN, math.pi / 8 * VARIANCE
    c = math.sqrt(math.pi * math.log(2) / 2)
    closed = entropy(norm.cdf(mean / np.sqrt(variance + 1))) - c * np.exp(
        -(mean**2) / (2 * (variance + c**2))
    ) / np.sqrt(variance + c**2)
    assert parameter_information(MEAN, np.diag(VARIANCE)) == pytest.approx(closed, abs=0.04)


def test_nothing_is_to_be_learned_where_nothing_is_uncertain():
    known = np.zeros((2, 2))
    assert parameter_information(np.array([0.0, 2.0]), known) == pytest.approx([0, 0], abs=1e-12)
    assert predictive_information(np.array([0.0, 2.0]), known) == pytest.approx([0, 0], abs=1e-6)


def test_more_uncertainty_tells_more_and_a_sure_answer_less():
    bits = parameter_information(np.array([0.0, 0.0, 4.0]), np.diag([1.0, 4.0, 1.0]))
    assert bits[1] > bits[0] > bits[2] > 0
    assert bits.max() < 1


def test_predictions_count_what_an_answer_says_of_the_others():
    """Two margins that are one and the same, and a third, more uncertain one that is alone."""
    shared = np.array([[2.0, 2.0, 0.0], [2.0, 2.0, 0.0], [0.0, 0.0, 8.0]])
    bits = predictive_information(np.zeros(3), shared)
    assert bits[0] == pytest.approx(bits[1])
    assert bits[0] > 0.1
    assert bits[2] == pytest.approx(0, abs=1e-9)
    assert parameter_information(np.zeros(3), shared).argmax() == 2


def test_an_answer_shrinks_the_covariance_as_one_more_measurement_does():
    """By the rule of Gaussian conditioning, written with inverses."""
    before, place = covariance() + np.eye(6), 2
    after = answered(np.zeros(6), before, place)
    removed = before - after
    assert np.linalg.matrix_rank(removed, tol=1e-9) == 1
    spread = math.sqrt(before[place, place])
    chance = expit(spread * np.random.default_rng(0).normal(size=400_000))
    precision = np.linalg.inv(before)
    precision[place, place] += (chance * (1 - chance)).mean()
    assert after == pytest.approx(np.linalg.inv(precision), rel=0.01, abs=0.01)


def test_taste_is_counted_in_bits_of_its_own_determinant():
    """Half the logarithm of how much an answer shrinks the determinant of the covariance of the taste."""
    rows = np.array([[1.0, 0.5, 0.0, 2.0], [0.0, 1.0, 0.3, 0.0], [2.0, 0.0, 1.0, 0.1]])
    both = np.concatenate([rows, np.eye(2, 4)])
    joint = both @ np.diag([1.0, 0.5, 3.0, 2.0]) @ both.T
    mean = np.array([0.2, -1.0, 0.0])
    bits = taste_information(mean, joint)
    for place in range(3):
        after = answered(mean, joint, place)[3:, 3:]
        gain = np.linalg.slogdet(joint[3:, 3:])[1] - np.linalg.slogdet(after)[1]
        assert bits[place] == pytest.approx(gain / 2 / math.log(2), abs=1e-6)


def test_what_is_specific_to_one_pair_is_noise_for_the_taste():
    """Two margins with the same taste in them, and in the second much that is its own."""
    both = np.array([[1.0, 0.0], [1.0, 4.0], [1.0, 0.0]])
    joint = both @ both.T
    assert taste_information(np.zeros(2), joint).argmax() == 0
    assert parameter_information(np.zeros(2), joint).argmax() == 1
    assert choose(np.zeros(2), joint, criterion="taste")[0].place == 0


@pytest.mark.parametrize("criterion", ["taste", "predictions", "parameters"])
def test_a_batch_does_not_ask_the_same_thing_twice(criterion):
    """Of three copies of one question and one of another kind, a batch of two takes one of each."""
    rows = np.array([[6.0, 0.0], [6.0, 0.0], [6.0, 0.0], [0.0, 4.0], [0.0, 4.0]])
    both = np.concatenate([rows, np.eye(2)]) if criterion == "taste" else rows
    chosen = choose(np.zeros(5), both @ both.T, 2, criterion=criterion)
    assert {it.place < 3 for it in chosen} == {True, False}
    alone = choose(np.zeros(5), both @ both.T, 5, criterion=criterion)
    assert sorted(it.place for it in alone) == list(range(5))
    assert alone[:2] == chosen


def test_the_best_of_all_is_taken_first():
    found = covariance(8, seed=4)
    mean = np.linspace(-1, 1, 8)
    assert choose(mean, found, criterion="parameters")[0].place == parameter_information(mean, found).argmax()
    found_first = choose(mean, found)[0]
    assert found_first.bits == pytest.approx(predictive_information(mean, found).max())


def test_impossible_wishes_are_listed_together():
    with pytest.raises(ConfigError, match=r"n is 0; .*criterion is 'luck'; expected predictions"):
        choose(np.zeros(1), np.eye(1), 0, criterion="luck")
    with pytest.raises(ConfigError, match="needs that of the taste too"):
        choose(np.zeros(2), np.eye(2), criterion="taste")
    assert choose(np.zeros(0), np.eye(1), 3) == []

"""Expected information about the taste: against determinants, Monte Carlo, and questions asked one by one."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.special import expit

from synthesizeme.errors import ConfigError
from synthesizeme.simulation.interview import answered, choose, taste_information


def covariance(n=6, dim=3, seed=0):
    """Of margins that are linear in a few parameters."""
    rows = np.random.default_rng(seed).normal(size=(n, dim))
    return rows @ rows.T


def with_taste(rows):
    """Of margins that are linear in a taste of unit variances, and of that taste."""
    both = np.concatenate([rows, np.eye(rows.shape[1])])
    return both @ both.T


def test_nothing_is_to_be_learned_where_nothing_is_uncertain():
    assert taste_information(np.array([0.0, 2.0]), np.zeros((4, 4))) == pytest.approx([0, 0], abs=1e-6)


def test_more_uncertainty_tells_more_and_a_sure_answer_less():
    bits = taste_information(np.array([0.0, 0.0, 4.0]), with_taste(np.diag([1.0, 2.0, 1.0])))
    assert bits[1] > bits[0] > bits[2] > 0


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
    assert np.diag(joint)[:2].argmax() == 1
    assert choose(np.zeros(2), joint)[0].place == 0


def test_a_batch_does_not_ask_the_same_thing_twice():
    """Of three copies of one question and one of another kind, a batch of two takes one of each."""
    rows = np.array([[6.0, 0.0], [6.0, 0.0], [6.0, 0.0], [0.0, 4.0], [0.0, 4.0]])
    chosen = choose(np.zeros(5), with_taste(rows), 2)
    assert {it.place < 3 for it in chosen} == {True, False}
    everything = choose(np.zeros(5), with_taste(rows), 5)
    assert sorted(it.place for it in everything) == list(range(5))
    assert everything[:2] == chosen


def test_the_best_of_all_is_taken_first():
    found = with_taste(np.random.default_rng(4).normal(size=(8, 3)))
    mean = np.linspace(-1, 1, 8)
    first = choose(mean, found)[0]
    assert first.place == taste_information(mean, found).argmax()
    assert first.bits == pytest.approx(taste_information(mean, found).max())


def test_impossible_wishes_are_listed_together():
    with pytest.raises(ConfigError, match=r"n is 0; .*expected that of the taste behind them"):
        choose(np.zeros(2), np.eye(2), 0)
    assert choose(np.zeros(0), np.eye(1), 3) == []

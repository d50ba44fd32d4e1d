"""Expected information about the taste: against enumeration on a grid, Monte Carlo, and one question after another."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.special import expit
from scipy.stats import norm

from synthesizeme.errors import ConfigError
from synthesizeme.questions import AnswerBeliefs
from synthesizeme.simulation.information import answered, choose, information, without

CHOICE = (0.0,)
STARS = tuple(math.log(k / (5 - k)) for k in range(1, 5))
TRAIT = (-math.log(2), math.log(2))


def beliefs(mean, covariance, cuts=CHOICE):
    return AnswerBeliefs(np.asarray(mean, dtype=float), covariance, [cuts] * len(mean))


def with_taste(rows):
    """Of margins that are linear in a taste of unit variances, and of that taste."""
    both = np.concatenate([rows, np.eye(rows.shape[1])])
    return both @ both.T


GRID = np.linspace(-9, 9, 901)
DENSITY = norm.pdf(GRID) * (GRID[1] - GRID[0])
"""The trapezium rule under N(0, 1), which is as exact as floats are for what is smooth."""


def chances(margin, cuts):
    """Probability of every answer, the last axis being that of the answers."""
    margin = np.asarray(margin)[..., None]
    ends = np.ones_like(margin)
    return -np.diff(np.concatenate([ends, expit(margin - np.array(cuts)), 0 * ends], axis=-1))


def bits(levels):
    return -(levels * np.log2(np.maximum(levels, 1e-300))).sum(axis=-1)


def by_integration(mean, explained, rest, cuts):
    """I(y; m), both expectations on a grid and every answer enumerated."""
    m = mean + math.sqrt(explained) * GRID
    given = np.einsum("mrk,r->mk", chances(m[:, None] + math.sqrt(rest) * GRID, cuts), DENSITY)
    return bits(DENSITY @ given) - DENSITY @ bits(given)


@pytest.mark.parametrize("cuts", [CHOICE, STARS, TRAIT], ids=["choice", "stars", "trait"])
@pytest.mark.parametrize(("mean", "explained", "rest"), [(0.3, 1.2, 0.0), (-1.5, 0.4, 2.0), (0.0, 9.0, 4.0)])
def test_it_is_the_mutual_information_of_answer_and_taste(mean, explained, rest, cuts):
    own = math.sqrt(explained)
    joint = np.array([[explained + rest, own], [own, 1.0]])
    found = information(beliefs([mean], joint, cuts))
    assert found == pytest.approx([by_integration(mean, explained, rest, cuts)], abs=2e-4)


def test_several_tastes_are_one_projection():
    """By drawing tastes, for a margin that hangs on two correlated ones and on something of its own."""
    factor = np.array([[1.0, 0.0], [0.6, 0.8]])
    read = np.array([1.5, -0.7])
    taste = factor @ factor.T
    joint = np.block([[read @ taste @ read + 0.5, (taste @ read)[None]], [(taste @ read)[:, None], taste]])
    rng = np.random.default_rng(0)
    m = 0.4 + rng.normal(size=(200_000, 2)) @ factor.T @ read
    nodes, weights = np.polynomial.hermite_e.hermegauss(30)
    p = expit(m[:, None] + math.sqrt(0.5) * nodes) @ (weights / weights.sum())
    usual = p.mean()
    entropy = -(p * np.log2(p) + (1 - p) * np.log2(1 - p)).mean()
    assert information(beliefs([0.4], joint))[0] == pytest.approx(
        bits(np.array([usual, 1 - usual])) - entropy, abs=2e-3
    )


def test_nothing_is_to_be_learned_where_nothing_is_uncertain():
    assert information(beliefs([0.0, 2.0], np.zeros((4, 4)))) == pytest.approx([0, 0], abs=1e-6)


def test_more_uncertainty_tells_more_a_sure_answer_less_and_finer_answers_more():
    rows = with_taste(np.diag([1.0, 2.0, 1.0]))
    found = information(beliefs([0.0, 0.0, 4.0], rows))
    assert found[1] > found[0] > found[2] > 0
    assert (information(beliefs([0.0, 0.0, 4.0], rows, STARS))[:2] > found[:2]).all()


def test_questions_with_other_cuts_are_worked_out_each_by_its_own():
    rows = with_taste(np.ones((3, 1)))
    found = information(AnswerBeliefs(np.zeros(3), rows, [CHOICE, STARS, CHOICE]))
    assert found[0] == found[2] == information(beliefs([0.0], with_taste(np.ones((1, 1)))))[0]
    assert found[1] == information(beliefs([0.0], with_taste(np.ones((1, 1))), STARS))[0]


@pytest.mark.parametrize("cuts", [CHOICE, TRAIT], ids=["choice", "trait"])
def test_an_answer_shrinks_the_covariance_as_one_more_measurement_does(cuts):
    """By the rule of Gaussian conditioning, written with inverses; the slope of log p by differences."""
    rows = np.random.default_rng(0).normal(size=(6, 3))
    before, place = rows @ rows.T + np.eye(6), 2
    after = answered(beliefs(np.zeros(6), before, cuts), place).covariance
    assert np.linalg.matrix_rank(before - after, tol=1e-9) == 1
    spread, step = math.sqrt(before[place, place]), 1e-5

    def fisher(f):
        low, high, at = (chances(f + d, cuts) for d in (-step, step, 0))
        return (((high - low) / (2 * step)) ** 2 / at).sum(axis=-1)

    precision = np.linalg.inv(before)
    precision[place, place] += DENSITY @ fisher(spread * GRID)
    assert after == pytest.approx(np.linalg.inv(precision), rel=1e-3, abs=1e-3)


def test_what_is_specific_to_one_pair_is_noise_for_the_taste():
    """Two margins with the same taste in them, and in the second much that is its own."""
    both = np.array([[1.0, 0.0], [1.0, 4.0], [1.0, 0.0]])
    joint = beliefs(np.zeros(2), both @ both.T)
    assert information(joint).argmax() == 0
    assert np.diag(joint.covariance)[:2].argmax() == 1
    assert choose(joint)[0].place == 0


def test_a_batch_does_not_ask_the_same_thing_twice():
    """Of three copies of one question and one of another kind, a batch of two takes one of each."""
    rows = np.array([[6.0, 0.0], [6.0, 0.0], [6.0, 0.0], [0.0, 4.0], [0.0, 4.0]])
    asked = beliefs(np.zeros(5), with_taste(rows))
    chosen = choose(asked, 2)
    assert {it.place < 3 for it in chosen} == {True, False}
    everything = choose(asked, 5)
    assert sorted(it.place for it in everything) == list(range(5))
    assert everything[:2] == chosen


def test_the_best_of_all_is_taken_first_and_then_left_out():
    asked = beliefs(np.linspace(-1, 1, 8), with_taste(np.random.default_rng(4).normal(size=(8, 3))))
    first = choose(asked)[0]
    assert first.place == information(asked).argmax()
    assert first.bits == pytest.approx(information(asked).max())
    rest = without(asked, first.place)
    assert len(rest.mean) == len(rest.cuts) == 7
    assert rest.covariance.shape == (10, 10)
    assert information(rest) == pytest.approx(np.delete(information(asked), first.place))


def test_impossible_wishes_are_listed_together():
    with pytest.raises(ConfigError, match=r"n is 0; .*expected that of the taste behind them"):
        choose(beliefs(np.zeros(2), np.eye(2)), 0)
    assert choose(beliefs(np.zeros(0), np.eye(1)), 3) == []

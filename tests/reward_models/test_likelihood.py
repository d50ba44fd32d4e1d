"""Each kind of feedback as a term: against sums over outcomes, differences, simulation and other people's code."""

from __future__ import annotations

from itertools import pairwise, permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import approx_fprime
from scipy.special import expit

from reward_models._likelihood import (
    Likelihood,
    beside_ties,
    between,
    gathered,
    positive,
    ranking,
)

TERMS = {
    "a choice beside ties": (beside_ties(1, 0), 2),
    "a tie": (beside_ties(0, 1), 2),
    "choices and ties": (beside_ties(3, 2), 6),
    "a ranking": (ranking((1, 1, 1, 1)), 3),
    "the best of four": (ranking((1, 3)), 3),
    "shared ranks": (ranking((2, 1, 2)), 4),
    "a level": (between, 2),
    "a spread": (positive, 1),
}


def points(name, number, rng):
    """Margins at which a term has a value, shape (number, k)."""
    found = rng.normal(scale=2, size=(number, TERMS[name][1]))
    if name == "a level":
        found[:, 1] = found[:, 0] - rng.gamma(1.0, size=number) - 0.05
    if name == "a spread":
        found = rng.gamma(2.0, size=(number, 1)) + 0.1
    return found


def value(term, margins):
    return float(term(np.asarray(margins, dtype=float)[None]).value[0])


@pytest.mark.parametrize("name", TERMS)
def test_slopes_and_bends_are_differences_of_values_and_slopes(name):
    term, _ = TERMS[name]
    for at in points(name, 20, np.random.default_rng(0)):
        found = term(at[None])
        np.testing.assert_allclose(
            found.slope[0], approx_fprime(at, lambda f: value(term, f), 1e-6), atol=2e-5, rtol=1e-4
        )
        bend = [-approx_fprime(at, lambda f, i=i: term(f[None]).slope[0, i], 1e-6) for i in range(len(at))]
        np.testing.assert_allclose(found.bend[0], bend, atol=2e-4, rtol=1e-3)


@pytest.mark.parametrize("name", TERMS)
def test_every_term_is_concave(name):
    term, _ = TERMS[name]
    rng = np.random.default_rng(1)
    one, other = points(name, 200, rng), points(name, 200, rng)
    assert (np.linalg.eigvalsh(term(one).bend) > 0).all()
    assert (term((one + other) / 2).value >= (term(one).value + term(other).value) / 2 - 1e-12).all()


@given(st.floats(-20, 20), st.floats(-5, 5))
def test_a_choice_either_way_and_a_tie_are_all_there_is_and_a_choice_is_bradley_and_terrys(margin, threshold):
    one, other = (value(beside_ties(1, 0), [sign * margin, threshold]) for sign in (1, -1))
    tie = value(beside_ties(0, 1), [margin, threshold])
    assert np.exp([one, other, tie]).sum() == pytest.approx(1)
    assert np.exp(one - np.logaddexp(one, other)) == pytest.approx(expit(margin))
    assert tie == pytest.approx(value(beside_ties(0, 1), [-margin, threshold]))


@given(st.floats(-30, 30), st.lists(st.floats(-8, 8), min_size=1, max_size=5, unique=True))
def test_the_levels_of_a_scale_are_all_there_is(margin, thresholds):
    thresholds = [
        it for k, it in enumerate(sorted(thresholds)) if k == 0 or it - sorted(thresholds)[k - 1] > 1e-3
    ]
    above = margin - np.array(thresholds)
    middle = [np.exp(value(between, pair)) for pair in pairwise(above)]
    assert expit(-above[0]) + sum(middle) + expit(above[-1]) == pytest.approx(1)


def test_nothing_falls_between_thresholds_that_have_crossed():
    with np.errstate(divide="raise", over="raise", invalid="raise"):
        assert (positive(np.array([[0.0], [-1.0]])).value == -np.inf).all()
        assert (between(np.array([[0.0, 0.0], [1.0, 2.0], [-900.0, 900.0]])).value == -np.inf).all()


def test_choices_and_ties_together_are_the_sum_of_each():
    margins = np.array([0.4, -1.0, 2.0, -0.3, 0.1, -0.5])
    alone = [value(beside_ties(int(k < 3), int(k >= 3)), [margins[k], margins[-1]]) for k in range(5)]
    assert value(beside_ties(3, 2), margins) == pytest.approx(sum(alone))


def orders(utilities):
    """The probability of each order, by Luce's choices one after the other."""
    found = {}
    for order in permutations(range(len(utilities))):
        left, p = list(order), 1.0
        while left:
            p *= np.exp(utilities[left[0]]) / np.exp(utilities[left]).sum()
            left.pop(0)
        found[order] = p
    return found


def margins_of(utilities, order):
    return utilities[order[0]] - utilities[list(order[1:])]


def test_rankings_are_sums_over_orders_that_agree_with_them():
    utilities = np.array([0.3, -1.2, 0.9, 0.0])
    every = orders(utilities)
    assert sum(every.values()) == pytest.approx(1)
    for order, p in every.items():
        at = margins_of(utilities, order)
        assert np.exp(value(ranking((1, 1, 1, 1)), at)) == pytest.approx(p)
        first = sum(q for other, q in every.items() if other[0] == order[0])
        assert np.exp(value(ranking((1, 3)), at)) == pytest.approx(first)
        two = sum(q for other, q in every.items() if other[:2] == order[:2])
        assert np.exp(value(ranking((1, 1, 2)), at)) == pytest.approx(two)


def test_a_shared_rank_above_the_last_is_nearly_the_mean_over_its_orders():
    """Efron: the sum over g! orders is g! times this; near at equal utilities, and within a tenth here."""
    for spread, near in ((0.0, 1e-9), (0.3, 0.01), (1.0, 0.1)):
        utilities = spread * np.array([0.8, -0.5, 0.1, -0.9])
        exact = sum(p for order, p in orders(utilities).items() if set(order[:2]) == {0, 1})
        found = 2 * np.exp(value(ranking((2, 2)), margins_of(utilities, (0, 1, 2, 3))))
        assert found == pytest.approx(exact, rel=near)


def test_ranks_are_orders_of_noisy_utilities():
    """Gumbel noise on each utility, and logistic noise on a margin: what people are taken to do."""
    rng = np.random.default_rng(3)
    utilities = np.array([1.0, 0.2, -0.5])
    drawn = np.argsort(-(utilities + rng.gumbel(size=(200_000, 3))), axis=1)
    for order, p in orders(utilities).items():
        assert (drawn == order).all(axis=1).mean() == pytest.approx(p, abs=0.005)
    level = np.searchsorted([-0.7, 1.1], 0.4 + rng.logistic(size=200_000))
    assert (level == 1).mean() == pytest.approx(np.exp(value(between, [0.4 + 0.7, 0.4 - 1.1])), abs=0.005)


def everything(rng):
    """Margins of two users with every term, and choices between them."""
    sizes = [size for _, size in TERMS.values()]
    begins = np.cumsum([1, *sizes])[:-1]
    terms = gathered([
        (term, range(begin, begin + size))
        for begin, (term, size) in zip(begins, TERMS.values(), strict=True)
    ])  # fmt: skip
    n = 2 + sum(sizes)
    margins = rng.normal(size=(2, n))
    at = dict(zip(TERMS, begins.tolist(), strict=True))
    margins[:, at["a level"] + 1] = margins[:, at["a level"]] - 0.7
    margins[:, at["a spread"]] = 0.8, 1.3
    return Likelihood([terms, terms], n), terms, margins


def test_a_likelihood_is_the_sum_of_its_terms_and_its_blocks_are_one_matrix():
    likelihood, terms, margins = everything(np.random.default_rng(5))
    alone = -np.logaddexp(0, -margins[:, [0, -1]]).sum()
    parts = sum(term(row[numbers]).value.sum() for row in margins for term, numbers in terms)
    assert likelihood.value(margins) == pytest.approx(alone + parts)
    measured = likelihood.measured(margins)
    n = margins.shape[1]
    factor = measured.before(np.stack([np.eye(n)] * 2)).swapaxes(1, 2)
    matrices = np.random.default_rng(6).normal(size=(2, n, n))
    np.testing.assert_allclose(measured.after(matrices), matrices @ factor)
    np.testing.assert_allclose(measured.after(matrices, transposed=True), matrices @ factor.swapaxes(1, 2))
    bend = factor @ factor.swapaxes(1, 2)
    np.testing.assert_allclose(measured.noise, np.diagonal(np.linalg.inv(bend), axis1=1, axis2=2))
    for u in range(2):

        def at(row, u=u):
            other = margins.copy()
            other[u] = row
            return likelihood.value(other)

        slope = approx_fprime(margins[u], at, 1e-6)
        np.testing.assert_allclose(bend[u] @ (measured.working[u] - margins[u]), slope, atol=1e-4)

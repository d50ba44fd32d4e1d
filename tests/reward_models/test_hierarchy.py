"""Newton and the Laplace posterior, against scipy, scikit-learn and full matrices."""

from __future__ import annotations

import numpy as np
import pytest
from joint_posterior import Joint, chosen, planted, without_items
from scipy.optimize import minimize
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from reward_models._effects import NONE, Effects
from reward_models._hierarchy import Fit, Problem, Rows, Variances, fit_own, some_users
from reward_models._left_out import Hidden, left_out

SHARED, OWN = np.array([0.5, 2.0, 1.0]), np.array([1.0, 0.25, 3.0, 0.5])
VARIANCES = Variances(SHARED, OWN, items=0.8)
NOTHING = 1e-12
"""A variance that leaves a weight at zero."""
ITEMS = 5
SIZES = [{}, {"users": 1}, {"users": 5, "pairs": 1}, {"users": 2, "pairs": 30}]


def problem(seed=0, **sizes):
    return planted(np.random.default_rng(seed), **sizes)[0]


def close(found, expected, tolerance=1e-6):
    np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance)


def without(problem_, fit, users):
    """Every margin as if its pair had not been seen."""
    hidden = Hidden(users, sum(map(len, users)), 0)
    return left_out(problem_.mode(), fit.covariance, hidden)["seen"]


def uncertainty(fit, rows, own, own_variance, asked):
    """Variances of the margins of the asked rows, of the user of `rows`, as the docstring of `Own` has them."""
    found = []
    for x, z, items in zip(asked.shared, asked.own, asked.items, strict=True):
        seen = own.own_factor @ z
        effects = np.zeros(len(fit.effects) + 1)  # the last is that of responses without one
        np.add.at(effects, items, [1, -1])
        for pull, sides in zip(own.root.T @ seen, rows.items, strict=True):
            np.add.at(effects, sides, [-pull, pull])
        reach = np.concatenate([x - own.shared_factor.T @ seen, effects[:-1]])
        found.append(z @ (own_variance * z) - seen @ seen + reach @ fit.covariance @ reach)
    return np.array(found)


@pytest.mark.parametrize("items", [0, ITEMS])
@pytest.mark.parametrize("sizes", SIZES)
def test_the_mode_is_the_one_that_scipy_finds_on_all_weights(sizes, items):
    users = problem(items=items, **sizes)
    joint = Joint(users, VARIANCES, items)
    mode = joint.mode()
    fit = Problem(users, VARIANCES, items).fit()
    assert fit.effects.shape == (items,)
    close(fit.weights, mode[:3])
    close(fit.effects, mode[3 : 3 + items])
    for u, rows in enumerate(users):
        close(fit.offsets(rows), joint.directions(rows, None) @ mode)
        close(fit_own(rows, fit.offsets(rows), OWN).mean, mode[joint.place(u)])


def test_users_with_different_numbers_of_pairs_are_laid_end_to_end():
    rng = np.random.default_rng(4)
    beta = rng.normal(size=ITEMS)
    users = [chosen(rng, np.ones(3), rng.normal(size=4), n, beta) for n in (1, 7, 2)]
    joint = Joint(users, VARIANCES, ITEMS)
    mode = joint.mode()
    found = Problem(users, VARIANCES, ITEMS)
    fit = found.fit()
    close(fit.weights, mode[:3])
    at = found.mode()
    margins = joint.design @ mode
    p = expit(margins)
    close(at.working, margins + (1 - p) / (p * (1 - p)))
    close(at.noise, 1 / (p * (1 - p)))
    assert [block.shape for block in at.blocks] == [(1, 1), (7, 7), (2, 2)]
    begin = 0
    for rows, block in zip(users, at.blocks, strict=True):
        some = slice(begin, begin := begin + len(rows))
        inverse = np.linalg.inv((rows.own * OWN) @ rows.own.T + np.diag(1 / (p * (1 - p))[some]))
        close(block, inverse)
        close(at.reach[some], inverse @ joint.design[some, : 3 + ITEMS])
        close(at.duals[some], inverse @ (at.working[some] - fit.offsets(rows)))


def test_without_deviations_and_effects_it_is_logistic_regression():
    """scikit-learn, shown every pair both ways round: each pair counts twice, hence C = variance / 2."""
    users = problem(2, users=4, pairs=25)
    rows = np.concatenate([user.shared for user in users])
    both, labels = np.concatenate([rows, -rows]), np.repeat([1, 0], len(rows))
    for variance in (0.05, 2.0):
        oracle = LogisticRegression(fit_intercept=False, C=variance / 2, tol=1e-12, max_iter=1000)
        oracle.fit(both, labels)
        fit = Problem(users, Variances(np.full(3, variance), np.full(4, NOTHING))).fit()
        close(fit.weights, oracle.coef_[0], 1e-5)


def test_effects_alone_are_the_strengths_of_bradley_and_terry():
    """Three responses, the first of which won three of four against the second and so on, with a normal prior."""
    wins = [(0, 1)] * 3 + [(1, 0)] + [(1, 2)] * 4 + [(2, 0)]
    rows = Rows(np.zeros((9, 1)), np.zeros((9, 1)), np.array(wins))
    fit = Problem([rows], Variances(np.ones(1), np.ones(1), items=2.0), 3).fit()
    pulls = np.zeros(3)
    for first, second in wins:
        p = expit(fit.effects[second] - fit.effects[first])
        pulls += p * (np.eye(3)[first] - np.eye(3)[second])
    close(fit.effects, 2.0 * pulls)
    assert fit.effects[0] > fit.effects[1] > fit.effects[2]


def test_a_variance_of_zero_or_no_number_leaves_effects_out():
    users = problem(3, items=ITEMS)
    bare = [without_items(rows.shared, rows.own) for rows in users]
    expected = Problem(bare, Variances(SHARED, OWN, items=0.8), ITEMS).fit()
    close(expected.effects, np.zeros(ITEMS))
    close(expected.covariance[3:, 3:], 0.8 * np.eye(ITEMS))
    fit = Problem(users, Variances(SHARED, OWN, items=0.0), ITEMS).fit()
    assert fit.effects.shape == (0,)
    close(fit.weights, expected.weights)


@pytest.mark.parametrize("weights", [(0, 0, 0), (2, -1, 0.5), (20, 20, -20)])
def test_the_deviations_of_one_user_are_those_that_scipy_finds_beside_the_shared_margin(weights):
    rng = np.random.default_rng(3)
    rows = chosen(rng, np.ones(3), rng.normal(size=4), 20)
    offset = rows.shared @ weights
    found = minimize(
        lambda v: np.logaddexp(0, -offset - rows.own @ v).sum() + (v**2 / OWN).sum() / 2,
        np.zeros(4),
        jac=lambda v: -rows.own.T @ expit(-offset - rows.own @ v) + v / OWN,
        options={"gtol": 1e-9},
    )
    close(fit_own(rows, offset, OWN).mean, found.x)


@pytest.mark.parametrize("items", [0, ITEMS])
def test_the_covariance_is_the_block_of_the_inverse_of_the_whole_hessian(items):
    for seed in range(3):
        users = problem(seed, items=items)
        joint = Joint(users, VARIANCES, items)
        fit = Problem(users, VARIANCES, items).fit()
        close(fit.covariance, joint.covariance(joint.mode())[joint.common, joint.common])


@pytest.mark.parametrize("items", [0, ITEMS])
def test_the_uncertainty_of_a_margin_is_that_of_the_whole_hessian(items):
    users = problem(1, users=3, pairs=5, items=items)
    joint = Joint(users, VARIANCES, items)
    covariance = joint.covariance(joint.mode())
    fit = Problem(users, VARIANCES, items).fit()
    rng = np.random.default_rng(0)
    for u, rows in enumerate(users):
        own = fit_own(rows, fit.offsets(rows), OWN)
        assert own.mean.shape == (4,)
        assert own.own_factor.shape == (5, 4)
        assert own.shared_factor.shape == (5, 3)
        assert own.root.shape == (5, 5)
        asked = chosen(rng, np.zeros(3), np.zeros(4), 8, np.zeros(items))
        directions = joint.directions(asked, u)
        close(uncertainty(fit, rows, own, OWN, asked), ((directions @ covariance) * directions).sum(axis=1))


@pytest.mark.parametrize("start", [0.0, 30.0, -30.0])
def test_newton_arrives_from_wherever_it_begins(start):
    users = problem(8, users=4, pairs=12, items=ITEMS)
    fresh = Problem(users, VARIANCES, ITEMS).fit()
    again = Problem(
        users, VARIANCES, ITEMS, Fit(np.full(3, start), np.full(ITEMS, -start), fresh.covariance)
    ).fit()
    close(again.weights, fresh.weights)
    close(again.effects, fresh.effects)
    close(again.covariance, fresh.covariance)


def finite(fit):
    return all(np.isfinite(values).all() for values in vars(fit).values())


@pytest.mark.parametrize("scale", [1.0, 30.0, 1000.0])
def test_pairs_that_can_be_told_apart_perfectly_have_finite_weights(scale):
    rng = np.random.default_rng(0)
    x = np.abs(rng.normal(size=(20, 3))) * scale
    users = [without_items(x[:10], x[:10]), without_items(x[10:], x[10:])]
    variances = Variances(np.full(3, 1e3), np.full(3, 1e3))
    joint = Joint(users, variances)
    fit = Problem(users, variances).fit()
    assert finite(fit)
    own = [fit_own(rows, fit.offsets(rows), variances.own).mean for rows in users]
    assert (users[0].shared @ fit.weights + users[0].own @ own[0] > 0).all()
    at = np.concatenate([fit.weights, *own])
    assert np.abs(joint.gradient(at)).max() <= 1e-4 * np.abs(joint.gradient(np.zeros(9))).max()


@pytest.mark.parametrize("scale", [1.0, 1000.0])
def test_contradictory_pairs_leave_every_weight_at_zero(scale):
    rng = np.random.default_rng(1)
    x, z, items = scale * rng.normal(size=(6, 3)), scale * rng.normal(size=(6, 4)), np.tile([0, 1], (6, 1))
    rows = Rows(np.concatenate([x, -x]), np.concatenate([z, -z]), np.concatenate([items, items[:, ::-1]]))
    found = Problem([rows], VARIANCES, 2)
    fit = found.fit()
    assert finite(fit)
    assert np.abs(fit.weights).max() < 1e-9
    assert np.abs(fit.effects).max() < 1e-9
    assert np.abs(fit_own(rows, fit.offsets(rows), OWN).mean).max() < 1e-9
    assert (without(found, fit, [rows]).margins < 0).all(), "without a pair its contradiction is left"


def test_pairs_against_an_overwhelming_shared_margin_are_learned():
    """The shared weights are all but sure of the opposite: the curvature at the start is next to nothing."""
    rows = without_items(np.full((8, 1), -1.0), np.ones((8, 1)))
    for against in (50.0, 800.0):
        own = fit_own(rows, rows.shared @ [against], np.array([1e4]))
        margins = -against + own.mean
        assert own.mean / 1e4 == pytest.approx(8 * expit(-margins), rel=1e-3)


def test_two_equal_columns_are_one_with_twice_the_variance():
    users = problem(9, items=ITEMS)
    twice = [
        Rows(np.repeat(rows.shared, 2, axis=1), np.repeat(rows.own, 2, axis=1), rows.items) for rows in users
    ]
    one = Problem(users, Variances(2 * SHARED, 2 * OWN, 0.8), ITEMS)
    other = Problem(twice, Variances(np.repeat(SHARED, 2), np.repeat(OWN, 2), 0.8), ITEMS)
    fit, doubled = one.fit(), other.fit()
    close(doubled.weights[::2], fit.weights / 2)
    close(doubled.weights[1::2], fit.weights / 2)
    close(doubled.effects, fit.effects)
    close(without(other, doubled, twice).margins, without(one, fit, users).margins, 1e-5)


def test_features_that_never_differ_keep_their_prior():
    users = [Rows(np.pad(rows.shared, ((0, 0), (0, 1))), rows.own, rows.items) for rows in problem(0)]
    fit = Problem(users, Variances(np.append(SHARED, 7.0), OWN)).fit()
    bare = Problem(problem(0), Variances(SHARED, OWN)).fit()
    close(fit.weights, [*bare.weights, 0])
    close(fit.covariance[3], [0, 0, 0, 7])


def test_pairs_that_differ_in_nothing_are_a_fair_coin():
    rows = without_items(np.zeros((3, 2)), np.zeros((3, 2)))
    found = Problem([rows], Variances(np.ones(2), np.ones(2)))
    fit = found.fit()
    close(fit.weights, [0, 0])
    close(without(found, fit, [rows]).margins, [0, 0, 0])
    close(without(found, fit, [rows]).variances, [0, 0, 0])


def test_thousands_of_equal_pairs_are_as_one_that_counts_for_all():
    """n equal pairs have their mode at f with f = k n (1 - sigma(f)), k the prior variance of the margin."""
    users = [without_items(np.ones((20, 1)), np.ones((20, 1)))] * 200
    found = Problem(users, Variances(np.array([1.0]), np.array([0.5])))
    fit = found.fit()
    assert finite(fit)
    own = fit_own(users[0], fit.offsets(users[0]), np.array([0.5])).mean
    margin = fit.weights + own
    close(fit.weights, 4000 * expit(-margin), 1e-5)
    close(own, 0.5 * 20 * expit(-margin), 1e-5)
    assert np.ptp(without(found, fit, users).margins) < 1e-3 * margin
    many = without_items(np.zeros((500, 1)), np.ones((500, 1)))
    own = fit_own(many, np.zeros(500), np.array([2.0])).mean
    close(own, 2 * 500 * expit(-own), 1e-5)


def test_a_user_without_pairs_is_the_prior():
    nothing = without_items(np.zeros((0, 3)), np.zeros((0, 4)))
    own = fit_own(nothing, np.zeros(0), OWN)
    close(own.mean, np.zeros(4))
    assert (own.own_factor.shape, own.shared_factor.shape, own.root.shape) == ((0, 4), (0, 3), (0, 0))


def test_some_users_are_drawn_until_they_have_the_pairs_asked_for():
    users = [without_items(np.full((n, 1), n), np.zeros((n, 1))) for n in (3, 4, 5, 6, 7)]
    drawn = some_users(users, 10, 0)
    sizes = [len(rows) for rows in drawn]
    assert sum(sizes) >= 10 > sum(sizes[:-1])
    assert len(set(sizes)) == len(sizes), "without replacement"
    assert len(some_users(users, 1000, 0)) == 5
    assert [len(rows) for rows in some_users(users, 10, 0)] == sizes
    assert {tuple(map(len, some_users(users, 10, seed))) for seed in range(9)} > {tuple(sizes)}


# Sums by response, as a matrix of -1, 0 and 1 would form them.


@pytest.fixture
def incidence():
    """Pairs of two groups of users, two with three pairs each and three with two, some responses never met."""
    rng = np.random.default_rng(5)
    items = rng.integers(NONE, 7, size=(12, 2))
    items[items == 3] = NONE
    items[4] = [2, 2]
    blocks = [np.arange(6).reshape(2, 3), np.arange(6, 12).reshape(3, 2)]
    dense = np.zeros((12, 8))
    np.add.at(dense, (np.arange(12), items[:, 0]), 1)
    np.add.at(dense, (np.arange(12), items[:, 1]), -1)
    return items, blocks, dense[:, :7], rng


def test_sums_by_response_are_products_with_the_incidence_matrix(incidence):
    items, blocks, dense, rng = incidence
    effects = Effects(items, blocks, 7)
    for values in (rng.normal(size=12), rng.normal(size=(12, 4))):
        close(effects.summed(values), dense.T @ values, 1e-12)
    matrices = [rng.normal(size=(2, 3, 3)), rng.normal(size=(3, 2, 2))]
    whole = np.zeros((12, 12))
    for block, matrix in zip(blocks, matrices, strict=True):
        for rows, one in zip(block, matrix, strict=True):
            whole[np.ix_(rows, rows)] = one
    close(effects.both_sides(matrices), dense.T @ whole @ dense, 1e-12)
    for block, matrix in zip(blocks, matrices, strict=True):
        expected = np.stack([one @ dense[rows] for rows, one in zip(block, matrix, strict=True)])
        close(effects.spread(matrix, items[block]), expected, 1e-12)


def test_no_response_with_an_effect_sums_to_nothing(incidence):
    _, blocks, _, rng = incidence
    nowhere = Effects(np.full((12, 2), NONE), blocks, 7)
    assert not nowhere.summed(rng.normal(size=12)).any()
    assert not nowhere.both_sides([rng.normal(size=(2, 3, 3)), rng.normal(size=(3, 2, 2))]).any()
    none = Effects(np.full((12, 2), NONE), [], 0)
    assert none.summed(rng.normal(size=(12, 4))).shape == (0, 4)
    assert none.spread(rng.normal(size=(2, 3, 3)), np.full((2, 3, 2), NONE)).shape == (2, 3, 0)


# Whether what it says of its errors is true.


def covered(users, w, v, rng, *, asked=60, beta=()):
    """True margins of new pairs, estimates and standard errors, all of shape (users * asked,)."""
    own_variance = np.full(v.shape[1], 0.6)
    fit = Problem(users, Variances(np.full(len(w), 0.6), own_variance, 0.6), len(beta)).fit()
    effects = np.append(beta, 0.0)
    true, found, errors = [], [], []
    for u, rows in enumerate(users):
        own = fit_own(rows, fit.offsets(rows), own_variance)
        new = chosen(rng, np.zeros(len(w)), np.zeros(v.shape[1]), asked, np.zeros(len(beta)))
        true.append(new.shared @ w + effects[new.items] @ [1, -1] + new.own @ v[u])
        found.append(fit.offsets(new) + new.own @ own.mean)
        errors.append(np.sqrt(uncertainty(fit, rows, own, own_variance, new)))
    return np.concatenate(true), np.concatenate(found), np.concatenate(errors)


@pytest.mark.parametrize("items", [0, 20])
def test_standard_errors_cover_the_true_margins_and_moderated_probabilities_are_calibrated(items):
    rng = np.random.default_rng(11)
    sizes = {"users": 60, "pairs": 20, "shared": 4, "own": 4, "items": items}
    users, w, v, beta = planted(rng, **sizes, shared_variance=0.6, own_variance=0.6, item_variance=0.6)
    true, found, errors = covered(users, w, v, rng, beta=beta)
    for deviations, low, high in ((0.674, 0.40, 0.58), (1.645, 0.84, 0.97), (2.576, 0.96, 1.0)):
        assert low <= np.mean(np.abs(true - found) <= deviations * errors) <= high
    moderated = expit(found / np.sqrt(1 + np.pi / 8 * errors**2))
    chances = expit(true)
    for low, high in zip(np.arange(0, 1, 0.2), np.arange(0.2, 1.1, 0.2), strict=True):
        bin_ = (moderated >= low) & (moderated < high)
        assert bin_.sum() > 200
        assert moderated[bin_].mean() == pytest.approx(chances[bin_].mean(), abs=0.05)
    plugged_in = expit(found)
    assert np.mean(chances * np.log(moderated) + (1 - chances) * np.log(1 - moderated)) > np.mean(
        chances * np.log(plugged_in) + (1 - chances) * np.log(1 - plugged_in)
    )


def test_more_pairs_leave_smaller_errors():
    rng = np.random.default_rng(12)
    mean_error, mean_miss = [], []
    for pairs in (2, 10, 50):
        users, w, v, _ = planted(rng, users=30, pairs=pairs, shared_variance=0.6, own_variance=0.6)
        true, found, errors = covered(users, w, v, rng, asked=20)
        mean_error.append(errors.mean())
        mean_miss.append(np.abs(true - found).mean())
    assert mean_error[0] > 1.15 * mean_error[1] > 1.15**2 * mean_error[2]
    assert mean_miss[0] > mean_miss[1] > mean_miss[2]

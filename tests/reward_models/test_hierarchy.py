"""Newton, evidence and Laplace posterior, against scipy, scikit-learn and full matrices."""

from __future__ import annotations

import numpy as np
import pytest
from joint_posterior import Joint, chosen, planted
from scipy.optimize import minimize
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from reward_models._hierarchy import Problem, Rows, fit_own

SHARED, OWN = np.array([0.5, 2.0, 1.0]), np.array([1.0, 0.25, 3.0, 0.5])
NOTHING = 1e-12
"""A variance that leaves a weight at zero."""


def problem(seed=0, **sizes):
    users, _, _ = planted(np.random.default_rng(seed), **sizes)
    return users


def close(found, expected, tolerance=1e-6):
    np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance)


def uncertainty(fit, own, own_variance, x, z):
    """Variance of x.w + z.v_u as the docstring of `Own` has it."""
    seen = own.own_factor @ z
    reach = x - own.shared_factor.T @ seen
    return z @ (own_variance * z) - seen @ seen + reach @ fit.covariance @ reach


@pytest.mark.parametrize("sizes", [{}, {"users": 1}, {"users": 5, "pairs": 1}, {"users": 2, "pairs": 30}])
def test_the_mode_is_the_one_that_scipy_finds_on_all_weights(sizes):
    users = problem(**sizes)
    joint = Joint(users, SHARED, OWN)
    mode = joint.mode()
    fit = Problem(users, SHARED, OWN).fit()
    close(fit.weights, mode[:3])
    for u, rows in enumerate(users):
        close(fit_own(rows, fit.weights, OWN).mean, mode[joint.place(u)])


def test_users_with_different_numbers_of_pairs_are_laid_end_to_end():
    rng = np.random.default_rng(4)
    users = [chosen(rng, np.ones(3), rng.normal(size=4), n) for n in (1, 7, 2)]
    joint = Joint(users, SHARED, OWN)
    mode = joint.mode()
    fit = Problem(users, SHARED, OWN).fit()
    close(fit.weights, mode[:3])
    means, variances = joint.left_out(mode)
    assert fit.left_out.shape == (10,)
    close(fit.left_out, means)
    close(fit.left_out_variance, variances)


def test_factors_multiply_the_variances():
    users = problem(1)
    scaled = Problem(users, SHARED, OWN).fit(0.3, 5.0)
    direct = Problem(users, 0.3 * SHARED, 5.0 * OWN).fit()
    for name in ("weights", "covariance", "log_evidence", "left_out", "left_out_variance"):
        close(getattr(scaled, name), getattr(direct, name))


def test_without_deviations_it_is_logistic_regression():
    """scikit-learn, shown every pair both ways round: each pair counts twice, hence C = variance / 2."""
    users = problem(2, users=4, pairs=25)
    rows = np.concatenate([user.shared for user in users])
    both, labels = np.concatenate([rows, -rows]), np.repeat([1, 0], len(rows))
    for variance in (0.05, 2.0):
        oracle = LogisticRegression(fit_intercept=False, C=variance / 2, tol=1e-12, max_iter=1000)
        oracle.fit(both, labels)
        fit = Problem(users, np.full(3, variance), np.full(4, NOTHING)).fit()
        close(fit.weights, oracle.coef_[0], 1e-5)


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
    close(fit_own(rows, np.array(weights, dtype=float), OWN).mean, found.x)


def test_the_covariance_is_the_block_of_the_inverse_of_the_whole_hessian():
    for seed in range(3):
        users = problem(seed)
        joint = Joint(users, SHARED, OWN)
        fit = Problem(users, SHARED, OWN).fit()
        close(fit.covariance, np.linalg.inv(joint.hessian(joint.mode()))[:3, :3])


def test_the_uncertainty_of_a_margin_is_that_of_the_whole_hessian():
    users = problem(1, users=3, pairs=5)
    joint = Joint(users, SHARED, OWN)
    inverse = np.linalg.inv(joint.hessian(joint.mode()))
    fit = Problem(users, SHARED, OWN).fit()
    rng = np.random.default_rng(0)
    for u, rows in enumerate(users):
        own = fit_own(rows, fit.weights, OWN)
        assert own.mean.shape == (4,)
        assert own.own_factor.shape == (5, 4)
        assert own.shared_factor.shape == (5, 3)
        for _ in range(5):
            x, z = rng.normal(size=3), rng.normal(size=4)
            row = joint.direction(x, z, u)
            close(uncertainty(fit, own, OWN, x, z), row @ inverse @ row)


def test_the_evidence_is_laplace_on_the_whole_hessian():
    for seed, factors in ((0, (1, 1)), (1, (0.1, 3)), (2, (5, 0.01))):
        users = problem(seed)
        joint = Joint(users, factors[0] * SHARED, factors[1] * OWN)
        close(Problem(users, SHARED, OWN).fit(*factors).log_evidence, joint.log_evidence(joint.mode()))


@pytest.mark.parametrize(("variance", "tolerance"), [(0.02, 1e-4), (0.3, 0.02), (1.0, 0.1)])
def test_the_evidence_is_near_the_integral(variance, tolerance):
    """One shared weight and one user's deviation, integrated on a grid that reaches eight prior deviations."""
    users = problem(5, users=1, pairs=4, shared=1, own=1)
    grid = np.linspace(-8, 8, 801) * np.sqrt(variance)
    w, v = grid[:, None], grid[None, :]
    log_joint = -(w**2 + v**2) / 2 / variance - np.log(2 * np.pi * variance)
    for x, z in zip(users[0].shared[:, 0], users[0].own[:, 0], strict=True):
        log_joint = log_joint - np.logaddexp(0, -(x * w + z * v))
    integral = np.log(np.exp(log_joint).sum() * (grid[1] - grid[0]) ** 2)
    fit = Problem(users, np.array([variance]), np.array([variance])).fit()
    assert fit.log_evidence == pytest.approx(integral, abs=tolerance)
    assert integral < 4 * np.log(0.5) * 0.2, "the pairs have something to say"


def test_the_evidence_is_highest_near_the_variances_the_weights_were_drawn_with():
    users = problem(6, users=150, pairs=20, own_variance=0.5)
    found = Problem(users, np.ones(3), np.full(4, 0.5))
    at = {factor: found.fit(own_factor=factor).log_evidence for factor in (0.1, 0.3, 1.0, 3.0, 10.0)}
    assert max(at, key=at.get) == 1.0


def test_a_left_out_margin_is_the_regression_without_its_pair():
    for seed in range(3):
        users = problem(seed, pairs=8)
        joint = Joint(users, SHARED, OWN)
        means, variances = joint.left_out(joint.mode())
        fit = Problem(users, SHARED, OWN).fit()
        close(fit.left_out, means)
        close(fit.left_out_variance, variances)


def test_a_left_out_margin_is_near_that_of_refitting_without_the_pair():
    users = problem(7, users=4, pairs=10)
    fit = Problem(users, SHARED, OWN).fit()
    refitted = []
    for u, rows in enumerate(users):
        for i in range(len(rows.shared)):
            kept = np.arange(len(rows.shared)) != i
            fewer = Rows(rows.shared[kept], rows.own[kept])
            again = Problem([*users[:u], fewer, *users[u + 1 :]], SHARED, OWN).fit()
            own = fit_own(fewer, again.weights, OWN).mean
            refitted.append(rows.shared[i] @ again.weights + rows.own[i] @ own)
    seen = [rows.shared @ fit.weights + rows.own @ fit_own(rows, fit.weights, OWN).mean for rows in users]
    assert np.corrcoef(fit.left_out, refitted)[0, 1] > 0.99
    off = np.abs(fit.left_out - refitted).mean()
    assert off < 0.2 * np.abs(np.concatenate(seen) - refitted).mean(), (
        "far nearer than the margins that saw it"
    )


@pytest.mark.parametrize("before", [(1e4, 1e4), (1e-4, 1e-4), (1e4, 1e-4), (1e-4, 1e4)])
def test_newton_arrives_from_wherever_the_last_fit_left_off(before):
    users = problem(8, users=4, pairs=12)
    found = Problem(users, SHARED, OWN)
    found.fit(*before)
    again, fresh = found.fit(), Problem(users, SHARED, OWN).fit()
    close(again.weights, fresh.weights)
    close(again.log_evidence, fresh.log_evidence)
    close(again.left_out, fresh.left_out, 1e-5)


def finite(fit):
    return all(np.isfinite(values).all() for values in vars(fit).values())


@pytest.mark.parametrize("scale", [1.0, 30.0, 1000.0])
def test_pairs_that_can_be_told_apart_perfectly_have_finite_weights(scale):
    rng = np.random.default_rng(0)
    x = np.abs(rng.normal(size=(20, 3))) * scale
    users = [Rows(x[:10], x[:10]), Rows(x[10:], x[10:])]
    joint = Joint(users, np.full(3, 1e3), np.full(3, 1e3))
    fit = Problem(users, np.full(3, 1e3), np.full(3, 1e3)).fit()
    assert finite(fit)
    own = [fit_own(rows, fit.weights, np.full(3, 1e3)).mean for rows in users]
    assert (users[0].shared @ fit.weights + users[0].own @ own[0] > 0).all()
    at = np.concatenate([fit.weights, *own])
    assert np.abs(joint.gradient(at)).max() <= 1e-4 * np.abs(joint.gradient(np.zeros(9))).max()


@pytest.mark.parametrize("scale", [1.0, 1000.0])
def test_contradictory_pairs_leave_every_weight_at_zero(scale):
    rng = np.random.default_rng(1)
    x, z = scale * rng.normal(size=(6, 3)), scale * rng.normal(size=(6, 4))
    rows = Rows(np.concatenate([x, -x]), np.concatenate([z, -z]))
    fit = Problem([rows], SHARED, OWN).fit()
    assert finite(fit)
    assert np.abs(fit.weights).max() < 1e-9
    assert np.abs(fit_own(rows, fit.weights, OWN).mean).max() < 1e-9
    assert (fit.left_out < 0).all(), "without a pair its contradiction is left"


def test_pairs_against_an_overwhelming_shared_margin_are_learned():
    """The shared weights are all but sure of the opposite: the curvature at the start is next to nothing."""
    rows = Rows(np.full((8, 1), -1.0), np.ones((8, 1)))
    for against in (50.0, 800.0):
        own = fit_own(rows, np.array([against]), np.array([1e4]))
        margins = -against + own.mean
        assert own.mean / 1e4 == pytest.approx(8 * expit(-margins), rel=1e-3)


def test_two_equal_columns_are_one_with_twice_the_variance():
    users = problem(9)
    twice = [Rows(np.repeat(rows.shared, 2, axis=1), np.repeat(rows.own, 2, axis=1)) for rows in users]
    fit = Problem(users, 2 * SHARED, 2 * OWN).fit()
    doubled = Problem(twice, np.repeat(SHARED, 2), np.repeat(OWN, 2)).fit()
    close(doubled.weights[::2], fit.weights / 2)
    close(doubled.weights[1::2], fit.weights / 2)
    close(doubled.log_evidence, fit.log_evidence)
    close(doubled.left_out, fit.left_out)


def test_features_that_never_differ_keep_their_prior():
    users = [Rows(np.pad(rows.shared, ((0, 0), (0, 1))), rows.own) for rows in problem(0)]
    fit = Problem(users, np.append(SHARED, 7.0), OWN).fit()
    bare = Problem(problem(0), SHARED, OWN).fit()
    close(fit.weights, [*bare.weights, 0])
    close(fit.covariance[3], [0, 0, 0, 7])
    close(fit.log_evidence, bare.log_evidence)


def test_pairs_that_differ_in_nothing_are_a_fair_coin():
    fit = Problem([Rows(np.zeros((3, 2)), np.zeros((3, 2)))], np.ones(2), np.ones(2)).fit()
    close(fit.weights, [0, 0])
    close(fit.log_evidence, 3 * np.log(0.5))
    close(fit.left_out, [0, 0, 0])
    close(fit.left_out_variance, [0, 0, 0])


def test_thousands_of_equal_pairs_are_as_one_that_counts_for_all():
    """n equal pairs have their mode at f with f = k n (1 - sigma(f)), k the prior variance of the margin."""
    users = [Rows(np.ones((20, 1)), np.ones((20, 1)))] * 200
    fit = Problem(users, np.array([1.0]), np.array([0.5])).fit()
    assert finite(fit)
    own = fit_own(users[0], fit.weights, np.array([0.5])).mean
    margin = fit.weights + own
    close(fit.weights, 4000 * expit(-margin), 1e-5)
    close(own, 0.5 * 20 * expit(-margin), 1e-5)
    assert np.ptp(fit.left_out) < 1e-6
    many = Rows(np.zeros((500, 1)), np.ones((500, 1)))
    own = fit_own(many, np.zeros(1), np.array([2.0])).mean
    close(own, 2 * 500 * expit(-own), 1e-5)


def covered(users, w, v, rng, *, asked=60):
    """True margins of new pairs, estimates and standard errors, all of shape (users * asked,)."""
    variances = np.full(len(w), 0.6), np.full(v.shape[1], 0.6)
    fit = Problem(users, *variances).fit()
    true, found, errors = [], [], []
    for u, rows in enumerate(users):
        own = fit_own(rows, fit.weights, variances[1])
        for _ in range(asked):
            x, z = rng.normal(size=len(w)), rng.normal(size=v.shape[1])
            true.append(x @ w + z @ v[u])
            found.append(x @ fit.weights + z @ own.mean)
            errors.append(np.sqrt(uncertainty(fit, own, variances[1], x, z)))
    return np.array(true), np.array(found), np.array(errors)


def test_standard_errors_cover_the_true_margins_and_moderated_probabilities_are_calibrated():
    rng = np.random.default_rng(11)
    users, w, v = planted(rng, users=60, pairs=20, shared=4, own=4, shared_variance=0.6, own_variance=0.6)
    true, found, errors = covered(users, w, v, rng)
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
        users, w, v = planted(rng, users=30, pairs=pairs, shared_variance=0.6, own_variance=0.6)
        true, found, errors = covered(users, w, v, rng, asked=20)
        mean_error.append(errors.mean())
        mean_miss.append(np.abs(true - found).mean())
    assert mean_error[0] > 1.15 * mean_error[1] > 1.15**2 * mean_error[2]
    assert mean_miss[0] > mean_miss[1] > mean_miss[2]

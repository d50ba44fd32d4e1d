"""The fit to everything that people said, against scipy and the inverse Hessian on all weights at once."""

from __future__ import annotations

import numpy as np
import pytest
from joint_posterior import Joint
from scipy.optimize import approx_fprime, minimize

from reward_models._effects import NONE
from reward_models._hierarchy import Fit, Heard, Problem, Rows, Variances, fit_own
from reward_models._likelihood import beside_ties, between, ranking

SHARED, OWN, THRESHOLDS, ITEMS = 3, 4, 2, 5
VARIANCES = Variances(np.array([0.5, 2.0, 1.0]), np.array([1.0, 0.25, 3.0, 0.5]), items=0.8)


def speaker(rng):
    """One user: two choices, two beside a tie, a ranking of three, a level and two at the ends."""
    n = 12
    shared, own = rng.normal(size=(n, SHARED)), rng.normal(size=(n, OWN))
    items = rng.integers(NONE, ITEMS, size=(n, 2))
    thresholds = np.zeros((n, THRESHOLDS))
    constant = np.zeros(n)
    shared[5], own[5], items[5] = 0, 0, NONE  # log nu stands alone, in no response
    thresholds[5, 0], constant[5] = 0.9, -0.7
    shared[9], own[9], items[9] = shared[8], own[8], items[8]  # one margin between two thresholds
    constant[[8, 9]], thresholds[[8, 9], 1] = (0.6, -0.8), (-0.3, -0.3)
    constant[[10, 11]] = 1.1, -0.4
    terms = [
        (beside_ties(2, 1), np.array([[2, 3, 4, 5]])),
        (ranking((1, 1, 1)), np.array([[6, 7]])),
        (between, np.array([[8, 9]])),
    ]
    return Rows(shared, own, items, Heard(constant, thresholds, terms))


class Whole(Joint):
    """All weights, each user's deviations with the user's thresholds behind them, under every term."""

    def __init__(self, users):
        self.said = users
        variances = Variances(
            VARIANCES.shared, np.append(VARIANCES.own, np.ones(THRESHOLDS)), VARIANCES.items
        )
        super().__init__([self.with_thresholds(rows) for rows in users], variances, ITEMS)

    @staticmethod
    def with_thresholds(rows):
        more = np.zeros((len(rows), THRESHOLDS)) if rows.heard is None else rows.heard.thresholds
        return Rows(rows.shared, np.concatenate([rows.own, more], axis=1), rows.items)

    def objective(self, weights):
        found, begin, margins = -(self.precision * weights**2).sum() / 2, 0, self.design @ weights
        for rows in self.said:
            own = margins[begin : begin + len(rows)] + rows.constant
            begin += len(rows)
            several = {i for _, numbers in rows.terms for i in numbers.ravel().tolist()}
            found += sum(-np.logaddexp(0, -own[i]) for i in range(len(rows)) if i not in several)
            found += sum(term(own[numbers]).value.sum() for term, numbers in rows.terms)
        return found

    def gradient(self, weights):
        slopes, begin, margins = np.zeros(len(self.design)), 0, self.design @ weights
        for rows in self.said:
            own = margins[begin : begin + len(rows)] + rows.constant
            slope = 1 / (1 + np.exp(own))
            for term, numbers in rows.terms:
                slope[numbers] = term(own[numbers]).slope
            slopes[begin : begin + len(rows)] = slope
            begin += len(rows)
        return self.design.T @ slopes - self.precision * weights

    def hessian(self, weights):
        step = 1e-5
        columns = [
            (self.gradient(weights + step * e) - self.gradient(weights - step * e)) / (2 * step)
            for e in np.eye(len(weights))
        ]
        return -np.stack(columns)


@pytest.fixture(scope="module")
def whole():
    """Two users who said everything, and one who only chose: everything at its mode by scipy."""
    rng = np.random.default_rng(0)
    users = [speaker(rng), speaker(rng), speaker(rng)[:7]]
    joint = Whole(users)
    start = np.zeros(len(joint.precision))
    np.testing.assert_allclose(joint.gradient(start), approx_fprime(start, joint.objective, 1e-6), atol=1e-4)
    found = minimize(
        lambda w: -joint.objective(w), start, jac=lambda w: -joint.gradient(w), options={"gtol": 1e-9}
    )
    at = found.x + np.linalg.solve(joint.hessian(found.x), joint.gradient(found.x))
    assert np.abs(joint.gradient(at)).max() < 1e-7
    return users, joint, at


def close(found, expected, tolerance=1e-5):
    np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance)


def test_the_mode_is_the_one_that_scipy_finds_on_all_weights(whole):
    users, joint, mode = whole
    fit = Problem(users, VARIANCES, ITEMS).fit()
    close(fit.weights, mode[:SHARED])
    close(fit.effects, mode[SHARED : SHARED + ITEMS])
    for u, rows in enumerate(users):
        own = fit_own(rows, fit.offsets(rows), VARIANCES.own)
        deviations, thresholds = np.split(mode[joint.place(u)], [OWN])
        close(own.mean, deviations)
        close(own.thresholds, thresholds if rows.heard else [])


def test_the_covariance_and_the_errors_of_margins_are_those_of_the_inverse_hessian(whole):
    users, joint, mode = whole
    covariance = np.linalg.inv(joint.hessian(mode))
    fit = Problem(users, VARIANCES, ITEMS).fit()
    close(fit.covariance, covariance[joint.common, joint.common])
    asked = speaker(np.random.default_rng(9))[:3]
    for u, rows in enumerate(users):
        own = fit_own(rows, fit.offsets(rows), VARIANCES.own)
        directions = joint.directions(Whole.with_thresholds(asked), u)
        for row, x, z, items in zip(directions, asked.shared, asked.own, asked.items, strict=True):
            seen = own.own_factor @ z
            effects = np.zeros(ITEMS + 1)
            np.add.at(effects, items, [1, -1])
            for pull, sides in zip(own.root.T @ seen, rows.items, strict=True):
                np.add.at(effects, sides, [-pull, pull])
            reach = np.concatenate([x - own.shared_factor.T @ seen, effects[:-1]])
            found = z @ (VARIANCES.own * z) - seen @ seen + reach @ fit.covariance @ reach
            close(found, row @ covariance @ row)


def test_it_arrives_from_wherever_it_begins(whole):
    users, _, mode = whole
    far = Fit(np.full(SHARED, 20.0), np.full(ITEMS, -20.0), np.eye(SHARED + ITEMS))
    close(Problem(users, VARIANCES, ITEMS, far).fit().weights, mode[:SHARED])

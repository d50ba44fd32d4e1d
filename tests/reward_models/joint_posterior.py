"""The hierarchical model the long way round: one dense logistic regression on all weights at once.

The weights are laid end to end, (w, beta, v_1, ..., v_U), and every pair is one row of a design matrix with 1 and -1
in the columns of its two responses and zeros in those of the other users. scipy finds the mode; everything else is
the textbook formula on full matrices.
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit

from reward_models._effects import NONE
from reward_models._hierarchy import Rows


class Joint:
    def __init__(self, users, variances, effects=0):
        self.users, self.shared, self.own = users, len(variances.shared), len(variances.own)
        self.effects = effects
        tau = np.full(effects, variances.items)
        self.precision = 1 / np.concatenate([variances.shared, tau, *[variances.own] * len(users)])
        self.design = np.concatenate([self.directions(rows, u) for u, rows in enumerate(users)])

    def directions(self, rows, user):
        """Rows of the design: a margin is the product of one with all weights."""
        found = np.zeros((len(rows), self.shared + self.effects + len(self.users) * self.own))
        found[:, : self.shared] = rows.shared
        for row, (first, second) in zip(found, rows.items, strict=True):
            for number, sign in ((first, 1), (second, -1)):
                if number != NONE:
                    row[self.shared + number] += sign
        if user is not None:
            found[:, self.place(user)] = rows.own
        return found

    def place(self, user):
        """Where the deviations of a user stand."""
        begin = self.shared + self.effects + user * self.own
        return slice(begin, begin + self.own)

    @property
    def common(self):
        """Where the shared weights and the effects stand."""
        return slice(0, self.shared + self.effects)

    def objective(self, weights):
        """Log posterior without the constant of the prior."""
        margins = self.design @ weights
        return -np.logaddexp(0, -margins).sum() - (self.precision * weights**2).sum() / 2

    def gradient(self, weights):
        return self.design.T @ expit(-(self.design @ weights)) - self.precision * weights

    def hessian(self, weights):
        """Of the negative log posterior."""
        p = expit(self.design @ weights)
        return (self.design.T * (p * (1 - p))) @ self.design + np.diag(self.precision)

    def covariance(self, weights):
        return np.linalg.inv(self.hessian(weights))

    def mode(self):
        found = minimize(
            lambda w: -self.objective(w),
            np.zeros(len(self.precision)),
            jac=lambda w: -self.gradient(w),
            hess=self.hessian,
            method="trust-exact",
            options={"gtol": 1e-11, "maxiter": 1000},
        )
        at = found.x + np.linalg.solve(self.hessian(found.x), self.gradient(found.x))  # to the last digits
        assert np.abs(self.gradient(at)).max() < 1e-8
        return at

    def left_out(self, weights, hidden=None):
        """Means and variances of margins without some pairs, for the Gaussian likelihood N(f | t, 1 / W) with the
        curvature W and the working response t of the mode: these pairs are taken out of the regression by hand.

        Args:
            weights: The mode.
            hidden: For each margin the pairs not to see, its own one first; by default every pair by itself.
        """
        margins = self.design @ weights
        p = expit(margins)
        curvature = p * (1 - p)
        target = margins + (1 - p) / curvature
        means, variances = [], []
        for pairs in np.arange(len(margins))[:, None] if hidden is None else hidden:
            x, w = np.delete(self.design, pairs, axis=0), np.delete(curvature, pairs)
            covariance = np.linalg.inv((x.T * w) @ x + np.diag(self.precision))
            row = self.design[pairs[0]]
            means.append(row @ covariance @ (x.T @ (w * np.delete(target, pairs))))
            variances.append(row @ covariance @ row)
        return np.array(means), np.array(variances)


def planted(
    rng,
    *,
    users=3,
    pairs=6,
    shared=3,
    own=4,
    items=0,
    shared_variance=1.0,
    own_variance=1.0,
    item_variance=1.0,
):
    """Weights drawn from the prior and the pairs they choose: rows by user, w, v of shape (users, own), and beta."""
    w = rng.normal(size=shared) * np.sqrt(shared_variance)
    v = rng.normal(size=(users, own)) * np.sqrt(own_variance)
    beta = rng.normal(size=items) * np.sqrt(item_variance)
    rows = [chosen(rng, w, v[u], pairs, beta) for u in range(users)]
    return rows, w, v, beta


def chosen(rng, w, own_weights, pairs, effects=()):
    """Pairs with features drawn at random, turned round so that the difference is chosen minus rejected.

    Some responses have no effect, some pairs show one response twice.
    """
    x, z = rng.normal(size=(pairs, len(w))), rng.normal(size=(pairs, len(own_weights)))
    items = rng.integers(NONE, len(effects), size=(pairs, 2))
    effect = np.append(effects, 0.0)
    margins = x @ w + effect[items[:, 0]] - effect[items[:, 1]] + z @ own_weights
    first = rng.random(pairs) < expit(margins)
    signs = np.where(first, 1.0, -1.0)[:, None]
    return Rows(signs * x, signs * z, np.where(first[:, None], items, items[:, ::-1]))


def without_items(shared, own):
    """Rows of responses that have no effect of their own."""
    return Rows(shared, own, np.full((len(shared), 2), NONE))

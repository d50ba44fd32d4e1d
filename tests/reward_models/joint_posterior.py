"""The hierarchical model the long way round: one dense logistic regression on all weights at once.

The weights are laid end to end, (w, v_1, ..., v_U), and every pair is one row of a design matrix with zeros in
the columns of the other users. scipy finds the mode; everything else is the textbook formula on full matrices.
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit

from reward_models._hierarchy import Rows


class Joint:
    def __init__(self, users, shared_variance, own_variance):
        self.users, self.shared = users, len(shared_variance)
        self.own = len(own_variance)
        self.precision = 1 / np.concatenate([shared_variance, *[own_variance] * len(users)])
        self.design = np.concatenate([
            np.stack([self.direction(x, z, u) for x, z in zip(rows.shared, rows.own, strict=True)])
            for u, rows in enumerate(users)
        ])  # fmt: skip

    def direction(self, x, z, user):
        """The row of a pair: a margin is its product with all weights."""
        row = np.zeros(self.shared + len(self.users) * self.own)
        row[: self.shared] = x
        if user is not None:
            row[self.place(user)] = z
        return row

    def place(self, user):
        """Where the deviations of a user stand."""
        begin = self.shared + user * self.own
        return slice(begin, begin + self.own)

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

    def mode(self):
        found = minimize(
            lambda w: -self.objective(w),
            np.zeros(len(self.precision)),
            jac=lambda w: -self.gradient(w),
            hess=self.hessian,
            method="trust-exact",
            options={"gtol": 1e-11, "maxiter": 1000},
        )
        assert np.abs(self.gradient(found.x)).max() < 1e-8
        return found.x

    def log_evidence(self, weights):
        """Laplace: log likelihood + log prior + d/2 log 2 pi - log |H| / 2, at the mode."""
        log_prior = np.log(self.precision).sum() / 2
        return self.objective(weights) + log_prior - np.linalg.slogdet(self.hessian(weights))[1] / 2

    def left_out(self, weights):
        """Means and variances of every margin without its pair, for the Gaussian likelihood N(f | t, 1 / W) with
        the curvature W and the working response t of the mode: each pair is taken out of the regression by hand.
        """
        margins = self.design @ weights
        p = expit(margins)
        curvature = p * (1 - p)
        target = margins + (1 - p) / curvature
        means, variances = [], []
        for i, row in enumerate(self.design):
            rest = np.arange(len(margins)) != i
            x, w = self.design[rest], curvature[rest]
            covariance = np.linalg.inv((x.T * w) @ x + np.diag(self.precision))
            means.append(row @ covariance @ (x.T @ (w * target[rest])))
            variances.append(row @ covariance @ row)
        return np.array(means), np.array(variances)


def planted(rng, *, users=3, pairs=6, shared=3, own=4, shared_variance=1.0, own_variance=1.0):
    """Weights drawn from the prior and the pairs they choose: rows by user, w, and v of shape (users, own)."""
    w = rng.normal(size=shared) * np.sqrt(shared_variance)
    v = rng.normal(size=(users, own)) * np.sqrt(own_variance)
    rows = [chosen(rng, w, v[u], pairs) for u in range(users)]
    return rows, w, v


def chosen(rng, w, own_weights, pairs):
    """Pairs with features drawn at random, turned round so that the difference is chosen minus rejected."""
    x, z = rng.normal(size=(pairs, len(w))), rng.normal(size=(pairs, len(own_weights)))
    first = rng.random(pairs) < expit(x @ w + z @ own_weights)
    signs = np.where(first, 1.0, -1.0)[:, None]
    return Rows(shared=signs * x, own=signs * z)

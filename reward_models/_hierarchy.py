"""Hierarchical Bayesian logistic regression on differences of features: mode, evidence, Laplace posterior.

One row is one pair, already as a difference (chosen minus rejected). Shared weights w ~ N(0, diag P) act on
its shared features x, the deviations of user u, v_u ~ N(0, diag V + C C^T), on its user features z, where the
columns of C are directions in which users differ more than in others:

    P(chosen) = sigma(x.w + z.v_u)                                                                      (1)

The shared part is small and solved in the space of weights, the part of each user in the space of their
pairs (a user has fewer pairs than features), so that one Newton step costs O(n D^2 + sum_u n_u^2 D).

References:
    MacKay, "The Evidence Framework Applied to Classification Networks", 1992 (moderated output).
    Rasmussen and Williams, "Gaussian Processes for Machine Learning", 2006, Algorithms 3.1 and 3.2.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from reward_models._base import Floats, sigmoid

MAX_STEPS = 50
ROUGH = 1e-3
"""Tolerance that is enough to compare prior variances."""
_STEPS = tuple(0.5**k for k in range(20))
_MIN_CURVATURE = 1e-10


@dataclass(frozen=True)
class Rows:
    """Pairs of one user as differences: `shared` of shape (n, D) and `own` of shape (n, G)."""

    shared: Floats
    own: Floats


@dataclass(frozen=True)
class Fit:
    """Mode and Laplace posterior of the shared weights, the users' deviations integrated out."""

    weights: Floats
    """Shape (D,)."""
    covariance: Floats
    """Shape (D, D)."""
    log_evidence: float
    """Laplace approximation of the log marginal likelihood (GPML, equation 3.32)."""
    left_out: Floats
    """Margin of each pair had it not been seen, shape (n,), users laid end to end (GPML, section 5.4.2)."""
    left_out_variance: Floats
    """Variances of `left_out`, shape (n,)."""


@dataclass(frozen=True)
class Own:
    """Posterior of one user's deviations given the shared weights.

    With e a vector of user features, v_u.e has mean `mean`.e and, given w, its prior variance less
    |`own_factor` e|^2;
    its mean moves with the shared weights by -`shared_factor`^T `own_factor` e.
    """

    mean: Floats
    """Shape (G,)."""
    own_factor: Floats
    """Shape (n, G)."""
    shared_factor: Floats
    """Shape (n, D)."""


@dataclass(frozen=True)
class _Block:
    """What one Newton step knows of one user's rows at their current margins."""

    curvature: Floats
    """W = p (1 - p), shape (n,)."""
    working: Floats
    """Working response f + (1 - p) / W."""
    root: Floats
    """L^-1 S with S = sqrt W and L L^T = I + S K S: its Gram matrix is (K + W^-1)^-1."""
    log_determinant: float
    """log |I + S K S|."""

    @classmethod
    def at(cls, margins: Floats, kernel: Floats) -> _Block:
        p = sigmoid(margins)
        curvature = np.maximum(p * (1 - p), _MIN_CURVATURE)
        s = np.sqrt(curvature)
        factor = np.linalg.cholesky(np.eye(len(s)) + s[:, None] * kernel * s)
        return cls(
            curvature=curvature,
            working=margins + (1 - p) / curvature,
            root=np.linalg.solve(factor, np.diag(s)),
            log_determinant=2 * float(np.log(np.diag(factor)).sum()),
        )

    def apply(self, values: Floats) -> Floats:
        """(K + W^-1)^-1 times `values`."""
        return self.root.T @ (self.root @ values)


class Problem:
    """The pairs of all users, to be fitted under one choice of prior variances after another.

    Args:
        users: Rows of each user, at least one user with at least one row.
        shared_variance: Prior variances P of the shared weights, shape (D,), positive.
        own_variance: Prior variances V of the deviations, shape (G,), positive.
        common: C, shape (G, K); None for K = 0.
    """

    def __init__(
        self,
        users: Sequence[Rows],
        shared_variance: Floats,
        own_variance: Floats,
        common: Floats | None = None,
    ) -> None:
        self._shared = [rows.shared for rows in users]
        self._kernels = [_times_prior(rows.own, own_variance, common) @ rows.own.T for rows in users]
        self._precision = 1 / shared_variance
        self._weights = np.zeros(len(shared_variance))
        self._duals = [np.zeros(len(x)) for x in self._shared]

    def fit(self, shared_factor: float = 1.0, own_factor: float = 1.0, tolerance: float = 1e-9) -> Fit:
        """Find the mode with P and V + C C^T multiplied by these factors, starting from the mode found last.

        Newton steps are halved until the log posterior rises; the last one raises it by less than
        `tolerance` of its value.
        """
        precision = self._precision / shared_factor
        kernels = [own_factor * k for k in self._kernels]
        objective = self._objective(self._weights, self._duals, precision, kernels)
        for _ in range(MAX_STEPS):
            blocks, hessian = self._expand(precision, kernels)
            target, target_duals = self._solve(blocks, hessian)
            for step in _STEPS:
                weights = self._weights + step * (target - self._weights)
                duals = [a + step * (b - a) for a, b in zip(self._duals, target_duals, strict=True)]
                risen = self._objective(weights, duals, precision, kernels)
                if risen >= objective:
                    break
            else:
                break
            gain, objective = risen - objective, risen
            self._weights, self._duals = weights, duals
            if gain <= tolerance * (1 + abs(objective)):
                break
        return self._posterior(objective, precision, kernels)

    def _posterior(self, objective: float, precision: Floats, kernels: Sequence[Floats]) -> Fit:
        blocks, hessian = self._expand(precision, kernels)
        covariance: Floats = np.linalg.inv(hessian).astype(np.float64)
        log_determinant = float(np.linalg.slogdet(hessian)[1] - np.log(precision).sum())
        log_determinant += sum(block.log_determinant for block in blocks)
        means, variances = [], []
        for block, x in zip(blocks, self._shared, strict=True):
            reach = block.apply(x)
            inverse = (block.root**2).sum(axis=0) - ((reach @ covariance) * reach).sum(axis=1)
            means.append(block.working - block.apply(block.working - x @ self._weights) / inverse)
            variances.append(np.maximum(1 / inverse - 1 / block.curvature, 0))
        return Fit(
            weights=self._weights,
            covariance=covariance,
            log_evidence=objective - log_determinant / 2,
            left_out=np.concatenate(means),
            left_out_variance=np.concatenate(variances),
        )

    def _margins(self, weights: Floats, duals: Sequence[Floats], kernels: Sequence[Floats]) -> list[Floats]:
        return [x @ weights + k @ a for x, a, k in zip(self._shared, duals, kernels, strict=True)]

    def _objective(
        self, weights: Floats, duals: Sequence[Floats], precision: Floats, kernels: Sequence[Floats]
    ) -> float:
        """Log posterior up to a constant."""
        fit = -sum(np.logaddexp(0, -f).sum() for f in self._margins(weights, duals, kernels))
        own = sum(a @ k @ a for a, k in zip(duals, kernels, strict=True))
        return float(fit - (precision * weights**2).sum() / 2 - own / 2)

    def _expand(self, precision: Floats, kernels: Sequence[Floats]) -> tuple[list[_Block], Floats]:
        """Second-order expansion at the present mode: every user's block, and the Hessian of the weights."""
        margins = self._margins(self._weights, self._duals, kernels)
        blocks = [_Block.at(f, k) for f, k in zip(margins, kernels, strict=True)]
        seen = np.concatenate([block.root @ x for block, x in zip(blocks, self._shared, strict=True)])
        return blocks, seen.T @ seen + np.diag(precision)

    def _solve(self, blocks: Sequence[_Block], hessian: Floats) -> tuple[Floats, list[Floats]]:
        pairs = list(zip(blocks, self._shared, strict=True))
        pull = np.sum([x.T @ block.apply(block.working) for block, x in pairs], axis=0)
        weights = np.linalg.solve(hessian, pull)
        return weights, [block.apply(block.working - x @ weights) for block, x in pairs]


def fit_own(rows: Rows, weights: Floats, own_variance: Floats, common: Floats | None = None) -> Own:
    """Deviations of one user at their mode, given the shared weights; by Newton in the space of their pairs.

    Args:
        rows: The user's n >= 1 pairs.
        weights: Shared weights, shape (D,).
        own_variance: Prior variances V, shape (G,).
        common: C, shape (G, K); None for K = 0.
    """
    prior = _times_prior(rows.own, own_variance, common)
    kernel = prior @ rows.own.T
    offset = rows.shared @ weights
    dual = np.zeros(len(offset))
    objective = float(-np.logaddexp(0, -offset).sum())
    for _ in range(MAX_STEPS):
        block = _Block.at(offset + kernel @ dual, kernel)
        target = block.apply(block.working - offset)
        for step in _STEPS:
            trial = dual + step * (target - dual)
            pulled = kernel @ trial
            risen = float(-np.logaddexp(0, -offset - pulled).sum() - trial @ pulled / 2)
            if risen >= objective:
                break
        else:
            break
        gain, objective, dual = risen - objective, risen, trial
        if gain <= 1e-9 * (1 + abs(objective)):
            break
    block = _Block.at(offset + kernel @ dual, kernel)
    return Own(
        mean=prior.T @ dual,
        own_factor=block.root @ prior,
        shared_factor=block.root @ rows.shared,
    )


def some_users(users: Sequence[Rows], pairs: int, seed: int) -> list[Rows]:
    """Users drawn without replacement until they have that many pairs, or all."""
    order = np.random.default_rng(seed).permutation(len(users))
    before = np.cumsum([0, *(len(users[i].shared) for i in order)])[:-1]
    return [users[i] for i in order[before < pairs]]


def _times_prior(rows: Floats, variance: Floats, common: Floats | None) -> Floats:
    """Rows times the prior covariance of the deviations, shape (n, G)."""
    found = rows * variance
    return found if common is None else found + (rows @ common) @ common.T

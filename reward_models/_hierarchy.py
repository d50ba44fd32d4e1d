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
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reward_models._base import Floats, sigmoid

MAX_STEPS = 50
_EXACT, _ROUGH = 1e-12, 1e-5
"""Newton steps end when the log posterior rises by less than this share of its value."""
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
class _Blocks:
    """What one Newton step knows of the rows of U users with n pairs each, at their current margins."""

    curvature: Floats
    """W = p (1 - p), shape (U, n)."""
    working: Floats
    """Working response f + (1 - p) / W, shape (U, n)."""
    root: Floats
    """L^-1 S with S = sqrt W and L L^T = I + S K S, shape (U, n, n): its Gram matrix is (K + W^-1)^-1."""
    log_determinant: float
    """Sum of log |I + S K S|."""

    @classmethod
    def at(cls, margins: Floats, kernels: Floats) -> _Blocks:
        p = sigmoid(margins).astype(margins.dtype)
        curvature = np.maximum(p * (1 - p), _MIN_CURVATURE)
        s = np.sqrt(curvature)
        unit = np.eye(s.shape[1], dtype=s.dtype)
        factor = np.linalg.cholesky(unit + s[:, :, None] * kernels * s[:, None, :])
        return cls(
            curvature=curvature,
            working=margins + (1 - p) / curvature,
            root=np.linalg.inv(factor) * s[:, None, :],
            log_determinant=_log_determinant(factor),
        )

    def apply(self, values: Floats) -> Floats:
        """(K + W^-1)^-1 times `values`, shape (U, n)."""
        return _times(self.root.swapaxes(1, 2), _times(self.root, values))


@dataclass(frozen=True)
class _Expansion:
    """The log posterior to second order at one point, and the mode of that."""

    blocks: Sequence[_Blocks]
    """Of each group of users."""
    seen: Sequence[Floats]
    """Root times the shared features of each group, shape (U, n, D)."""
    hessian: Floats
    """Of the shared weights, shape (D, D)."""
    weights: Floats
    """At the mode, shape (D,)."""
    duals: Sequence[Floats]
    """At the mode; of each group, shape (U, n)."""


class Problem:
    """The pairs of all users, to be fitted under one choice of prior variances after another.

    Users with equally many pairs are worked on together.

    Args:
        users: Rows of each user, at least one user with at least one row.
        shared_variance: Prior variances P of the shared weights, shape (D,), positive.
        own_variance: Prior variances V of the deviations, shape (G,), positive.
        common: C, shape (G, K); None for K = 0.
        rough: Single precision and few steps: enough to compare one choice of variances with another.
        start: Shared weights to begin at, shape (D,); None for zeros.
    """

    def __init__(
        self,
        users: Sequence[Rows],
        shared_variance: Floats,
        own_variance: Floats,
        common: Floats | None = None,
        *,
        rough: bool = False,
        start: Floats | None = None,
    ) -> None:
        dtype: Any = np.float32 if rough else np.float64
        sizes = np.array([len(rows.shared) for rows in users])
        groups = [np.flatnonzero(sizes == size).tolist() for size in np.unique(sizes)]
        self._shared: list[Floats] = [
            np.stack([users[u].shared for u in group]).astype(dtype) for group in groups
        ]
        self._kernels: list[Floats] = [
            np.stack(
                [_times_prior(users[u].own, own_variance, common) @ users[u].own.T for u in group]
            ).astype(dtype)
            for group in groups
        ]
        begins = np.cumsum(sizes) - sizes
        laid = [(begins[group][:, None] + np.arange(sizes[group[0]])).ravel() for group in groups]
        self._order = np.argsort(np.concatenate(laid))
        self._precision: Floats = (1 / shared_variance).astype(dtype)
        self._tolerance = _ROUGH if rough else _EXACT
        self._weights: Floats = np.zeros_like(self._precision) if start is None else start.astype(dtype)
        self._duals: list[Floats] = [np.zeros(x.shape[:2], dtype) for x in self._shared]
        self._own_factor = 1.0

    def fit(self, shared_factor: float = 1.0, own_factor: float = 1.0) -> Fit:
        """Find the mode with P and V + C C^T multiplied by these factors, starting from the mode found last.

        Newton steps are halved until the log posterior rises.
        """
        precision = self._precision / shared_factor
        kernels = [own_factor * k for k in self._kernels]
        # The duals that leave the margins found last as they are.
        self._duals = [a * (self._own_factor / own_factor) for a in self._duals]
        self._own_factor = own_factor
        objective = self._objective(self._weights, self._duals, precision, kernels)
        for _ in range(MAX_STEPS):
            expansion = self._expand(precision, kernels)
            for step in _STEPS:
                weights = self._weights + step * (expansion.weights - self._weights)
                duals = [a + step * (b - a) for a, b in zip(self._duals, expansion.duals, strict=True)]
                risen = self._objective(weights, duals, precision, kernels)
                if risen >= objective:
                    break
            else:
                break
            gain, objective = risen - objective, risen
            self._weights, self._duals = weights, duals
            if gain <= self._tolerance * (1 + abs(objective)):
                break
        return self._posterior(expansion, objective, precision)

    def _posterior(self, last: _Expansion, objective: float, precision: Floats) -> Fit:
        """From the last step's expansion, whose mode is the mode up to the tolerance."""
        covariance: Any = np.linalg.inv(last.hessian)
        log_determinant = _log_determinant(np.linalg.cholesky(last.hessian)) - float(np.log(precision).sum())
        log_determinant += sum(blocks.log_determinant for blocks in last.blocks)
        means, variances = [], []
        for blocks, seen, x in zip(last.blocks, last.seen, self._shared, strict=True):
            reach = blocks.root.swapaxes(1, 2) @ seen
            known = (reach.reshape(-1, len(covariance)) @ covariance).reshape(reach.shape)
            inverse = (blocks.root**2).sum(axis=1) - (known * reach).sum(axis=2)
            means.append(blocks.working - blocks.apply(blocks.working - x @ last.weights) / inverse)
            variances.append(np.maximum(1 / inverse - 1 / blocks.curvature, 0))
        return Fit(
            weights=self._weights.astype(np.float64),
            covariance=covariance.astype(np.float64),
            log_evidence=objective - log_determinant / 2,
            left_out=self._laid(means),
            left_out_variance=self._laid(variances),
        )

    def _laid(self, values: Sequence[Floats]) -> Floats:
        """Values of every group as one array, users end to end in the order they came in."""
        return np.concatenate([value.ravel() for value in values])[self._order].astype(np.float64)

    def _margins(self, weights: Floats, duals: Sequence[Floats], kernels: Sequence[Floats]) -> list[Floats]:
        return [x @ weights + _times(k, a) for x, a, k in zip(self._shared, duals, kernels, strict=True)]

    def _objective(
        self, weights: Floats, duals: Sequence[Floats], precision: Floats, kernels: Sequence[Floats]
    ) -> float:
        """Log posterior up to a constant."""
        fit = -sum(np.logaddexp(0, -f).sum() for f in self._margins(weights, duals, kernels))
        own = sum((a * _times(k, a)).sum() for a, k in zip(duals, kernels, strict=True))
        return float(fit - (precision * weights**2).sum() / 2 - own / 2)

    def _expand(self, precision: Floats, kernels: Sequence[Floats]) -> _Expansion:
        """Expand at the present point; the shared weights are solved for first, then the users."""
        margins = self._margins(self._weights, self._duals, kernels)
        blocks = [_Blocks.at(f, k) for f, k in zip(margins, kernels, strict=True)]
        seen = [b.root @ x for b, x in zip(blocks, self._shared, strict=True)]
        rows = np.concatenate([part.reshape(-1, part.shape[2]) for part in seen])
        pulled = np.concatenate([_times(b.root, b.working).ravel() for b in blocks])
        hessian = rows.T @ rows + np.diag(precision)
        weights = np.linalg.solve(hessian, rows.T @ pulled)
        duals = [b.apply(b.working - x @ weights) for b, x in zip(blocks, self._shared, strict=True)]
        return _Expansion(blocks=blocks, seen=seen, hessian=hessian, weights=weights, duals=duals)


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
        block = _Blocks.at((offset + kernel @ dual)[None], kernel[None])
        target = block.apply(block.working - offset)[0]
        for step in _STEPS:
            trial = dual + step * (target - dual)
            pulled = kernel @ trial
            risen = float(-np.logaddexp(0, -offset - pulled).sum() - trial @ pulled / 2)
            if risen >= objective:
                break
        else:
            break
        gain, objective, dual = risen - objective, risen, trial
        if gain <= _EXACT * (1 + abs(objective)):
            break
    root = _Blocks.at((offset + kernel @ dual)[None], kernel[None]).root[0]
    return Own(mean=prior.T @ dual, own_factor=root @ prior, shared_factor=root @ rows.shared)


def some_users(users: Sequence[Rows], pairs: int, seed: int) -> list[Rows]:
    """Users drawn without replacement until they have that many pairs, or all."""
    order = np.random.default_rng(seed).permutation(len(users))
    before = np.cumsum([0, *(len(users[i].shared) for i in order)])[:-1]
    return [users[i] for i in order[before < pairs]]


def _times_prior(rows: Floats, variance: Floats, common: Floats | None) -> Floats:
    """Rows times the prior covariance of the deviations, shape (n, G)."""
    found = rows * variance
    return found if common is None else found + (rows @ common) @ common.T


def _times(matrices: Floats, vectors: Floats) -> Floats:
    """Every matrix (n, m) of a stack (U, n, m) times its own vector of (U, m)."""
    found: Floats = (matrices @ vectors[:, :, None])[:, :, 0]
    return found


def _log_determinant(factor: NDArray[np.floating[Any]]) -> float:
    """Logarithm of |L L^T| for a lower triangle, or the sum over a stack of them."""
    return 2 * float(np.log(np.diagonal(factor, axis1=-2, axis2=-1)).sum())

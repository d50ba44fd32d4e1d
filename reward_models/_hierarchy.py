"""Hierarchical Bayesian logistic regression on differences of features: mode and Laplace posterior.

One row is one pair, already as a difference (chosen minus rejected). Shared weights w ~ N(0, diag P) act on
its shared features x, effects of single responses beta_i ~ N(0, tau) on the two responses a and b where they
have one, and the deviations of user u, v_u ~ N(0, diag V), on its user features z:

    P(chosen) = sigma(x.w + beta_a - beta_b + z.v_u)                                                    (1)

The shared part is small and solved in the space of weights, the part of each user in the space of their
pairs (a user has fewer pairs than features), so that one Newton step costs O(n D^2 + sum_u n_u^2 D).

References:
    MacKay, "The Evidence Framework Applied to Classification Networks", 1992 (moderated output).
    Rasmussen and Williams, "Gaussian Processes for Machine Learning", 2006, Algorithms 3.1 and 3.2.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reward_models._effects import NONE, Effects, Numbers, first_less_second
from reward_models._types import Floats, sigmoid

MAX_STEPS = 50
EXACT, ROUGH = 1e-12, 1e-5
"""Newton steps end when the log posterior rises by less than this share of its value."""
STEPS = tuple(0.5**k for k in range(20))
Values = NDArray[Any]


def ascend(
    start: Sequence[Any],
    value: Callable[[Sequence[Any]], float],
    aim: Callable[[Sequence[Any]], Sequence[Any]],
    tolerance: float,
) -> list[Any]:
    """Newton's method for the mode of a log posterior of choices.

    Each step goes to the mode of the expansion to second order at the present point, or half of the way, or a
    quarter and so on, until the log posterior rises.

    Args:
        start: Where to begin, any number of arrays.
        value: The log posterior at a point, up to a constant.
        aim: The mode of its expansion at a point.
        tolerance: Steps end when it rises by less than this share of its value.
    """
    point, height = list(start), value(start)
    for _ in range(MAX_STEPS):
        target = aim(point)
        for step in STEPS:
            trial = [a + step * (b - a) for a, b in zip(point, target, strict=True)]
            risen = value(trial)
            if risen >= height:
                break
        else:
            break
        gain, height, point = risen - height, risen, trial
        if gain <= tolerance * (1 + abs(height)):
            break
    return point


def climb(
    kernel: Values, offset: Values | float, dual: Values, target: Callable[[Any], Values], tolerance: float
) -> tuple[Any, Any]:
    """Duals at the mode of pairs whose margins, less an offset, are N(0, K).

    Args:
        kernel: K, shape (n, n), in single or double precision, which is kept.
        offset: Shape (n,), or 0.
        dual: Where to begin, shape (n,).
        target: From margins, (n,), to the duals at the mode of their expansion to second order.
        tolerance: See `ascend`.

    Returns:
        Duals, and K times them, both (n,).
    """

    def value(point: Sequence[Any]) -> float:
        pulled = kernel @ point[0]
        margins, prior = (offset + pulled).astype(np.float64), pulled.astype(np.float64)
        return float(-np.logaddexp(0, -margins).sum() - point[0].astype(np.float64) @ prior / 2)

    [dual] = ascend([dual], value, lambda point: [target(offset + kernel @ point[0])], tolerance)
    return dual, kernel @ dual


MIN_CURVATURE = 1e-10


@dataclass(frozen=True)
class Rows:
    """Pairs of one user as differences."""

    shared: Floats
    """Shape (n, D)."""
    own: Floats
    """Shape (n, G)."""
    items: Numbers
    """Numbers of the two responses among those with an effect of their own, or `NONE`, shape (n, 2)."""

    def __len__(self) -> int:
        return len(self.shared)

    def __getitem__(self, some: slice | NDArray[Any]) -> Rows:
        """Some of the rows: a stretch of them, or by their numbers or a mask."""
        return Rows(self.shared[some], self.own[some], self.items[some])

    def with_own(self, more: Floats) -> Rows:
        """The same rows with further user features, shape (n, K)."""
        return replace(self, own=np.concatenate([self.own, more], axis=1))


@dataclass(frozen=True)
class Variances:
    """Prior variances of equation (1)."""

    shared: Floats
    """P, shape (D,)."""
    own: Floats
    """V, shape (G,)."""
    items: float = 0.0
    """tau; 0 where no response has an effect of its own."""


@dataclass(frozen=True)
class Fit:
    """Mode and Laplace posterior of the shared weights and the effects, the deviations integrated out."""

    weights: Floats
    """Shape (D,)."""
    effects: Floats
    """beta, shape (I,)."""
    covariance: Floats
    """Of weights and effects together, shape (D + I, D + I)."""

    def offsets(self, rows: Rows) -> Floats:
        """Margins of the rows for nobody, shape (n,)."""
        found: Floats = rows.shared @ self.weights + first_less_second(self.effects, rows.items)
        return found


@dataclass(frozen=True)
class Own:
    """Posterior of one user's deviations given the shared weights and the effects.

    With e a vector of user features, v_u.e has mean `mean`.e and, given w and beta, its prior variance less
    |`own_factor` e|^2; its mean moves with the shared weights by -`shared_factor`^T `own_factor` e, and with
    the effects of the two responses of pair j by -/+ entry j of `root`^T `own_factor` e.
    """

    mean: Floats
    """Shape (G,)."""
    own_factor: Floats
    """Shape (n, G)."""
    shared_factor: Floats
    """Shape (n, D)."""
    root: Floats
    """Shape (n, n): its Gram matrix is (K + W^-1)^-1."""


@dataclass(frozen=True)
class _Blocks:
    """What one Newton step knows of the rows of U users with n pairs each, at their current margins."""

    curvature: Floats
    """W = p (1 - p), shape (U, n)."""
    working: Floats
    """Working response f + (1 - p) / W, shape (U, n)."""
    root: Floats
    """L^-1 S with S = sqrt W and L L^T = I + S K S, shape (U, n, n): its Gram matrix is (K + W^-1)^-1."""

    @classmethod
    def at(cls, margins: Floats, kernels: Floats) -> _Blocks:
        p = sigmoid(margins).astype(margins.dtype)
        curvature = np.maximum(p * (1 - p), MIN_CURVATURE)
        s = np.sqrt(curvature)
        unit = np.eye(s.shape[1], dtype=s.dtype)
        factor = np.linalg.cholesky(unit + s[:, :, None] * kernels * s[:, None, :])
        return cls(
            curvature=curvature,
            working=margins + (1 - p) / curvature,
            root=np.linalg.inv(factor) * s[:, None, :],
        )

    def apply(self, values: Floats) -> Floats:
        """(K + W^-1)^-1 times `values`, shape (U, n)."""
        return times(self.root.swapaxes(1, 2), times(self.root, values))


@dataclass(frozen=True)
class Mode:
    """What is known of all pairs at the mode, users laid end to end in the order they came in."""

    working: Floats
    """Working responses t = f + (1 - p) / W, shape (n,)."""
    curvature: Floats
    """W = p (1 - p), shape (n,)."""
    duals: Floats
    """M (t - X w - Z beta), shape (n,), M being the blocks (K_u + W^-1)^-1 of the users."""
    reach: Floats
    """M [X Z], shape (n, D + I)."""
    blocks: list[Floats]
    """M, of every user, shape (n_u, n_u)."""


class Problem:
    """The pairs of all users, to be fitted under one choice of prior variances.

    Users with equally many pairs are worked on together.

    Args:
        users: Rows of each user, at least one user with at least one row.
        variances: Prior variances, P and V positive.
        effects: I, the number of responses with an effect of their own; none where tau is 0.
        start: A fit whose weights and effects to begin at; None for zeros.
    """

    def __init__(
        self,
        users: Sequence[Rows],
        variances: Variances,
        effects: int = 0,
        start: Fit | None = None,
    ) -> None:
        sizes = np.array([len(rows) for rows in users])
        groups = [np.flatnonzero(sizes == size).tolist() for size in np.unique(sizes)]
        self._groups = groups
        self._shared: list[Floats] = [np.stack([users[u].shared for u in group]) for group in groups]
        self._items = [np.stack([users[u].items for u in group]) for group in groups]
        self._kernels: list[Floats] = [
            np.stack([(users[u].own * variances.own) @ users[u].own.T for u in group]) for group in groups
        ]
        ends = np.cumsum([items.shape[0] * items.shape[1] for items in self._items])
        blocks = [
            np.arange(end - items.shape[0] * items.shape[1], end).reshape(items.shape[:2])
            for items, end in zip(self._items, ends, strict=True)
        ]
        count = effects if variances.items > 0 else 0
        laid = np.concatenate([items.reshape(-1, 2) for items in self._items])
        self._effects = Effects(laid if count else np.full_like(laid, NONE), blocks if count else [], count)
        self._precision = np.concatenate([1 / variances.shared, np.full(count, 1 / (variances.items or 1))])
        self._columns = len(variances.shared)
        self._weights: Floats = np.zeros(self._columns + count)
        if start is not None:
            self._weights = np.append(start.weights, start.effects)[: self._columns + count]
        self._duals: list[Floats] = [np.zeros(x.shape[:2]) for x in self._shared]

    def fit(self) -> Fit:
        """Find the mode of weights, effects and every user's deviations together."""
        expanded: list[Floats] = []

        def aim(point: Sequence[Floats]) -> list[Floats]:
            expanded[:], target = self._expand(*point)
            return target

        found = ascend([self._weights, *self._duals], lambda point: self._objective(*point), aim, EXACT)
        self._weights, self._duals = found[0], found[1:]
        [hessian] = expanded
        covariance: Any = np.linalg.inv(hessian)
        return Fit(self._weights[: self._columns], self._weights[self._columns :], covariance)

    def mode(self) -> Mode:
        """The pairs at the mode that `fit` found."""
        margins = self._margins(self._weights, self._duals)
        blocks = [_Blocks.at(f, k) for f, k in zip(margins, self._kernels, strict=True)]
        offsets = self._offsets(self._weights)
        found: list[tuple[Floats, ...]] = [()] * sum(map(len, self._groups))
        for i, (group, block) in enumerate(zip(self._groups, blocks, strict=True)):
            matrix = block.root.swapaxes(1, 2) @ block.root
            duals = block.apply(block.working - offsets[i])
            reach = np.concatenate(
                [matrix @ self._shared[i], self._effects.spread(matrix, self._items[i])], 2
            )
            for k, user in enumerate(group):
                found[user] = (block.working[k], block.curvature[k], duals[k], reach[k], matrix[k])
        columns = list(zip(*found, strict=True))
        working, curvature, duals, reach = (np.concatenate(column) for column in columns[:4])
        return Mode(working, curvature, duals, reach, list(columns[4]))

    def _offsets(self, weights: Floats) -> list[Floats]:
        """Margins for nobody, of each group."""
        found = [x @ weights[: self._columns] for x in self._shared]
        if self._effects.count:
            effects = weights[self._columns :]
            found = [
                base + first_less_second(effects, items)
                for base, items in zip(found, self._items, strict=True)
            ]
        return found

    def _margins(self, weights: Floats, duals: Sequence[Floats]) -> list[Floats]:
        return [
            base + times(k, a)
            for base, a, k in zip(self._offsets(weights), duals, self._kernels, strict=True)
        ]

    def _objective(self, weights: Floats, *duals: Floats) -> float:
        """Log posterior up to a constant."""
        fit = -sum(np.logaddexp(0, -f).sum() for f in self._margins(weights, duals))
        own = sum((a * times(k, a)).sum() for a, k in zip(duals, self._kernels, strict=True))
        return float(fit - (self._precision * weights**2).sum() / 2 - own / 2)

    def _expand(self, weights: Floats, *duals: Floats) -> tuple[list[Floats], list[Floats]]:
        """The log posterior to second order at a point: Hessian of the shared part; where its mode is.

        The shared weights and the effects are solved for first, then the users.
        """
        margins = self._margins(weights, duals)
        blocks = [_Blocks.at(f, k) for f, k in zip(margins, self._kernels, strict=True)]
        seen = [b.root @ x for b, x in zip(blocks, self._shared, strict=True)]
        rows = np.concatenate([part.reshape(-1, part.shape[2]) for part in seen])
        pulled = np.concatenate([times(b.root, b.working).ravel() for b in blocks])
        d = self._columns
        hessian = np.diag(self._precision)
        hessian[:d, :d] += rows.T @ rows
        aim = np.zeros(len(hessian))
        aim[:d] = rows.T @ pulled
        if self._effects.count:
            back = [b.root.swapaxes(1, 2) for b in blocks]
            reach = np.concatenate([(r @ part).reshape(-1, d) for r, part in zip(back, seen, strict=True)])
            hessian[d:, :d] = self._effects.summed(reach)
            hessian[:d, d:] = hessian[d:, :d].T
            hessian[d:, d:] += self._effects.both_sides(
                [r @ b.root for r, b in zip(back, blocks, strict=True)]
            )
            applied = np.concatenate([b.apply(b.working).ravel() for b in blocks])
            aim[d:] = self._effects.summed(applied)
        target: Floats = np.asarray(np.linalg.solve(hessian, aim), dtype=np.float64)
        offsets = self._offsets(target)
        return [hessian], [target, *(b.apply(b.working - o) for b, o in zip(blocks, offsets, strict=True))]


def fit_own(rows: Rows, offset: Floats, own_variance: Floats) -> Own:
    """Deviations of one user at their mode, given the shared part; by Newton in the space of their pairs.

    Args:
        rows: The user's n >= 1 pairs.
        offset: Their margins for nobody, shape (n,).
        own_variance: Prior variances V, shape (G,).
    """
    prior = rows.own * own_variance
    kernel = prior @ rows.own.T

    def target(margins: Floats) -> Floats:
        block = _Blocks.at(margins[None], kernel[None])
        found: Floats = block.apply(block.working - offset)[0]
        return found

    dual, pulled = climb(kernel, offset, np.zeros(len(offset)), target, EXACT)
    root = _Blocks.at((offset + pulled)[None], kernel[None]).root[0]
    return Own(mean=prior.T @ dual, own_factor=root @ prior, shared_factor=root @ rows.shared, root=root)


def some_users(users: Sequence[Rows], pairs: int, seed: int) -> list[Rows]:
    """Users drawn without replacement until they have that many pairs, or all."""
    order = np.random.default_rng(seed).permutation(len(users))
    before = np.cumsum([0, *(len(users[i]) for i in order)])[:-1]
    return [users[i] for i in order[before < pairs]]


def times(matrices: Floats, vectors: Floats) -> Floats:
    """Every matrix (n, m) of a stack (U, n, m), or one for all, times its own vector of (U, m).

    The bits of a product depend on no other vector, as those of a product of two matrices may.
    """
    found: Floats = (matrices @ vectors[:, :, None])[:, :, 0]
    return found

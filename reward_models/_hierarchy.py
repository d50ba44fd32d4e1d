"""Hierarchical Bayesian logistic regression on differences of features: mode and Laplace posterior.

One row is one pair, already as a difference (chosen minus rejected). Shared weights w ~ N(0, diag P) act on
its shared features x, effects of single responses beta_i ~ N(0, tau) on the two responses a and b where they
have one, and the deviations of user u, v_u ~ N(0, diag V), on its user features z:

    P(chosen) = sigma(x.w + beta_a - beta_b + z.v_u)                                                    (1)

What else a user said of responses is further margins of this form, which may also hold a constant and the
user's thresholds, with other likelihoods than sigma (`reward_models._likelihood`).

The shared part is small and solved in the space of weights, the part of each user in the space of their
pairs (a user has fewer pairs than features), so that one Newton step costs O(n D^2 + sum_u n_u^2 D).

References:
    MacKay, "The Evidence Framework Applied to Classification Networks", 1992 (moderated output).
    Rasmussen and Williams, "Gaussian Processes for Machine Learning", 2006, Algorithms 3.1 and 3.2.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reward_models._effects import NONE, Effects, Numbers, first_less_second
from reward_models._likelihood import Likelihood, Measured, Terms
from reward_models._newton import EXACT, ascend, climb
from reward_models._types import Floats


@dataclass(frozen=True)
class Heard:
    """What margins of one user hold beside the rewards of responses, and what was said by them."""

    constant: Floats
    """Shape (n,)."""
    thresholds: Floats
    """How much of each of the user's own thresholds, in prior standard deviations, shape (n, T)."""
    terms: Terms
    """Terms of the likelihood; margins in none are choices by themselves."""


@dataclass(frozen=True)
class Rows:
    """Pairs of one user as differences, or all margins by which the user said anything."""

    shared: Floats
    """Shape (n, D)."""
    own: Floats
    """Shape (n, G)."""
    items: Numbers
    """Numbers of the two responses among those with an effect of their own, or `NONE`, shape (n, 2)."""
    heard: Heard | None = None
    """None where every row is a choice."""

    def __len__(self) -> int:
        return len(self.shared)

    def __getitem__(self, some: slice | NDArray[Any]) -> Rows:
        """Some of the rows, without what was `heard`: a stretch of them, or by their numbers or a mask."""
        return Rows(self.shared[some], self.own[some], self.items[some])

    @property
    def constant(self) -> Floats | float:
        """What the margins hold beside features, shape (n,), or 0."""
        return 0.0 if self.heard is None else self.heard.constant

    @property
    def terms(self) -> Terms:
        """What was said by other rows than choices."""
        return () if self.heard is None else self.heard.terms

    def kernel(self, own_variance: Floats) -> Floats:
        """Prior covariance of the margins by the user's deviations and thresholds, shape (n, n)."""
        found: Floats = (self.own * own_variance) @ self.own.T
        if self.heard is None:
            return found
        return found + self.heard.thresholds @ self.heard.thresholds.T

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
        return found + rows.constant


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
    thresholds: Floats
    """Modes of the user's own thresholds, in prior standard deviations, shape (T,); T is 0 for choices."""


@dataclass(frozen=True)
class _Blocks:
    """What one Newton step knows of the rows of U users with n rows each, at their current margins."""

    measured: Measured
    """What they say to second order."""
    root: Floats
    """L^-1 C^T with W = C C^T and L L^T = I + C^T K C, shape (U, n, n): its Gram matrix is (K + W^-1)^-1."""

    @classmethod
    def at(cls, margins: Floats, kernels: Floats, likelihood: Likelihood) -> _Blocks:
        measured = likelihood.measured(margins)
        unit = np.eye(margins.shape[1], dtype=margins.dtype)
        factor = np.linalg.cholesky(unit + measured.after(measured.before(kernels)))
        return cls(measured, measured.after(np.linalg.inv(factor), transposed=True))

    @property
    def working(self) -> Floats:
        """Working responses t, shape (U, n)."""
        return self.measured.working

    def apply(self, values: Floats) -> Floats:
        """(K + W^-1)^-1 times `values`, shape (U, n)."""
        return times(self.root.swapaxes(1, 2), times(self.root, values))


@dataclass(frozen=True)
class Mode:
    """What is known of all pairs at the mode, users laid end to end in the order they came in."""

    working: Floats
    """Working responses t, f + (1 - p) / W of a choice, shape (n,)."""
    noise: Floats
    """Diagonal of W^-1, 1 / (p (1 - p)) of a choice, shape (n,)."""
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
            np.stack([users[u].kernel(variances.own) for u in group]) for group in groups
        ]
        self._constants = [
            np.stack([np.broadcast_to(users[u].constant, len(users[u])) for u in group]) for group in groups
        ]
        self._likelihoods = [
            Likelihood([users[u].terms for u in group], len(users[group[0]])) for group in groups
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
        blocks = self._blocks(margins)
        offsets = self._offsets(self._weights)
        found: list[tuple[Floats, ...]] = [()] * sum(map(len, self._groups))
        for i, (group, block) in enumerate(zip(self._groups, blocks, strict=True)):
            matrix = block.root.swapaxes(1, 2) @ block.root
            duals = block.apply(block.working - offsets[i])
            reach = np.concatenate(
                [matrix @ self._shared[i], self._effects.spread(matrix, self._items[i])], 2
            )
            for k, user in enumerate(group):
                found[user] = (block.working[k], block.measured.noise[k], duals[k], reach[k], matrix[k])
        columns = list(zip(*found, strict=True))
        working, noise, duals, reach = (np.concatenate(column) for column in columns[:4])
        return Mode(working, noise, duals, reach, list(columns[4]))

    def _blocks(self, margins: Sequence[Floats]) -> list[_Blocks]:
        parts = zip(margins, self._kernels, self._likelihoods, strict=True)
        return [_Blocks.at(f, k, likelihood) for f, k, likelihood in parts]

    def _offsets(self, weights: Floats) -> list[Floats]:
        """Margins for nobody, of each group."""
        found = [x @ weights[: self._columns] for x in self._shared]
        if self._effects.count:
            effects = weights[self._columns :]
            found = [
                base + first_less_second(effects, items)
                for base, items in zip(found, self._items, strict=True)
            ]
        return [base + constant for base, constant in zip(found, self._constants, strict=True)]

    def _margins(self, weights: Floats, duals: Sequence[Floats]) -> list[Floats]:
        return [
            base + times(k, a)
            for base, a, k in zip(self._offsets(weights), duals, self._kernels, strict=True)
        ]

    def _objective(self, weights: Floats, *duals: Floats) -> float:
        """Log posterior up to a constant."""
        parts = zip(self._likelihoods, self._margins(weights, duals), strict=True)
        fit = sum(likelihood.value(f) for likelihood, f in parts)
        own = sum((a * times(k, a)).sum() for a, k in zip(duals, self._kernels, strict=True))
        return float(fit - (self._precision * weights**2).sum() / 2 - own / 2)

    def _expand(self, weights: Floats, *duals: Floats) -> tuple[list[Floats], list[Floats]]:
        """The log posterior to second order at a point: Hessian of the shared part; where its mode is.

        The shared weights and the effects are solved for first, then the users.
        """
        margins = self._margins(weights, duals)
        blocks = self._blocks(margins)
        seen = [b.root @ x for b, x in zip(blocks, self._shared, strict=True)]
        rows = np.concatenate([part.reshape(-1, part.shape[2]) for part in seen])
        measured = [b.working - constant for b, constant in zip(blocks, self._constants, strict=True)]
        pulled = np.concatenate([times(b.root, t).ravel() for b, t in zip(blocks, measured, strict=True)])
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
            applied = np.concatenate([b.apply(t).ravel() for b, t in zip(blocks, measured, strict=True)])
            aim[d:] = self._effects.summed(applied)
        target: Floats = np.asarray(np.linalg.solve(hessian, aim), dtype=np.float64)
        offsets = self._offsets(target)
        return [hessian], [target, *(b.apply(b.working - o) for b, o in zip(blocks, offsets, strict=True))]


def fit_own(rows: Rows, offset: Floats, own_variance: Floats) -> Own:
    """Deviations of one user at their mode, given the shared part; by Newton in the space of their rows.

    Args:
        rows: The user's n rows.
        offset: Their margins for nobody, shape (n,).
        own_variance: Prior variances V, shape (G,).
    """
    prior, kernel = rows.own * own_variance, rows.kernel(own_variance)
    likelihood = Likelihood([rows.terms], len(rows))

    def target(margins: Floats) -> Floats:
        block = _Blocks.at(margins[None], kernel[None], likelihood)
        found: Floats = block.apply(block.working - offset)[0]
        return found

    dual, pulled = climb(kernel, offset, np.zeros(len(offset)), target, EXACT, likelihood)
    root = _Blocks.at((offset + pulled)[None], kernel[None], likelihood).root[0]
    return Own(
        mean=prior.T @ dual,
        own_factor=root @ prior,
        shared_factor=root @ rows.shared,
        root=root,
        thresholds=np.zeros(0) if rows.heard is None else rows.heard.thresholds.T @ dual,
    )


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

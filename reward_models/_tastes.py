"""Tastes: what users who differ in one thing also differ in, learned from all of them.

The deviation of a user from everybody, on the user features z of a response and on the response itself if it
was judged often enough to have an effect of its own, has a covariance of low rank beside its diagonal:

    deviation(a) = z_a.v_u + q_a.t_u,    q_a = C^T z_a + e_a,    v_u ~ N(0, V),  t_u ~ N(0, I_K)        (1)

with e_a = 0 for a response without an effect. Given C and e, q is K further user features, and everything in
`reward_models._hierarchy` stays as it is. C and e are learned by variational EM: the logistic likelihood is
bounded below by a Gaussian one, under which the t_u have Gaussian posteriors (E), and C and e solve one
ridge regression, found by conjugate gradients (M). It starts from moments: with r_i = 1 - p_i the residual of
a pair, pairs i and j of one user have E[r_i r_j] = h_i h_j z_i.S.z_j to first order, h = p (1 - p), S the
covariance of the deviations; so the sum of r_i r_j z_i z_j^T over the different pairs of every user
estimates H S H without the noise of single choices, and its leading eigenvectors relative to H, with a
ridge, are the first C.

Whether they are believed is judged on users not learned from. One half of the users gives the tastes, the
left-out pairs of the other half judge them, and the other way round. Tastes are kept if they lower the loss
by more than three standard errors over users. Then all users are fitted together, with what was learned from
the other half, and their left-out pairs say how sharp a probability may be in each case of
`reward_models._left_out`.

References:
    Jaakkola and Jordan, "Bayesian parameter estimation via variational methods", Statistics and Computing
    10, 2000: the bound.
    Tipping, "Probabilistic visualisation of high-dimensional binary data", NIPS 1998: EM for it.
    Lin, "Variance component testing in generalised linear models with random effects", Biometrika 84, 1997:
    the moments.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from reward_models._effects import first_less_second
from reward_models._hierarchy import Fit, Problem, Rows, Variances, some_users, times
from reward_models._left_out import (
    CASES,
    SEEN_OR_NEW,
    Case,
    Factors,
    Hidden,
    LeftOut,
    Pairs,
    left_out,
    losses,
    sharpness,
)
from reward_models._types import Floats, sigmoid

MOST_TASTES = 8
"""K: tastes that are looked for."""
PASSES = 4
"""Passes of EM; more fit the users at hand better and others no better."""
PENALTY = 3.0
"""Precision of the entries of e; that of C is as much for an entry whose prior variance V is one."""
_SHARE = 0.3
"""Of the moments' variances, which are too large, being the largest of many."""
_ROUNDS, _STEPS = 3, 15
_RIDGE = 1.0
_LEAST = 1e-6


@dataclass(frozen=True)
class Tastes:
    """C and e of equation (1)."""

    features: Floats
    """C, shape (G, K)."""
    items: Floats
    """e, shape (I, K)."""

    @property
    def count(self) -> int:
        """K."""
        return int(self.features.shape[1])

    def of(self, rows: Rows) -> Floats:
        """Taste features of the first responses minus those of the second ones, shape (n, K)."""
        return times(self.features.T, rows.own) + first_less_second(self.items, rows.items)

    def joined(self, users: Sequence[Rows]) -> list[Rows]:
        """Rows with q as further user features."""
        return [rows.with_own(self.of(rows)) for rows in users] if self.count else list(users)


def no_tastes(features: int, items: int) -> Tastes:
    """K = 0."""
    return Tastes(np.zeros((features, 0)), np.zeros((items, 0)))


def learned(users: Sequence[Rows], offsets: Sequence[Floats], own_variance: Floats, effects: int) -> Tastes:
    """The tastes of these users.

    Args:
        users: Rows of each user.
        offsets: Margins of their pairs for nobody, shape (n_u,) each.
        own_variance: Built-in prior variances of the deviations, shape (G,).
        effects: I, responses with an effect of their own.

    Returns:
        `MOST_TASTES` tastes, some of which may be zero; none where users do not seem to differ.
    """
    base = np.concatenate(offsets)
    first = np.sqrt(_SHARE) * _moments(users, offsets, own_variance)
    if not first.shape[1]:
        return no_tastes(len(own_variance), effects)
    first = np.pad(first, ((0, 0), (0, MOST_TASTES - first.shape[1])))
    tastes = Tastes(first, np.zeros((effects, MOST_TASTES)))
    bound = np.abs(base) + 0.5
    regression = _Regression(users, own_variance, effects)
    for _ in range(PASSES):
        q = regression.along(tastes)
        for _ in range(_ROUNDS):
            curvature = np.tanh(bound / 2) / (2 * bound)
            target = 0.5 / curvature - base
            mean, second = _posteriors(q, curvature, target, regression.begins)
            mean, second = mean[regression.whose], second[regression.whose]
            spread = ((second - mean[:, :, None] * mean[:, None, :]) @ q[:, :, None])[:, :, 0]
            bound = np.sqrt(np.maximum((base + (q * mean).sum(axis=1)) ** 2 + (spread * q).sum(axis=1), 1e-6))
        tastes = regression.solved(tastes, curvature, target, mean, second)
    return tastes


class _Regression:
    """The M step: C and e as one ridge regression on all pairs.

    Args:
        users: Rows of each user.
        own_variance: Built-in prior variances of the deviations, shape (G,).
        effects: I.
    """

    def __init__(self, users: Sequence[Rows], own_variance: Floats, effects: int) -> None:
        self._own = np.concatenate([rows.own for rows in users])
        self._items = np.concatenate([rows.items for rows in users])
        sizes = [len(rows) for rows in users]
        self.whose = np.repeat(np.arange(len(users)), sizes)
        self.begins: NDArray[np.int64] = np.cumsum([0, *sizes[:-1]])
        self._effects = effects
        self._penalty = PENALTY * np.concatenate([1 / own_variance, np.ones(effects)])[:, None]

    def along(self, tastes: Tastes) -> Floats:
        """Taste features of every pair, shape (n, K)."""
        return self._forward(np.concatenate([tastes.features, tastes.items]))

    def solved(
        self, start: Tastes, curvature: Floats, target: Floats, mean: Floats, second: Floats
    ) -> Tastes:
        """The C and e that predict `target` from t best, where t has these first and second moments."""
        weighted = second * curvature[:, None, None]
        aim = self._backward((curvature * target)[:, None] * mean)
        diagonal = np.einsum("nkk->nk", weighted)
        scale = np.concatenate([(self._own**2).T @ diagonal, self._item_sums(diagonal, signed=False)])
        scale += self._penalty

        def applied(c: Floats) -> Floats:
            found: Floats = self._backward((weighted @ self._forward(c)[:, :, None])[:, :, 0])
            return found + self._penalty * c

        c = np.concatenate([start.features, start.items])
        rest = aim - applied(c)
        way = ready = rest / scale
        size = float((rest * ready).sum())
        for _ in range(_STEPS):
            if size <= _LEAST:
                break
            image = applied(way)
            step = size / float((way * image).sum())
            c, rest = c + step * way, rest - step * image
            ready = rest / scale
            size, before = float((rest * ready).sum()), size
            way = ready + size / before * way
        g = self._own.shape[1]
        return Tastes(c[:g], c[g:])

    def _forward(self, c: Floats) -> Floats:
        g = self._own.shape[1]
        found: Floats = self._own @ c[:g] + first_less_second(c[g:], self._items)
        return found

    def _backward(self, rows: Floats) -> Floats:
        return np.concatenate([self._own.T @ rows, self._item_sums(rows, signed=True)])

    def _item_sums(self, rows: Floats, *, signed: bool) -> Floats:
        """Rows added up by the responses of their pairs, shape (I, K); those of the second taken off."""
        found = np.zeros((self._effects + 1, rows.shape[1]))
        np.add.at(found, self._items[:, 0], rows)
        np.add.at(found, self._items[:, 1], -rows if signed else rows)
        return found[: self._effects]


def _posteriors(
    q: Floats, curvature: Floats, target: Floats, begins: NDArray[np.int64]
) -> tuple[Floats, Floats]:
    """First and second moments of t for every user, shapes (U, K) and (U, K, K)."""
    weighted = q * curvature[:, None]
    precision = np.add.reduceat(weighted[:, :, None] * q[:, None, :], begins, axis=0)
    covariance: Floats = np.asarray(np.linalg.inv(precision + np.eye(q.shape[1])), dtype=np.float64)
    mean: Floats = (covariance @ np.add.reduceat(weighted * target[:, None], begins, axis=0)[:, :, None])[
        :, :, 0
    ]
    return mean, covariance + mean[:, :, None] * mean[:, None, :]


def _moments(users: Sequence[Rows], offsets: Sequence[Floats], own_variance: Floats) -> Floats:
    """Leading directions by moments, each as long as the users' estimated standard deviation along it.

    Returns:
        Shape (G, K), K <= `MOST_TASTES`; no column where users do not seem to differ.
    """
    scale = np.sqrt(own_variance)
    p = sigmoid(np.concatenate(offsets))[:, None]
    z = np.concatenate([rows.own for rows in users]) * scale
    residual, spread = z * (1 - p), z * np.sqrt(p * (1 - p))
    begins = np.cumsum([0, *map(len, users)])[:-1]
    totals = np.add.reduceat(residual, begins, axis=0)
    moments = totals.T @ totals - residual.T @ residual
    curvature = spread.T @ spread
    mean = np.trace(curvature) / len(scale)
    if mean < _LEAST:
        return np.zeros((len(scale), 0))
    ridged = (curvature + _RIDGE * mean * np.eye(len(scale))) / len(users)
    whitening = np.linalg.inv(np.linalg.cholesky(ridged))
    variances, vectors = np.linalg.eigh(whitening @ (moments / len(users)) @ whitening.T)
    best = np.argsort(variances)[::-1][:MOST_TASTES]
    best = best[variances[best] > _LEAST]
    found: Floats = scale[:, None] * (whitening.T @ vectors[:, best]) * np.sqrt(variances[best])
    return found


JUDGED = 2048
"""Pairs on which tastes are judged."""
REFITTED = 8192
"""Pairs that are fitted again to see what is said of pairs left out."""
LEFT_OUT = 384
"""Of them, those that are left out one after the other."""
SURE = 3.0
"""Standard errors over users by which tastes must lower the loss."""
OWN_FACTORS = (1.0, 0.3, 0.1)
"""Tried for the variances of the deviations beside tastes."""
FEWEST = 5
"""Users in a half, below which no tastes are looked for."""


class Trial(NamedTuple):
    """Tastes that are believed."""

    tastes: Tastes
    """Of all users; none where they are not believed."""
    crossed: list[Rows]
    """Rows of every user with taste features that were learned from the other half of the users."""
    own_factor: float
    """What the variances of the deviations are multiplied with beside tastes, which say much of the same."""


def tried(
    users: Sequence[Rows], fit: Fit, variances: Variances, builtin_own: Floats, *, seed: int = 0
) -> Trial:
    """Look for tastes of all users, and believe them or not.

    Args:
        users: Rows of each user.
        fit: Shared weights and effects without tastes.
        variances: Prior variances that were chosen.
        builtin_own: Built-in prior variances of the deviations, shape (G,).
        seed: Divides the users.
    """
    effects = len(fit.effects)
    nothing = Trial(no_tastes(len(variances.own), effects), list(users), 1.0)
    order = np.random.default_rng(seed).permutation(len(users))
    halves = [part.tolist() for part in np.array_split(order, 2)]
    if min(map(len, halves)) < FEWEST:
        return nothing
    offsets = [fit.offsets(rows) for rows in users]
    crossed = list(users)
    for half, others in (halves, halves[::-1]):
        found = learned([users[i] for i in others], [offsets[i] for i in others], builtin_own, effects)
        # Users of both halves get equally many features, be they of no use.
        for i in half:
            crossed[i] = users[i].with_own(_padded(found.of(users[i])))
    without = _losses(some_users(users, JUDGED, seed), variances, seed)
    some = some_users(crossed, JUDGED, seed)
    with_them = {
        factor: _losses(some, with_tastes(variances, MOST_TASTES, factor), seed) for factor in OWN_FACTORS
    }
    factor = min(OWN_FACTORS, key=lambda it: float(with_them[it].sum()))
    gains = without - with_them[factor]
    if gains.sum() <= SURE * np.sqrt(len(gains)) * gains.std(ddof=1):
        return nothing
    return Trial(learned(users, offsets, builtin_own, effects), crossed, factor)


def with_tastes(variances: Variances, count: int, own_factor: float = 1.0) -> Variances:
    """Prior variances with those of the deviations multiplied, and those of the tastes, one each."""
    return replace(variances, own=np.append(own_factor * variances.own, np.ones(count)))


def sharpness_by_case(
    users: Sequence[Rows],
    variances: Variances,
    fit: Fit,
    seed: int,
    problem: Problem | None = None,
) -> dict[Case, float]:
    """How sharp probabilities may be, from predictions of pairs that were left out.

    Args:
        users: Rows of each user, with taste features that were not learned from them.
        variances: Prior variances.
        fit: Of all users, or one that is near, to begin at.
        seed: Chooses the users and the pairs.
        problem: What gave `fit`, if that was a fit of just these rows; they are not fitted again then.

    Returns:
        By case; one that does not occur in the data has the value of the nearest one that does.
    """
    some = list(users)
    if problem is None or sum(map(len, users)) > REFITTED:
        some = some_users(users, REFITTED, seed)
        problem = Problem(some, variances, len(fit.effects), fit)
        fit = problem.fit()
    hidden = Hidden(some, LEFT_OUT, seed)
    found: dict[Case, float] = {}
    for case, predictions in left_out(problem.mode(), fit.covariance, hidden).items():
        keep = hidden.judged(case)
        if "new" in case or not keep.any():
            keep = np.ones_like(keep)
        found[case] = sharpness(LeftOut(predictions.margins[keep], predictions.variances[keep]))
    return _filled(found)


def sharpness_of(
    by_case: Mapping[Case, float], known: NDArray[np.bool_], judged: NDArray[np.bool_]
) -> Floats:
    """The sharpness of every row, shape (n,), by whether its user is known and all its texts were judged."""
    found: Floats = np.where(
        known,
        np.where(judged, by_case["seen"], by_case["new"]),
        np.where(judged, by_case["nobody"], by_case["nobody, new"]),
    )
    return found


def _losses(users: Sequence[Rows], variances: Variances, seed: int) -> Floats:
    """Losses of the left-out pairs of every user, seen and new together, shape (users,)."""
    pairs = Pairs(users, variances, seed=seed)
    found = pairs.left_out(Factors(items=variances.items), SEEN_OR_NEW)
    by_case = [np.bincount(pairs.hidden.whose, losses(said)) for said in found.values()]
    return np.asarray(np.sum(by_case, axis=0), dtype=np.float64)


def _padded(features: Floats) -> Floats:
    return np.pad(features, ((0, 0), (0, MOST_TASTES - features.shape[1])))


def _filled(found: Mapping[Case, float]) -> dict[Case, float]:
    nearest: dict[Case, tuple[Case, ...]] = {
        "seen": ("seen",),
        "new": ("new", "seen"),
        "nobody": ("nobody", "seen"),
        "nobody, new": ("nobody, new", "nobody", "new", "seen"),
    }
    return {case: next(found[other] for other in nearest[case] if other in found) for case in CASES}

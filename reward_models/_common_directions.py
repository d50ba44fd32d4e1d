"""Directions in which users differ from each other more than in others, and how much of them to believe.

With z_i the user features of a pair, p_i its probability for the population and r_i = 1 - p_i its residual,
pairs i and j of one user whose deviation is v ~ N(0, S) have E[r_i r_j] = h_i h_j z_i.S.z_j to first order,
h = p (1 - p). So the sum of r_i r_j z_i z_j^T over the *different* pairs of every user estimates H S H, H
being the users' mean curvature, without the noise of single choices; its leading eigenvectors, relative to H
with a ridge, are the directions.

References:
    Lin, "Variance component testing in generalised linear models with random effects", Biometrika 84, 1997:
    the same moments, for a test.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from reward_models._base import Floats, sigmoid
from reward_models._hierarchy import Fit, Problem, Rows, some_users

MOST = 8
SHARE = 0.3
"""Of the estimated variances, which are too large, being the largest of many."""
SURE = 2.5
_JUDGED = 2048
"""Pairs of each half that judge the directions of the other."""
_FEWEST = 5
"""Users in a half, below which no directions are looked for."""
_RIDGE = 1.0
_LEAST = 1e-6


def directions(users: Sequence[Rows], weights: Floats, own_variance: Floats) -> Floats:
    """The leading directions, each as long as the estimated standard deviation of the users along it.

    Args:
        users: Rows of each user.
        weights: Shared weights, shape (D,).
        own_variance: Prior variances V of the deviations, shape (G,): the scale of the ridge.

    Returns:
        Shape (G, K), K <= `MOST`; no column where users do not seem to differ.
    """
    scale = np.sqrt(own_variance)
    p = [sigmoid(rows.shared @ weights)[:, None] for rows in users]
    z = np.concatenate([rows.own for rows in users]) * scale
    residual = z * (1 - np.concatenate(p))
    spread = z * np.sqrt(np.concatenate([q * (1 - q) for q in p]))
    begins = np.cumsum([0, *map(len, p)])[:-1]
    totals = np.add.reduceat(residual, begins, axis=0)
    moments = totals.T @ totals - residual.T @ residual
    curvature = spread.T @ spread
    mean = np.trace(curvature) / len(scale)
    if mean < _LEAST:
        return np.zeros((len(scale), 0))
    ridged = (curvature + _RIDGE * mean * np.eye(len(scale))) / len(users)
    whitening = np.linalg.inv(np.linalg.cholesky(ridged))
    variances, vectors = np.linalg.eigh(whitening @ (moments / len(users)) @ whitening.T)
    best = np.argsort(variances)[::-1][:MOST]
    best = best[variances[best] > _LEAST]
    found: Floats = scale[:, None] * (whitening.T @ vectors[:, best]) * np.sqrt(variances[best])
    return found


def believed(
    users: Sequence[Rows],
    weights: Floats,
    variances: tuple[Floats, Floats],
    losses: Callable[[Fit], Floats],
    seed: int,
) -> Floats:
    """The directions of all users at `SHARE` of their variances, if they help to predict other users.

    One half of the users gives the directions, the left-out pairs of the other half judge them, and the
    other way round, so that no user judges what was learned from them. They are believed if they lower the
    loss by more than `SURE` standard errors over users.

    Args:
        users: Rows of each user.
        weights: Shared weights, shape (D,).
        variances: Prior variances P and V.
        losses: Of the left-out pairs of a fit, shape (n,), users laid end to end.
        seed: Divides the users.

    Returns:
        Shape (G, K); K = 0 where they are not believed.
    """
    none: Floats = np.zeros((len(variances[1]), 0))
    order = np.random.default_rng(seed).permutation(len(users))
    halves = [[users[i] for i in part] for part in np.array_split(order, 2)]
    if min(map(len, halves)) < _FEWEST:
        return none
    gains = np.concatenate(
        [
            _gains(
                some_users(half, _JUDGED, seed),
                directions(others, weights, variances[1]),
                weights,
                variances,
                losses,
            )
            for half, others in (halves, halves[::-1])
        ]
    )
    if gains.sum() <= SURE * np.sqrt(len(gains)) * gains.std(ddof=1):
        return none
    kept: Floats = np.sqrt(SHARE) * directions(users, weights, variances[1])
    return kept


def _gains(
    judges: Sequence[Rows],
    found: Floats,
    weights: Floats,
    variances: tuple[Floats, Floats],
    losses: Callable[[Fit], Floats],
) -> Floats:
    """By how much the directions lower the loss of every user, shape (users,)."""
    begins = np.cumsum([0, *(len(rows.shared) for rows in judges)])[:-1]
    without, with_them = (
        np.add.reduceat(losses(Problem(judges, *variances, common, rough=True, start=weights).fit()), begins)
        for common in (None, np.sqrt(SHARE) * found)
    )
    gains: Floats = without - with_them
    return gains

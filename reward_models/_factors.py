"""How large the prior variances are: the factors whose left-out predictions are most likely."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from reward_models._estimates import Floats
from reward_models._left_out import SEEN_OR_NEW, Factors, Pairs, loss

START = Factors(shared=0.3, own=0.3, items=0.5)
"""Where the search begins."""
_REACH = 0.8
_ATTEMPTS = 10
_FARTHEST, _NEAR, _WIDEST = 1.6, 0.25, 4.0


def searched(pairs: Pairs) -> Factors:
    """The factors of all shared and of all own variances, and the variance of effects where texts recur.

    The loss is the mean of that of pairs which were not seen and that of pairs neither of whose texts was
    seen (`reward_models._left_out.loss`): the first says how much a text that was judged often may tell,
    the second keeps what is said of new texts from being learned by heart.
    """

    def factors(point: Floats) -> Factors:
        shared, own, *items = np.exp(point).tolist()
        return Factors(START.shared * shared, START.own * own, START.items * items[0] if items else 0.0)

    best = lowest(
        lambda point: loss(pairs.left_out(factors(point), SEEN_OR_NEW)), 3 if pairs.hidden.recurring else 2
    )
    return factors(best)


def lowest(function: Callable[[Floats], float], dimensions: int) -> Floats:
    """The best point tried of a function of a few logarithms, which is flat near its lowest point.

    The origin and one point on either side of it in every dimension are tried first. Then a quadratic
    surface is laid through the losses near the best point; its lowest point within reach is tried next, and
    the reach is halved when that was no better.

    Args:
        function: Of a point, shape (`dimensions`,).
        dimensions: How many.

    Returns:
        Shape (`dimensions`,), every value in [-4, 4].
    """
    tried: dict[tuple[float, ...], float] = {}

    def attempt(point: Floats) -> None:
        key = tuple(map(float, point))
        if key not in tried:
            tried[key] = function(point)

    unit = _REACH * np.eye(dimensions)
    for start in (np.zeros((1, dimensions)), -unit, unit):
        for point in start:
            attempt(point)
    reach = _FARTHEST
    for _ in range(_ATTEMPTS):
        best = min(tried, key=lambda it: tried[it])
        step = _downhill(np.array(list(tried)) - best, np.array(list(tried.values())), reach)
        if np.linalg.norm(step) < _NEAR:
            break
        attempt(np.clip(best + step, -_WIDEST, _WIDEST))
        if min(tried, key=lambda it: tried[it]) == best:
            reach /= 2
    return np.array(min(tried, key=lambda it: tried[it]))


def _downhill(points: Floats, losses: Floats, reach: float) -> Floats:
    """Step from the origin, shape (d,), to where a quadratic surface is lowest, at most `reach` long.

    Args:
        points: Shape (n, d); the nearer to the origin, the more they count.
        losses: Their losses, shape (n,).
        reach: Length of the longest step.
    """
    rows, columns = np.triu_indices(points.shape[1])
    squares = points[:, rows] * points[:, columns] / np.where(rows == columns, 2, 1)
    terms = np.concatenate([np.ones((len(points), 1)), points, squares], axis=1)
    counts = np.exp(-(points**2).sum(axis=1) / 2)
    found = np.linalg.lstsq(terms * counts[:, None], losses * counts, rcond=None)[0]
    slope, bend = found[1 : points.shape[1] + 1], np.zeros((points.shape[1],) * 2)
    bend[rows, columns] = bend[columns, rows] = found[points.shape[1] + 1 :]
    bends, axes = np.linalg.eigh(bend)
    slopes = axes.T @ slope
    # Along a direction that does not bend upwards, as far as may be.
    steps = np.where(bends > 0, -slopes / np.maximum(bends, 1e-12), -np.sign(slopes) * reach)
    step: Floats = axes @ steps
    return step * min(1.0, reach / max(float(np.linalg.norm(step)), 1e-12))

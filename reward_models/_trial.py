"""Whether tastes are believed and how sharp probabilities may be, judged on users not learned from.

One half of the users gives the tastes, the left-out pairs of the other half judge them, and the other way
round. Tastes are kept if they lower the loss by more than three standard errors over users. Then all users
are fitted together, with what was learned from the other half, and their left-out pairs say how sharp a
probability may be in each case of `reward_models._left_out`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from reward_models._estimates import Floats
from reward_models._hierarchy import Fit, Problem, Rows, Variances, some_users
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
from reward_models._tastes import MOST as MOST_TASTES
from reward_models._tastes import Tastes, learned, no_tastes

JUDGED = 2048
"""Pairs on which tastes are judged."""
MOST = 8192
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
    if problem is None or sum(map(len, users)) > MOST:
        some = some_users(users, MOST, seed)
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

"""Users who differ along one planted direction of their features, or in what they think of single responses."""

from __future__ import annotations

import numpy as np
from scipy.special import expit

from reward_models._effects import NONE
from reward_models._hierarchy import Fit, Problem, Rows, Variances

SHARED, OWN = 3, 12
VARIANCES = Variances(np.ones(SHARED), np.full(OWN, 0.02))
DIRECTION = np.eye(OWN)[4]
WEIGHTS = np.array([1.0, -0.5, 0.0])


def population(users, pairs, *, along=0.0, items=0, apart=0.0, seed=0, weights=WEIGHTS):
    """Rows of each user as chosen minus rejected, every user's trait, and what responses mean to it, shape (items,).

    Args:
        users: Their number.
        pairs: Of each.
        along: Standard deviation of the users' weight along `DIRECTION`, the trait times this.
        items: Responses with an effect; each pair shows two of them.
        apart: Standard deviation of what a response means to users of trait one.
        seed: Draws everything but what responses mean, which is the same for every seed.
        weights: What everybody agrees on.
    """
    meaning = apart * np.random.default_rng(99).normal(size=items)
    rng = np.random.default_rng(seed)
    found, traits = [], rng.normal(size=users)
    for trait in traits:
        shared, own = rng.normal(size=(pairs, SHARED)), rng.normal(size=(pairs, OWN))
        sides = np.array([rng.choice(items, 2, replace=False) for _ in range(pairs)]) if items else None
        margins = shared @ weights + trait * along * (own @ DIRECTION)
        if sides is not None:
            margins = margins + trait * (meaning[sides[:, 0]] - meaning[sides[:, 1]])
        sides = np.full((pairs, 2), NONE) if sides is None else sides
        first = (rng.random(pairs) < expit(margins))[:, None]
        sign = np.where(first, 1.0, -1.0)
        found.append(Rows(shared * sign, own * sign, np.where(first, sides, sides[:, ::-1])))
    return found, traits, meaning


def fitted(users, variances=VARIANCES, items=0) -> Fit:
    return Problem(users, variances, items).fit()


def nobodys(users, weights=WEIGHTS):
    """Margins for nobody under the weights that the choices were drawn with."""
    return [rows.shared @ weights for rows in users]

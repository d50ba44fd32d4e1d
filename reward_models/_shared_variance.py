"""What the shared weights and the effects of responses add to the uncertainty of a user's margins."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reward_models._effects import NONE
from reward_models._estimates import Floats
from reward_models._hierarchy import Fit, Rows, times
from reward_models._types import UserState


def shared_variance(fit: Fit, rows: Rows, state: UserState | None, seen: Floats) -> Floats:
    """What the shared weights and the effects add to the variance of a user's margins, shape (n,).

    Args:
        fit: Their posterior.
        rows: Rows of one user.
        state: The user's state, or None.
        seen: Own features times the user's `own_factor`, shape (n, m).
    """
    d = len(fit.weights)
    reach = rows.shared if state is None else rows.shared - times(state["shared_factor"].T, seen)
    found: Floats = (times(fit.covariance[:d, :d], reach) * reach).sum(axis=1)
    if not len(fit.effects):
        return found
    own = np.zeros((0, 2), dtype=np.int64) if state is None else state["items"].astype(np.int64)
    places = np.unique(np.concatenate([rows.items.ravel(), own.ravel(), [NONE]]))[1:]
    if not len(places):
        return found
    # The last column takes what belongs to responses without an effect.
    moves = np.zeros((len(reach), len(places) + 1))
    each = np.arange(len(reach))
    for side, sign in ((0, 1.0), (1, -1.0)):
        moves[each, _columns(rows.items[:, side], places)] += sign
        if state is not None and len(own):
            pulled = sign * times(state["root"].T, seen)
            for j, column in enumerate(_columns(own[:, side], places).tolist()):
                moves[:, column] -= pulled[:, j]
    moves = moves[:, :-1]
    between, among = fit.covariance[d + places, :d], fit.covariance[np.ix_(d + places, d + places)]
    found = found + ((2 * times(between, reach) + times(among, moves)) * moves).sum(axis=1)
    return np.maximum(found, 0)


def _columns(numbers: NDArray[Any], places: NDArray[Any]) -> NDArray[Any]:
    """Where numbers stand among sorted `places`; `NONE` after the last of them."""
    return np.where(numbers == NONE, len(places), np.searchsorted(places, numbers))


def by_state(
    states: Sequence[UserState | None],
) -> list[tuple[UserState | None, NDArray[np.int64]]]:
    """The rows of each state, by identity.

    Returns:
        Each state with the numbers of its rows.
    """
    found: dict[int, tuple[UserState | None, list[int]]] = {}
    for row, state in enumerate(states):
        found.setdefault(id(state), (state, []))[1].append(row)
    return [(state, np.asarray(rows)) for state, rows in found.values()]

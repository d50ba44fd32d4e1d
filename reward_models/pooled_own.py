"""Pooled and own logistic regression: the margins of everybody's and of the user's own one, added."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reward_models._types import SILENT, Floats, Said, UserState, named_arrays
from reward_models.pooled import Design, Pooled, Side, Weights, most_likely, read_pairs, regress
from synthesizeme.types import PreferencePair


class PooledOwn(Pooled):
    """The logistic regression of `reward_models.pooled.Pooled`, and one more per user.

    Both read the same columns x(c, y) of shape (F + T,). A user's own weights v_u minimise the same
    objective over that user's pairs alone, with a C of their own, and

        r_u(c, y) = x(c, y) . w + x(c, y) . v_u

    C for the users' regressions is the one of `reward_models.pooled.STRENGTHS` with the most likely
    validation pairs, after that of the pooled one. Neither regression knows of the other: that is the whole
    difference to a hierarchical model, and most published methods do not beat it. An unknown user is answered
    by the pooled regression, at its own temperature. `fit_user` is one small regression.

    Args:
        features: See `Pooled`.
        unknown_user, seed, floor: See `RewardModel`.

    References:
        See `reward_models.pooled.Pooled`. Evgeniou and Pontil (2004), Regularized multi-task learning, KDD:
        a shared and an own linear part, there fitted together.
    """

    def _choose(
        self, sides: tuple[Side, Side], kept: list[int], held: list[int], pairs: Sequence[PreferencePair]
    ) -> Floats:
        pooled = super()._choose(sides, kept, held, pairs)
        seen, asked = _by_user(pairs, kept), _by_user(pairs, held)
        place = {number: i for i, number in enumerate(held)}
        parts = [
            (
                [self.columns_.rows(side.taken(seen[user])) for side in sides],
                [self.columns_.rows(side.taken(wanted)) for side in sides],
                [place[number] for number in wanted],
            )
            for user, wanted in asked.items()
            if user in seen
        ]

        def margins(strength: float) -> Floats:
            found = np.array(pooled)
            for own, new, places in parts:
                weights = regress(own[0], own[1], strength)
                found[places] += weights.values(new[0]) - weights.values(new[1])
            return found

        self.own_strength_, self.own_temperature_, best = most_likely(margins, len(held))
        return best

    def _user_state(self, pairs: Sequence[PreferencePair], said: Said = SILENT) -> UserState:
        found = self._regression(*read_pairs(self.featurizer_, pairs), self.own_strength_)
        return named_arrays(found)

    def _values(self, rows: Design, states: Sequence[UserState | None]) -> Floats:
        found = self.weights_.values(rows)
        for i, state in enumerate(states):
            if state is None:
                found[i] /= self.temperature_
            else:
                row = Design(rows.features[i : i + 1], rows.texts[i : i + 1])
                found[i] = (found[i] + Weights.named(state).values(row)[0]) / self.own_temperature_
        return found

    def _restore(self, arrays: Mapping[str, NDArray[Any]], facts: Mapping[str, Any]) -> None:
        super()._restore(arrays, facts)
        self.own_strength_ = float(facts["own_strength"])
        self.own_temperature_ = float(facts["own_temperature"])

    def _facts(self) -> dict[str, Any]:
        return {
            **super()._facts(),
            "own_strength": self.own_strength_,
            "own_temperature": self.own_temperature_,
        }

    def _told(self) -> dict[str, float]:
        return {
            **super()._told(),
            "C of the users' own": round(self.own_strength_, 3),
            "temperature of known users": round(self.own_temperature_, 3),
        }


def _by_user(pairs: Sequence[PreferencePair], numbers: Sequence[int]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for number in numbers:
        found.setdefault(pairs[number].user_id, []).append(number)
    return found

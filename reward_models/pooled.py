"""Pooled logistic regression: what scikit-learn makes of everybody's pairs at once, the first rival."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reward_models._base import RewardModel
from reward_models._chosen_features import chosen_features, same_features
from reward_models._columns import Columns, Rows, Side, read_pairs, read_side
from reward_models._estimates import Estimates, Floats, sigmoid
from reward_models._held_out import held_out_split
from reward_models._regression import Weights, regress
from reward_models._types import Histories, Prompt, UserState, Words
from synthesizeme.feedback import UserWords
from synthesizeme.temperature import fit_margin_temperature
from synthesizeme.types import PreferencePair

STRENGTHS = tuple(10 ** (k / 2) for k in range(-3, 5))
"""The C that are tried, from 0.03 to 100."""
UNTRIED = 1.0
"""C where there is no pair to choose it by."""


class Pooled(RewardModel):
    """One logistic regression on the difference of two responses, for everybody.

    A response y to a prompt c has F standardised features, divided by sqrt(F), and, where it stands in at
    least two training pairs, a column of its own: x(c, y) of shape (F + T,). Reward r(c, y) = x(c, y) . w.
    Objective, minimised over w by scikit-learn's `LogisticRegression` without an intercept:

        |w|^2 / 2 + C sum -log sigma(r(c, y+) - r(c, y-))

    C is the one of `STRENGTHS` with the most likely validation pairs (or a seeded fifth of every user's) at
    their best temperature, which calibrates the probabilities; then w is fitted again to all pairs. It does
    not know users: a fitted user's state is empty, and an unknown user gets the same rewards.

    Args:
        features: Specification of `open_features`; ``auto`` is named features and the default encoder
            (`reward_models._default_encoder`), or the former alone where none can be opened. Give it the
            features of the model that it is to stand beside.
        unknown_user, seed, floor: See `RewardModel`.

    References:
        Bradley and Terry (1952), Biometrika 39. Pedregosa et al. (2011), Scikit-learn, JMLR 12.
    """

    def __init__(self, *, features: str = "auto", **base: Any) -> None:
        super().__init__(**base)
        self.features = features

    def _fit(self, histories: Histories, words: Words) -> dict[str, UserState]:
        self.spec_, self.featurizer_ = chosen_features(self.features)
        pairs = [pair for user_pairs in histories.values() for pair in user_pairs]
        sides = read_pairs(self.featurizer_, pairs)
        kept, held = held_out_split(histories, self.seed)
        self._choose(sides, _places(pairs, kept), _places(pairs, held), pairs)
        self.columns_ = Columns.learn(*sides)
        self.weights_ = self._regression(*sides, self.strength_)
        return self._user_states(histories, words)

    def _choose(
        self, sides: tuple[Side, Side], kept: list[int], held: list[int], pairs: Sequence[PreferencePair]
    ) -> Floats:
        """Set what the held-out pairs decide; returns their margins. `kept` and `held` number `pairs`."""
        self.columns_ = Columns.learn(*(side.taken(kept) for side in sides))
        seen, asked = ([self.columns_.rows(side.taken(some)) for side in sides] for some in (kept, held))

        def margins(strength: float) -> Floats:
            found = regress(seen[0], seen[1], strength)
            return found.values(asked[0]) - found.values(asked[1])

        self.strength_, self.temperature_, best = most_likely(margins, len(held))
        return best

    def _regression(self, chosen: Side, rejected: Side, strength: float) -> Weights:
        return regress(self.columns_.rows(chosen), self.columns_.rows(rejected), strength)

    def _user_state(self, pairs: Sequence[PreferencePair], words: UserWords | None = None) -> UserState:
        return {}

    def _rewards(
        self, prompts: Sequence[Prompt], responses: Sequence[str], states: Sequence[UserState | None]
    ) -> Estimates:
        rows = self.columns_.rows(read_side(self.featurizer_, prompts, responses))
        value = self._values(rows, states)
        return Estimates(value, sigmoid(value))  # features are centred: a typical response has reward 0

    def _values(self, rows: Rows, states: Sequence[UserState | None]) -> Floats:
        """Calibrated reward of each row, shape (n,)."""
        return self.weights_.values(rows) / self.temperature_

    def _arrays(self) -> dict[str, NDArray[Any]]:
        return {**self.columns_.arrays(), **self.weights_.arrays("weights.")}

    def _restore(self, arrays: Mapping[str, NDArray[Any]], facts: Mapping[str, Any]) -> None:
        self.spec_ = facts["features"]
        self.featurizer_ = same_features(self.name, self.spec_, facts["identity"])
        self.columns_, self.weights_ = Columns.restored(arrays), Weights.named(arrays, "weights.")
        self.strength_, self.temperature_ = float(facts["strength"]), float(facts["temperature"])

    def _facts(self) -> dict[str, Any]:
        return {
            "features": self.spec_,
            "identity": self.featurizer_.identity,
            "strength": self.strength_,
            "temperature": self.temperature_,
        }

    def _told(self) -> dict[str, float]:
        return {
            "C": round(self.strength_, 3),
            "temperature": round(self.temperature_, 3),
            "texts with a column": len(self.columns_.keys),
        }


def most_likely(margins: Callable[[float], Floats], n_held: int) -> tuple[float, float, Floats]:
    """The C of `STRENGTHS` whose held-out margins are most likely, its temperature, and its margins.

    Args:
        margins: Margins of the held-out pairs, shape (n,), under a C.
        n_held: n; without a held-out pair C is `UNTRIED`.
    """
    if not n_held:
        return UNTRIED, 1.0, np.zeros(0)
    best, least = None, np.inf
    for strength in STRENGTHS:
        found = margins(strength)
        temperature = fit_margin_temperature(found)
        loss = float(np.logaddexp(0, -found / temperature).mean())
        if loss < least:
            best, least = (strength, temperature, found), loss
    assert best is not None
    return best


def _places(pairs: Sequence[PreferencePair], some: Sequence[PreferencePair]) -> list[int]:
    wanted = {id(pair) for pair in some}
    return [i for i, pair in enumerate(pairs) if id(pair) in wanted]

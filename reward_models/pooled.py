"""Pooled logistic regression: what scikit-learn makes of everybody's pairs at once, the first rival.

It is shown the difference of two responses: their features as one unit, and which text each is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.linear_model import LogisticRegression

from reward_models._base import RewardModel
from reward_models._effects import NONE, Numbers
from reward_models._features import chosen_features, same_features
from reward_models._sketches import text_digest
from reward_models._training_pairs import both_sides, held_out_split
from reward_models._types import (
    SILENT,
    Asked,
    Estimates,
    Features,
    Floats,
    Histories,
    Prompt,
    Said,
    Sayings,
    UserState,
    named_arrays,
    sigmoid,
)
from synthesizeme.temperature import fit_margin_temperature
from synthesizeme.types import PreferencePair

CLIP = 8.0
"""Standardised features stay within this many standard deviations of the training responses."""


class Side(NamedTuple):
    """What is read of n responses, before anything is learned from them."""

    features: Floats
    """Features as they come, shape (n, F)."""
    keys: NDArray[np.uint64]
    """A hash of each response with its prompt, shape (n,)."""

    def taken(self, rows: Sequence[int]) -> Side:
        """Some of the responses."""
        return Side(self.features[rows], self.keys[rows])


class Design(NamedTuple):
    """n responses in the columns of a regression."""

    features: Floats
    """Standardised features divided by sqrt(F), so that a typical row has length one; shape (n, F)."""
    texts: Numbers
    """Number of each response's own column, or `NONE`; shape (n,)."""


def read_side(features: Features, prompts: Sequence[Prompt], responses: Sequence[str]) -> Side:
    """What is read of responses to prompts."""
    found = np.asarray(features.responses(prompts, responses), dtype=np.float64)
    return Side(found.reshape(len(responses), features.dim), _keys(prompts, responses))


def read_pairs(features: Features, pairs: Sequence[PreferencePair]) -> tuple[Side, Side]:
    """What is read of the chosen and of the rejected responses."""
    both, n = read_side(features, *both_sides(pairs)), len(pairs)
    return both.taken(range(n)), both.taken(range(n, 2 * n))


class Columns(NamedTuple):
    """From responses to rows, after `learn`ing centres, scales and the texts that recur.

    A text, a response to its prompt, has a column of its own if it stands in at least two training pairs.
    Texts are known by their hashes; none is kept.
    """

    mean: Floats
    """Mean of every feature over the training responses, shape (F,)."""
    scale: Floats
    """Standard deviation of every feature, 1 of a constant one, shape (F,)."""
    keys: NDArray[np.uint64]
    """Hashes of the texts with a column, in ascending order, shape (T,)."""

    @classmethod
    def learn(cls, chosen: Side, rejected: Side) -> Columns:
        """Columns for the pairs of these responses."""
        both = np.concatenate([chosen.features, rejected.features])
        spread = both.std(axis=0)
        keys, counts = np.unique(np.concatenate([chosen.keys, rejected.keys]), return_counts=True)
        return cls(both.mean(axis=0), np.where(spread > 1e-6, spread, 1.0), keys[counts >= 2])

    def rows(self, side: Side) -> Design:
        """The responses in these columns."""
        standard = np.clip((side.features - self.mean) / self.scale, -CLIP, CLIP)
        return Design(standard / np.sqrt(max(1, len(self.mean))), self._numbers(side.keys))

    def _numbers(self, keys: NDArray[np.uint64]) -> Numbers:
        if not len(self.keys):
            return np.full(len(keys), NONE, dtype=np.int64)
        places = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
        return np.where(self.keys[places] == keys, places, NONE).astype(np.int64)


def _keys(prompts: Sequence[Prompt], responses: Sequence[str]) -> NDArray[np.uint64]:
    found = [text_digest(prompt, response)[:8] for prompt, response in zip(prompts, responses, strict=True)]
    return np.array([int.from_bytes(key, "little") for key in found], dtype=np.uint64)


MARK = 0.5
"""Value of a text's column where the text stands: it may move a margin half as far as all features may."""
PASSES = 2000
TOLERANCE = 1e-6


class Weights(NamedTuple):
    """What a regression found."""

    features: Floats
    """Weights of the features, shape (F,)."""
    numbers: Numbers
    """Numbers of the texts whose columns have a weight, in ascending order, shape (t,)."""
    texts: Floats
    """What each of these texts is worth, shape (t,)."""

    @classmethod
    def named(cls, arrays: Mapping[str, NDArray[Any]], prefix: str = "") -> Weights:
        """Weights from arrays by their names."""
        return cls(*(arrays[prefix + name] for name in cls._fields))

    def values(self, rows: Design) -> Floats:
        """Reward of each row, shape (n,)."""
        # A sum along rows, not a matrix product: a row's value must not depend on its batch.
        found = (rows.features * self.features).sum(axis=1)
        if len(self.numbers):
            places = np.minimum(np.searchsorted(self.numbers, rows.texts), len(self.numbers) - 1)
            found += np.where(self.numbers[places] == rows.texts, self.texts[places], 0.0)
        return np.asarray(found, dtype=np.float64)


def regress(chosen: Design, rejected: Design, strength: float) -> Weights:
    """The weights w, without an intercept, that maximise `log sigma` of the margins under a ridge.

    Minimises ``|w|^2 / 2 + C sum_i log(1 + exp(-(x(y+_i) - x(y-_i)) . w))``, x being the features of a
    response and, where the text has a column, `MARK` in it.

    Args:
        chosen: The chosen responses of n >= 1 pairs.
        rejected: The rejected ones.
        strength: C, the weight of the data; the smaller, the nearer to no preference.
    """
    numbers = np.unique(np.concatenate([chosen.texts, rejected.texts]))
    numbers = numbers[numbers != NONE]
    design = sparse.hstack(
        [
            sparse.csr_array(chosen.features - rejected.features),
            MARK * (_marks(chosen.texts, numbers) - _marks(rejected.texts, numbers)),
        ]
    ).tocsr()
    if design.shape[0] <= design.shape[1]:
        # The optimum lies in the span of the rows: an orthonormal basis of it has the same ridge.
        basis, coordinates = np.linalg.qr(design.toarray().T)
        found = basis @ _optimum(coordinates.T, strength)
    else:
        found = _optimum(design, strength)
    width = chosen.features.shape[1]
    return Weights(found[:width], numbers, MARK * found[width:])


def _optimum(design: Any, strength: float) -> Floats:
    n = design.shape[0]
    signs = np.where(np.arange(n) % 2, -1.0, 1.0)  # scikit-learn wants to see both classes
    if n == 1:
        design, signs, strength = np.concatenate([design, -design]), np.array([1.0, -1.0]), strength / 2
        turned = design
    else:
        turned = sparse.diags_array(signs) @ design
    model = LogisticRegression(C=strength, fit_intercept=False, tol=TOLERANCE, max_iter=PASSES)
    return np.asarray(model.fit(turned, signs).coef_[0], dtype=np.float64)


def _marks(texts: Numbers, numbers: Numbers) -> Any:
    """One in each text's column, shape (n, t)."""
    rows = np.flatnonzero(texts != NONE)
    at = np.searchsorted(numbers, texts[rows])
    return sparse.csr_array((np.ones(len(rows)), (rows, at)), shape=(len(texts), len(numbers)))


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
            (`reward_models._features`), or the former alone where none can be opened. Give it the
            features of the model that it is to stand beside.
        unknown_user, seed, floor: See `RewardModel`.

    References:
        Bradley and Terry (1952), Biometrika 39. Pedregosa et al. (2011), Scikit-learn, JMLR 12.
    """

    features: str = "auto"

    def _fit(self, histories: Histories, sayings: Sayings) -> dict[str, UserState]:
        self.spec_, self.featurizer_ = chosen_features(self.features)
        pairs = [pair for user_pairs in histories.values() for pair in user_pairs]
        sides = read_pairs(self.featurizer_, pairs)
        kept, held = held_out_split(histories, self.seed)
        self._choose(sides, _places(pairs, kept), _places(pairs, held), pairs)
        self.columns_ = Columns.learn(*sides)
        self.weights_ = self._regression(*sides, self.strength_)
        return self._user_states(histories, sayings)

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

    def _user_state(self, pairs: Sequence[PreferencePair], said: Said = SILENT) -> UserState:
        return {}

    def _rewards(self, asked: Asked) -> Estimates:
        rows = self.columns_.rows(read_side(self.featurizer_, asked.prompts, asked.responses))
        value = self._values(rows, asked.states)
        return Estimates(value, sigmoid(value))  # features are centred: a typical response has reward 0

    def _values(self, rows: Design, states: Sequence[UserState | None]) -> Floats:
        """Calibrated reward of each row, shape (n,)."""
        return self.weights_.values(rows) / self.temperature_

    def _arrays(self) -> dict[str, NDArray[Any]]:
        return {**named_arrays(self.columns_, "columns."), **named_arrays(self.weights_, "weights.")}

    def _restore(self, arrays: Mapping[str, NDArray[Any]], facts: Mapping[str, Any]) -> None:
        self.spec_ = facts["features"]
        self.featurizer_ = same_features(self.name, self.spec_, facts["identity"])
        self.columns_ = Columns(*(arrays[f"columns.{name}"] for name in Columns._fields))
        self.weights_ = Weights.named(arrays, "weights.")
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

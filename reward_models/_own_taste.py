"""In what a user's choices differ from those that are predicted of anybody, by named features.

Let z_ij be how much more of feature j the chosen response of pair i has than the rejected one, and p_i the
calibrated probability that the model gives that choice for nobody, without what it learned from this user.
Each feature by itself has the score, the information, and the deviation

    s_j = sum_i z_ij (1 - p_i),    I_j = sum_i z_ij^2 p_i (1 - p_i),    d_j = s_j / (I_j + 1 / V_j)       (1)

d_j being one Newton step toward the mode of a deviation in this feature alone with prior variance V_j. If the
user chose as anybody does, d_j would have mean 0 and standard deviation

    e_j = sqrt(I_j) / (I_j + 1 / V_j),                                                                 (2)

its standard error. d_j / e_j = s_j / sqrt(I_j) is Rao's score statistic: however small V_j is, it shrinks
both alike, and thirty choices the same way are no less clear for a cautious prior. The posterior standard
deviation would be the wrong measure here: it hardly falls below the prior one, so that nothing would ever be
clear. All features together are tested by T = sum_j s_j^2 / I_j against choices drawn with p_i
(`synthesizeme.taste.chance`).

References:
    Rao, "Large sample tests of statistical hypotheses concerning several parameters", 1948.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reward_models._basis import STYLE
from reward_models._effects import NONE
from reward_models._hierarchy import Fit, Own, Rows, Variances, fit_own, times
from reward_models._left_out import Case, moderated
from reward_models._tastes import Tastes
from reward_models._types import Floats, UserState, sigmoid
from synthesizeme import stylometry
from synthesizeme.profile import APART_LEVEL, OwnTaste
from synthesizeme.taste import chance
from synthesizeme.types import Evidence


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


_NO_DIFFERENCE = 1e-6
_SURE = 1e-6
"""A probability is at least that far from 0 and 1."""


@dataclass(frozen=True)
class Deviations:
    """Equations (1) and (2) for k named features."""

    value: Floats
    """d, shape (k,); 0 where a feature never differs."""
    standard_error: Floats
    """e, shape (k,)."""
    differs: NDArray[np.bool_]
    """Whether a feature differs in any pair, shape (k,)."""


def deviations(style: Floats, probability: Floats, variance: Floats) -> Deviations:
    """How the user deviates in each named feature by itself.

    Args:
        style: z, chosen minus rejected, shape (n, k).
        probability: p, of the choices that were made, shape (n,), in (0, 1).
        variance: V, shape (k,), not negative.

    >>> found = deviations(np.ones((30, 1)), np.full(30, 0.5), np.array([0.1]))
    >>> found.value.round(3), found.standard_error.round(3)  # 15 / (7.5 + 10), sqrt(7.5) / (7.5 + 10)
    (array([0.857]), array([0.156]))
    """
    information = (style**2).T @ (probability * (1 - probability))
    shrunken = variance / (1 + variance * information)
    return Deviations(
        value=shrunken * (style.T @ (1 - probability)),
        standard_error=shrunken * np.sqrt(information),
        differs=np.asarray((np.abs(style) > _NO_DIFFERENCE).any(axis=0)),
    )


def nobodys_choices(
    rows: Rows,
    own: Own,
    learned: NDArray[np.bool_],
    fit: Fit,
    variances: Variances,
    sharpness: Mapping[Case, float],
    outside: Floats,
) -> Floats:
    """p: the calibrated probability of each of a user's choices for nobody, shape (n,), in (0, 1).

    Args:
        rows: The user's n pairs.
        own: The user's deviations by all of them.
        learned: Whether each was among the pairs that `fit` is the fit of, shape (n,); those are left out.
        fit: Shared weights and effects.
        variances: Prior variances.
        sharpness: How sharp probabilities may be.
        outside: Variance of what no feature of a row represents, shape (n,).
    """
    mean, variance = _nobodys_margins(rows, own, learned, fit, variances)
    variance = variance + outside
    judged = (rows.items != NONE).all(axis=1)
    sharp = np.where(judged, sharpness["nobody"], sharpness["nobody, new"])
    return np.clip(sigmoid(sharp * moderated(mean, variance)), _SURE, 1 - _SURE)


def _nobodys_margins(
    rows: Rows, own: Own, learned: NDArray[np.bool_], fit: Fit, variances: Variances
) -> tuple[Floats, Floats]:
    """Mean and variance of the margins of a user's pairs for nobody, both of shape (n,).

    With M = (K + W^-1)^-1 of the learned pairs at their mode, t their working responses, m their margins by
    the shared weights and effects, and C the covariance of these, all of the learned pairs are left out at
    once (Rasmussen and Williams 2006, section 5.4.2, for a block):

        A = M - M C M,    mean = t - A^-1 M (t - m),    variance = diag(A^-1 - W^-1).

    The variance includes that of anybody's deviations. Pairs of the user that were learned from and are not
    among `rows` cannot be left out.
    """
    mean = fit.offsets(rows)
    unjudged = (rows.items == NONE).sum(axis=1)
    variance = (rows.own**2 * variances.own).sum(axis=1) + unjudged * variances.items
    fresh = ~learned
    if fresh.any():
        part = rows[fresh]
        variance[fresh] += shared_variance(fit, part, None, np.zeros((len(part), 0)))
    if learned.any():
        part = rows[learned]
        if fresh.any():
            own = fit_own(part, mean[learned], variances.own)
        margin = mean[learned] + part.own @ own.mean
        p = sigmoid(margin)
        noise = 1 / np.maximum(p * (1 - p), 1e-10)
        block = own.root.T @ own.root
        held = block - block @ _shared_covariance(fit, part) @ block
        inverse = np.linalg.inv(held)
        working = margin + (1 - p) * noise
        variance[learned] = np.maximum(np.diag(inverse) - noise, 0) + (unjudged * variances.items)[learned]
        mean[learned] = working - inverse @ (block @ (working - mean[learned]))
    return mean, variance


def _shared_covariance(fit: Fit, rows: Rows) -> Floats:
    """Covariance of margins by the uncertainty of shared weights and effects, shape (n, n)."""
    d = len(fit.weights)
    places = np.unique(rows.items[rows.items != NONE])
    moves = np.zeros((len(rows), len(places)))
    for side, sign in ((0, 1.0), (1, -1.0)):
        there = np.flatnonzero(rows.items[:, side] != NONE)
        moves[there, np.searchsorted(places, rows.items[there, side])] += sign
    both = np.concatenate([rows.shared, moves], axis=1)
    kept = np.concatenate([np.arange(d), d + places])
    found: Floats = both @ fit.covariance[np.ix_(kept, kept)] @ both.T
    return found


CLEAR = 1.5
"""Standard errors from zero within which a weight is not listed."""
_SHOWN_PAIRS = 4


@dataclass(frozen=True)
class NamedWeights:
    """What a model believes of the named features, in calibrated log-odds; shape (STYLE,) each."""

    weight: Floats
    """Shared weights."""
    standard_error: Floats
    """Theirs."""
    own_variance: Floats
    """Prior variances of the users' deviations."""


def named_weights(
    fit: Fit, variances: Variances, tastes: Tastes, sharpness: Mapping[Case, float]
) -> NamedWeights:
    """Of the named features, as far as probabilities of texts that nobody judged go by them."""
    nobody, known = sharpness["nobody, new"], sharpness["new"]
    own = variances.own[:STYLE] + (tastes.features[:STYLE] ** 2).sum(axis=1)
    return NamedWeights(
        weight=nobody * fit.weights[:STYLE],
        standard_error=nobody * np.sqrt(np.diag(fit.covariance)[:STYLE]),
        own_variance=known**2 * own,
    )


def own_taste(state: UserState, population: NamedWeights, seed: int) -> OwnTaste:
    """Whether the user of a state differs from the population, and if so, in what.

    Args:
        state: With `style` (n, STYLE), the features of the chosen minus those of the rejected responses, and
            `nobody` (n,), the probabilities of the choices for nobody.
        population: Weights that everybody shares.
        seed: Of the test.
    """
    style, probability = (state[name].astype(np.float64) for name in ("style", "nobody"))
    p_value = chance([style], probability, seed)
    anybody = dict(zip(json.loads(bytes(state["pair_ids"])), probability.tolist(), strict=True))
    if p_value > APART_LEVEL:
        return OwnTaste(p_value=p_value, anybody=anybody)
    found = deviations(style, probability, population.own_variance)
    total = found.value + population.weight
    own = _surest(found.value, found.standard_error, found.differs)
    spread = np.hypot(found.standard_error, population.standard_error)
    common = [j for j in _surest(total, spread, found.differs) if j not in own]

    def shown(j: int, sign: float) -> Evidence:
        return Evidence(
            feature=stylometry.FEATURES[j].name,
            statement=stylometry.FEATURES[j].more if sign > 0 else stylometry.FEATURES[j].less,
            weight=float(found.value[j]),
            standard_error=float(found.standard_error[j]),
            population=float(population.weight[j]),
            pair_ids=_pairs_with(sign * style[:, j], state),
        )

    return OwnTaste(
        p_value=p_value,
        anybody=anybody,
        own=tuple(shown(j, found.value[j]) for j in own),
        common=tuple(shown(j, total[j]) for j in common),
    )


def _surest(weight: Floats, standard_error: Floats, differs: NDArray[np.bool_]) -> list[int]:
    """Numbers of the features that are clear of zero, the clearest first."""
    ratio = np.zeros_like(weight)
    np.divide(np.abs(weight), standard_error, out=ratio, where=differs & (standard_error > 0))
    return [j for j in np.argsort(-ratio, kind="stable").tolist() if ratio[j] >= CLEAR]


def _pairs_with(differences: Floats, state: UserState) -> tuple[str, ...]:
    """Ids of the pairs with the largest positive differences, the largest first."""
    ids = json.loads(bytes(state["pair_ids"]))
    best = np.argsort(-differences, kind="stable")[:_SHOWN_PAIRS].tolist()
    return tuple(ids[i] for i in best if differences[i] > 0)

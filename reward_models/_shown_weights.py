"""What is said of a user by named features: `OwnTaste` of the choices that the user's state keeps."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reward_models._basis import STYLE
from reward_models._estimates import Floats
from reward_models._hierarchy import Fit, Variances
from reward_models._left_out import Case
from reward_models._set_apart import chance, deviations
from reward_models._tastes import Tastes
from reward_models._types import UserState
from synthesizeme import stylometry
from synthesizeme.types import Evidence, OwnTaste

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
    p_value = chance(style, probability, seed)
    if not OwnTaste(p_value=p_value).set_apart:
        return OwnTaste(p_value=p_value)
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

"""A user's weight of a named feature, with the pairs that show it."""

from __future__ import annotations

import json

import numpy as np

from reward_models._base import UserState
from synthesizeme import stylometry
from synthesizeme.types import Evidence

_SHOWN_PAIRS = 4


def shown_weight(j: int, weight: float, standard_error: float, state: UserState) -> Evidence:
    """The weight of named feature `j`, and the pairs of the user's state in which it is most to be seen."""
    feature = stylometry.FEATURES[j]
    shown = np.sign(weight) * state["style"][:, j]
    best = [i for i in np.argsort(-shown, kind="stable").tolist() if shown[i] > 0][:_SHOWN_PAIRS]
    ids = json.loads(bytes(state["pair_ids"]))
    return Evidence(
        feature=feature.name,
        statement=feature.more if weight > 0 else feature.less,
        weight=weight,
        standard_error=standard_error,
        pair_ids=tuple(ids[i] for i in best),
    )

"""Mean and scale of a fitted model's rewards over answers that it was trained on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from synthesizeme.scoring import RewardScale
from synthesizeme.types import PreferencePair, Reward

if TYPE_CHECKING:
    from reward_models._base import RewardModel

PAIRS = 128
"""Training pairs, both answers of which are scored; the mean of 256 rewards is known to a sixteenth of a
standard deviation."""
_LEAST = 1e-9


def reward_scale(model: RewardModel, pairs: Sequence[PreferencePair]) -> RewardScale | None:
    """Mean, standard deviation and mean standard error of the tastes of both answers of training pairs.

    Training answers stand on no floor worth mentioning, and it is not asked.

    Args:
        model: Fitted to the pairs; each answer is scored for the user whose pair it is of.
        pairs: The training pairs, of which at most `PAIRS` are drawn by the model's seed.

    Returns:
        None where fewer than two answers can be scored, or all of them have the same reward.
    """
    drawn = np.sort(np.random.default_rng(model.seed).permutation(len(pairs))[:PAIRS]).tolist()
    some = [pairs[i] for i in drawn]
    found = model.taste_rewards(
        [pair.prompt for pair in some] * 2,
        [*(pair.chosen_text for pair in some), *(pair.rejected_text for pair in some)],
        [pair.user_id for pair in some] * 2,
    )
    rewards = [it for it in found if isinstance(it, Reward)]
    values = np.array([it.taste for it in rewards])
    if len(values) < 2 or not np.isfinite(values).all() or values.std() < _LEAST:
        return None
    errors = [it.standard_error for it in rewards if it.standard_error is not None]
    return RewardScale(
        mean=float(values.mean()),
        scale=float(values.std()),
        standard_error=float(np.mean(errors)) if errors else None,
        answers=len(values),
    )

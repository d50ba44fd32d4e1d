"""Mean and scale of a fitted model's rewards over answers that it was trained on."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from reward_models._types import Prompt
from synthesizeme.scoring import RewardScale
from synthesizeme.types import Failure, PreferencePair, Reward

Score = Callable[[Sequence[Prompt], Sequence[str], Sequence[str]], Sequence[Reward | Failure]]
"""Rewards of responses to prompts for users, each by its place in the three sequences."""
PAIRS = 128
"""Training pairs, both answers of which are scored; the mean of 256 rewards is known to a sixteenth of a
standard deviation."""
_LEAST = 1e-9


def reward_scale(score: Score, pairs: Sequence[PreferencePair], seed: int) -> RewardScale | None:
    """Mean, standard deviation and mean standard error of the tastes of both answers of training pairs.

    Training answers stand on no floor worth mentioning, and it is not asked.

    Args:
        score: Tastes of a model that is fitted to the pairs; each answer is scored for the user whose pair it
            is of.
        pairs: The training pairs, of which at most `PAIRS` are drawn.
        seed: Seed of the draw.

    Returns:
        None where fewer than two answers can be scored, or all of them have the same reward.
    """
    drawn = np.sort(np.random.default_rng(seed).permutation(len(pairs))[:PAIRS]).tolist()
    some = [pairs[i] for i in drawn]
    found = score(
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

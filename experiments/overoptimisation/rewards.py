"""What an optimiser sees of a text: taste, with or without the floor, less some standard errors."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from synthesizeme.scoring import as_answers


class Arm(NamedTuple):
    """A way to make one number of a reward."""

    floor: bool
    pessimism: float

    @property
    def name(self):
        return f"{'with' if self.floor else 'without'} floor, pessimism {self.pessimism:g}"


def arms(settings):
    """Every pessimism without and with the floor."""
    return [Arm(floor, k) for floor in (False, True) for k in settings["pessimism"]]


def tastes(model, prompts, texts, users):
    """Rewards without a floor, as the model gives them."""
    return model.taste_rewards(as_answers(prompts, texts, users))


def cautious(found, arm):
    """Taste less the arm's standard errors, shape (n,)."""
    return np.array([reward.taste - arm.pessimism * reward.standard_error for reward in found])


def floors(model, prompts, texts, found):
    """The floor under each of these rewards, at most 0, shape (n,)."""
    answers = as_answers(prompts, texts, [""] * len(texts))
    return np.array([reward.floor for reward in model.standing.rewards(answers, found)])

"""What a model's rewards stand on: its floor, in the model's own unit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from reward_models.floor import Floor, base_floor, check_name, open_floor
from synthesizeme.scoring import RewardScale
from synthesizeme.types import Comparison, Failure, Message, PreferencePair, Reward, Verdict

Meanings = NDArray[np.float32]
NOTHING: Meanings = np.zeros((0, 0), dtype=np.float32)
MOST_PROMPTS = 512
"""Prompts of training that are known, those of the most users."""
CALIBRATED_ON = 128
"""Training pairs on whose answers a floor finds its limits, if it has none of its own."""


class Standing:
    """A floor by name, opened when it is first needed.

    Args:
        name: See `reward_models.floor.open_floor`.
        unit: Standard deviation of the tastes of real answers, in whose multiples the floor is deep.
        known: What prompts mean to which others' answers are known, shape (m, dim).
    """

    def __init__(self, name: str, unit: float = 1.0, known: Meanings = NOTHING) -> None:
        check_name(name)
        self.name, self.unit, self.known = name, unit, known
        self._limits: dict[str, float] = {}

    def on(self, name: str) -> Standing:
        """The same unit on the floor of that name; this one, with what it learned, where it has that name.

        Raises:
            UnknownNameError: no floor is called so.
        """
        return self if name == self.name else Standing(name, self.unit, self.known)

    @cached_property
    def floor(self) -> Floor | None:
        """The floor itself; None for ``none``."""
        found = open_floor(self.name, self.known)
        if found is not None and self._limits:
            found.take(self._limits)
        return found

    def learn(self, pairs: Sequence[PreferencePair], scale: RewardScale | None) -> None:
        """Take the unit, the prompts that several users had, and limits if the floor has none of its own."""
        self.unit = 1.0 if scale is None else scale.scale
        if self.name == "none":
            return
        self.known = base_floor().meanings(_prompts_of_several(pairs))
        self.__dict__.pop("floor", None)
        if self.name.startswith("lm:") and self.floor is not None:
            some = pairs[:: max(1, len(pairs) // CALIBRATED_ON)]
            prompts = [pair.prompt for pair in some] * 2
            self.floor.calibrate(
                prompts, [*(pair.chosen_text for pair in some), *(pair.rejected_text for pair in some)]
            )
            self._limits = self.floor.limits()

    def kept(self) -> tuple[dict[str, float], Meanings]:
        """What a checkpoint keeps: limits that were found, and what known prompts mean."""
        return self._limits, self.known

    def restore(self, limits: Mapping[str, float], known: Meanings, unit: float) -> None:
        """Take what `kept` gave; the floor is not opened yet."""
        self._limits, self.known, self.unit = dict(limits), known, unit

    def forget(self) -> None:
        """Drop the texts read lately, which may be a user's."""
        if "floor" in self.__dict__ and self.floor is not None:
            self.floor.forget()

    def rewards(
        self,
        prompts: Sequence[Sequence[Message]],
        responses: Sequence[str],
        tastes: Sequence[Reward | Failure],
    ) -> list[Reward | Failure]:
        """Rewards on the floor; failures stay."""
        asked = [i for i, it in enumerate(tastes) if isinstance(it, Reward)]
        if self.floor is None or not asked:
            return list(tastes)
        found = list(tastes)
        fallen = self.floor.shortfalls([prompts[i] for i in asked], [responses[i] for i in asked])
        for i, shortfall in zip(asked, fallen.tolist(), strict=True):
            reward = found[i]
            assert isinstance(reward, Reward)
            found[i] = reward.on(0.0 - self.unit * shortfall)
        return found

    def verdicts(
        self, comparisons: Sequence[Comparison], found: Sequence[Verdict | Failure]
    ) -> list[Verdict | Failure]:
        """Verdicts with the floors of both responses; failures stay."""
        asked = [i for i, it in enumerate(found) if isinstance(it, Verdict)]
        if self.floor is None or not asked:
            return list(found)
        prompts = [comparisons[i].prompt for i in asked] * 2
        texts = [*(comparisons[i].first for i in asked), *(comparisons[i].second for i in asked)]
        fallen = (0.0 - self.unit * self.floor.shortfalls(prompts, texts)).tolist()
        on_floor = list(found)
        for row, i in enumerate(asked):
            verdict = on_floor[i]
            assert isinstance(verdict, Verdict)
            on_floor[i] = verdict.on(fallen[row], fallen[len(asked) + row])
        return on_floor


def _prompts_of_several(pairs: Sequence[PreferencePair]) -> list[tuple[Message, ...]]:
    """Prompts that more than one user had, so that none tells of one user alone."""
    users: dict[tuple[Message, ...], set[str]] = {}
    for pair in pairs:
        users.setdefault(tuple(pair.prompt), set()).add(pair.user_id)
    several = [prompt for prompt, whose in users.items() if len(whose) > 1]
    return sorted(several, key=lambda prompt: -len(users[prompt]))[:MOST_PROMPTS]

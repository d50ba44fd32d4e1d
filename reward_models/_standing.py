"""What a model's rewards stand on: its floor, in the model's own unit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from synthesizeme.scoring import RewardScale
from synthesizeme.types import Comparison, Failure, Message, PreferencePair, Reward, Verdict

if TYPE_CHECKING:
    from reward_models.floor import Floor

CALIBRATED_ON = 128
"""Training pairs on whose answers a floor finds its limits, if it has none of its own."""


class Standing:
    """A floor by name, opened when it is first needed.

    Args:
        name: See `reward_models.floor.open_floor`.
        unit: Standard deviation of the tastes of real answers, in whose multiples the floor is deep.
    """

    def __init__(self, name: str, unit: float = 1.0) -> None:
        from reward_models.floor import check_name

        check_name(name)
        self.name, self.unit = name, unit
        self._numbers: dict[str, float] = {}

    def on(self, name: str) -> Standing:
        """The same unit on the floor of that name; this one, with what it learned, where it has that name.

        Raises:
            UnknownNameError: no floor is called so.
        """
        return self if name == self.name else Standing(name, self.unit)

    @cached_property
    def floor(self) -> Floor | None:
        """The floor itself; None for ``none``."""
        from reward_models.floor import open_floor

        found = open_floor(self.name)
        if found is not None and self._numbers:
            found.take(self._numbers)
        return found

    def learn(self, pairs: Sequence[PreferencePair], scale: RewardScale | None) -> None:
        """Take the unit of a model's tastes, and the limits of real answers where the floor has none."""
        self.unit = 1.0 if scale is None else scale.scale
        if self.name.startswith("lm:") and self.floor is not None:
            some = pairs[:: max(1, len(pairs) // CALIBRATED_ON)]
            prompts = [pair.prompt for pair in some] * 2
            self.floor.calibrate(
                prompts, [*(pair.chosen_text for pair in some), *(pair.rejected_text for pair in some)]
            )

    def numbers(self) -> dict[str, float]:
        """What a checkpoint keeps of the floor: its limits, where `learn` found them."""
        return self.floor.limits() if self.name.startswith("lm:") and self.floor is not None else {}

    def restore(self, numbers: Mapping[str, float]) -> None:
        """Take what `numbers` gave; the floor is not opened yet."""
        self._numbers = dict(numbers)

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

"""What a model's rewards stand on: their scale over training answers, and the floor in that unit."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property

import numpy as np

from reward_models.floor import NOTHING, Floor, Meanings, base_floor, check_name, open_floor
from synthesizeme.scoring import Answer, RewardScale
from synthesizeme.types import Comparison, Failure, Message, PreferencePair, Reward, Verdict

PAIRS = 128
"""Training pairs, both answers of which are scored; the mean of 256 rewards is known to a sixteenth of a
standard deviation."""
_LEAST = 1e-9


def reward_scale(
    score: Callable[[Sequence[Answer]], Sequence[Reward | Failure]],
    pairs: Sequence[PreferencePair],
    seed: int,
) -> RewardScale | None:
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
        [Answer(it.prompt, text, it.user_id) for it in some for text in (it.chosen_text, it.rejected_text)]
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
        self.floor = open_floor(self.name, self.known)
        if self.floor is not None:
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
        self, answers: Sequence[Answer], tastes: Sequence[Reward | Failure]
    ) -> list[Reward | Failure]:
        """Rewards on the floor; failures stay."""
        if self.floor is None:
            return list(tastes)
        asked = [answer for answer, it in zip(answers, tastes, strict=True) if isinstance(it, Reward)]
        floors = self._floors(self.floor, [it.prompt for it in asked], [it.response for it in asked])
        return [it.on(next(floors)) if isinstance(it, Reward) else it for it in tastes]

    def verdicts(
        self, comparisons: Sequence[Comparison], found: Sequence[Verdict | Failure]
    ) -> list[Verdict | Failure]:
        """Verdicts with the floors of both responses; failures stay."""
        if self.floor is None:
            return list(found)
        asked = [c for c, it in zip(comparisons, found, strict=True) if isinstance(it, Verdict)]
        floors = self._floors(
            self.floor,
            [c.prompt for c in asked for _ in range(2)],
            [text for c in asked for text in (c.first, c.second)],
        )
        return [it.on(next(floors), next(floors)) if isinstance(it, Verdict) else it for it in found]

    def _floors(
        self, floor: Floor, prompts: Sequence[Sequence[Message]], responses: Sequence[str]
    ) -> Iterator[float]:
        """What the floor takes off each response, at most 0, in log-odds."""
        return iter((0.0 - self.unit * floor.shortfalls(prompts, responses)).tolist())


def _prompts_of_several(pairs: Sequence[PreferencePair]) -> list[tuple[Message, ...]]:
    """Prompts that more than one user had, so that none tells of one user alone."""
    users: dict[tuple[Message, ...], set[str]] = {}
    for pair in pairs:
        users.setdefault(tuple(pair.prompt), set()).add(pair.user_id)
    several = [prompt for prompt, whose in users.items() if len(whose) > 1]
    return sorted(several, key=lambda prompt: -len(users[prompt]))[:MOST_PROMPTS]

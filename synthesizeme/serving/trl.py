"""The reward of a user's own taste for TRL's ``GRPOTrainer``, with ``user_id`` as a column of the data set.

    from synthesizeme.serving.trl import reward_function

    trainer = GRPOTrainer(model, reward_funcs=reward_function("CHECKPOINT"), train_dataset=rows, ...)

A row is ``{"prompt": text or messages, "user_id": ...}``. A column ``about`` with what the user said beside
choices (text, or an object with fields of `synthesizeme.feedback.UserWords`) makes known a user whom the
model does not know. What was not scored is None. TRL logs a row for which every reward function gives None in
full: with private prompts, answer unknown users by the population, or leave them out of the data.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

from synthesizeme.datasets._intake import SourceRow, shown
from synthesizeme.errors import ConfigError
from synthesizeme.scoring import PersonalRewards
from synthesizeme.serving.places import opened
from synthesizeme.serving.protocol import ScalarRewards, Score
from synthesizeme.serving.rows import ABOUT, answered, tried
from synthesizeme.serving.settings import Settings

Rewards = list[float | None]
NAME = "personal_reward"
"""What TRL calls the function in its logs."""

_log = logging.getLogger(__name__)


def reward_function(
    model: PersonalRewards | str | Path | None = None,
    *,
    profiles: str | None = None,
    unknown_user: str | None = None,
    on_error: str | None = None,
    pessimism: float | None = None,
    normalize: bool | None = None,
    clip: float | None = None,
    floor: str | None = None,
    user_column: str = "user_id",
    about_column: str = "about",
) -> Callable[..., Rewards]:
    """A reward function for ``reward_funcs``.

    Through TRL's ``log_metric`` it logs ``personal_reward/scored``, the share of rows that got their own
    user's reward; and of the rows with a reward the mean ``taste`` and the mean ``floor``, in the model's own
    unit, and ``below_floor``, the share whose response is hardly an answer to its prompt. It warns once, when
    users that are unknown first get None. Its attribute ``counts`` holds the rows so far by status.

    Args:
        model: A fitted model, a checkpoint folder, or ``judge:NAME`` (see `synthesizeme.serving.models`). By
            default that of the environment variable ``SYNTHESIZEME_REWARD_MODEL``, else the population that
            is shipped; ``reward_models.load().fit_users(...)`` is that one with users of yours.
        profiles: Path or URL of a store of profiles whose users are fitted, for a model that is not given
            fitted.
        unknown_user: ``refuse`` (default) gives None for a user the model does not know, ``population`` (the
            default of the shipped population without `profiles`) the population's reward.
        on_error: ``population`` (default) gives a row that cannot be scored the population's reward, or None
            where there is none either; ``raise`` raises.
        pessimism: Standard errors that are taken off a reward (`synthesizeme.serving.settings.Settings`); by
            default none.
        normalize: Whether rewards have mean 0 and standard deviation 1 over the model's training answers.
        clip: Largest absolute value of a normalised reward.
        floor: What rewards stand on, ``base``, ``none`` or ``lm:NAME``; a fitted model is put on it. By
            default what the model stands on.
        user_column: Column of the data set with the user's id.
        about_column: Column with what the user said beside choices; it may be missing, and null in rows.

    Raises:
        ConfigError: a setting is wrong, the model lacks what one needs, or a model that is not given fitted
            knows nobody while unknown users are refused.
        DataError: the folder holds no checkpoint that can be read.
    """
    settings = {"pessimism": pessimism, "normalize": normalize, "clip": clip, "floor": floor}
    scalar = _opened(model, profiles, unknown_user=unknown_user, on_error=on_error, **settings)
    batches = _Batches(scalar, user_column, about_column)

    def personal_reward(prompts: Sequence[Any], completions: Sequence[Any], **columns: Any) -> Rewards:
        return batches.rewards(prompts, completions, columns)

    _name(personal_reward, batches)
    return personal_reward


def async_reward_function(
    model: PersonalRewards | str | Path | None = None,
    *,
    profiles: str | None = None,
    unknown_user: str | None = None,
    on_error: str | None = None,
    pessimism: float | None = None,
    normalize: bool | None = None,
    clip: float | None = None,
    floor: str | None = None,
    user_column: str = "user_id",
    about_column: str = "about",
) -> Callable[..., Awaitable[Rewards]]:
    """`reward_function` as a coroutine function: it scores in a thread while others are awaited."""
    settings = {"pessimism": pessimism, "normalize": normalize, "clip": clip, "floor": floor}
    scalar = _opened(model, profiles, unknown_user=unknown_user, on_error=on_error, **settings)
    batches = _Batches(scalar, user_column, about_column)

    async def personal_reward(prompts: Sequence[Any], completions: Sequence[Any], **columns: Any) -> Rewards:
        return await asyncio.to_thread(batches.rewards, prompts, completions, columns)

    _name(personal_reward, batches)
    return personal_reward


def _opened(
    model: PersonalRewards | str | Path | None, profiles: str | None, **settings: Any
) -> ScalarRewards:
    if model is None or isinstance(model, str | Path):
        return opened(None if model is None else str(model), profiles=profiles, **settings)
    return ScalarRewards(model, Settings(**{name: it for name, it in settings.items() if it is not None}))


def _name(function: Any, batches: _Batches) -> None:
    function.__name__ = function.__qualname__ = NAME
    function.counts = batches.scalar.counts


class _Batches:
    """The rewards of one function's batches, and its one warning."""

    def __init__(self, scalar: ScalarRewards, user_column: str, about_column: str) -> None:
        self.scalar, self._user_column, self._about_column = scalar, user_column, about_column
        self._warned = False

    def rewards(self, prompts: Sequence[Any], completions: Sequence[Any], columns: dict[str, Any]) -> Rewards:
        """The reward of every row."""
        users = columns.get(self._user_column)
        if users is None:
            names = ", ".join(sorted(name for name, value in columns.items() if isinstance(value, list)))
            raise ConfigError(
                f"the data set has no column {self._user_column!r} (found {names or 'none'}); add one with "
                "the id of each prompt's user, or name it with user_column"
            )
        said = columns.get(self._about_column) or [None] * len(users)
        rows = [
            {"user_id": user, "prompt": prompt, "response": _text(completion), ABOUT: about}
            for user, prompt, completion, about in zip(users, prompts, completions, said, strict=True)
        ]
        places = [SourceRow(NAME, number, row) for number, row in enumerate(rows, start=1)]
        found = answered(self.scalar, [tried(place) for place in places])
        self._warn([user for user, score in zip(users, found, strict=True) if score.status == "unknown_user"])
        if callable(log_metric := columns.get("log_metric")):
            for name, value in self._metrics(found).items():
                log_metric(f"{NAME}/{name}", value)
        return [score.value for score in found]

    def _metrics(self, found: Sequence[Score]) -> dict[str, float]:
        metrics = {
            "scored": [float(score.scored) for score in found],
            "taste": [score.taste for score in found if score.taste is not None],
            "floor": [score.floor for score in found if score.floor is not None],
            "below_floor": [float(self.scalar.fallen(score)) for score in found if score.floor is not None],
        }
        return {name: sum(values) / len(values) for name, values in metrics.items() if values}

    def _warn(self, unknown: Sequence[str]) -> None:
        if unknown and not self._warned:
            self._warned = True
            _log.warning(
                "users in this batch that the model does not know, whose rows get no reward: %d, the first "
                "%s. Cure: fit them to their pairs (profiles=URL of a store), leave them out of the data, or "
                "set unknown_user to 'population'. This is said once; `counts` has the rows so far",
                len(set(unknown)),
                shown(unknown[0]),
            )


def _text(completion: Any) -> Any:
    """A completion as one response: of several messages, the text of the assistant's."""
    if not isinstance(completion, list) or len(completion) < 2:
        return completion
    said = [turn for turn in completion if isinstance(turn, dict) and turn.get("role") == "assistant"]
    texts = [turn["content"] for turn in said if isinstance(turn.get("content"), str)]
    return "\n\n".join(texts) if len(texts) == len(said) and texts else completion

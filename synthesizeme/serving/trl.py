"""The reward of a user's own taste for TRL's ``GRPOTrainer``, with ``user_id`` as a column of the data set.

    from synthesizeme.serving.trl import reward_function

    trainer = GRPOTrainer(model, reward_funcs=reward_function("CHECKPOINT"), train_dataset=rows, ...)

A row is ``{"prompt": text or messages, "user_id": ...}``. What was not scored is None. TRL logs a row for
which every reward function gives None in full: with private prompts, answer unknown users by the population,
or leave them out of the data.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

from synthesizeme.datasets._intake import SourceRow
from synthesizeme.errors import ConfigError
from synthesizeme.scoring import PersonalRewards
from synthesizeme.serving.places import opened
from synthesizeme.serving.protocol import ScalarRewards, Settings
from synthesizeme.serving.rows import answered, tried

Rewards = list[float | None]
NAME = "personal_reward"
"""What TRL calls the function in its logs."""


def reward_function(
    model: PersonalRewards | str | Path,
    *,
    profiles: str | None = None,
    unknown_user: str = "refuse",
    on_error: str = "population",
    user_column: str = "user_id",
) -> Callable[..., Rewards]:
    """A reward function for ``reward_funcs``.

    It logs nothing but one number through TRL's ``log_metric``: ``personal_reward/scored``, the share of rows
    that got their own user's reward. Its attribute ``counts`` holds the rows so far by status.

    Args:
        model: A fitted model, a checkpoint folder, or ``judge:NAME`` (see `synthesizeme.serving.models`).
        profiles: Path or URL of a store of profiles whose users are fitted, for a model that is named.
        unknown_user: ``refuse`` gives None for a user the model does not know, ``population`` the
            population's reward.
        on_error: ``population`` gives a row that cannot be scored the population's reward, or None where
            there is none either; ``raise`` raises.
        user_column: Column of the data set with the user's id.

    Raises:
        ConfigError: a setting is wrong.
        DataError: the folder holds no checkpoint that can be read.
    """
    rewards = _opened(model, profiles, unknown_user, on_error)

    def personal_reward(prompts: Sequence[Any], completions: Sequence[Any], **columns: Any) -> Rewards:
        return _rewards(rewards, prompts, completions, columns, user_column)

    _name(personal_reward, rewards)
    return personal_reward


def async_reward_function(
    model: PersonalRewards | str | Path,
    *,
    profiles: str | None = None,
    unknown_user: str = "refuse",
    on_error: str = "population",
    user_column: str = "user_id",
) -> Callable[..., Awaitable[Rewards]]:
    """`reward_function` as a coroutine function: it scores in a thread while others are awaited."""
    rewards = _opened(model, profiles, unknown_user, on_error)

    async def personal_reward(prompts: Sequence[Any], completions: Sequence[Any], **columns: Any) -> Rewards:
        return await asyncio.to_thread(_rewards, rewards, prompts, completions, columns, user_column)

    _name(personal_reward, rewards)
    return personal_reward


def _opened(
    model: PersonalRewards | str | Path, profiles: str | None, unknown_user: str, on_error: str
) -> ScalarRewards:
    settings: dict[str, Any] = {"unknown_user": unknown_user, "on_error": on_error}
    if isinstance(model, str | Path):
        return opened(str(model), profiles=profiles, **settings)
    return ScalarRewards(model, Settings(**settings))


def _name(function: Any, rewards: ScalarRewards) -> None:
    function.__name__ = function.__qualname__ = NAME
    function.counts = rewards.counts


def _rewards(
    rewards: ScalarRewards,
    prompts: Sequence[Any],
    completions: Sequence[Any],
    columns: dict[str, Any],
    user_column: str,
) -> Rewards:
    users = columns.get(user_column)
    if users is None:
        names = ", ".join(sorted(name for name, value in columns.items() if isinstance(value, list)))
        raise ConfigError(
            f"the data set has no column {user_column!r} (found {names or 'none'}); add one with the id of "
            "each prompt's user, or name it with user_column"
        )
    rows = [
        tried(SourceRow(NAME, number, {"user_id": user, "prompt": prompt, "response": _text(completion)}))
        for number, (user, prompt, completion) in enumerate(
            zip(users, prompts, completions, strict=True), start=1
        )
    ]
    found = answered(rewards, rows)
    if callable(log_metric := columns.get("log_metric")) and found:
        log_metric(f"{NAME}/scored", sum(score.scored for score in found) / len(found))
    return [score.value for score in found]


def _text(completion: Any) -> Any:
    """A completion as one response: of several messages, the text of the assistant's."""
    if not isinstance(completion, list) or len(completion) < 2:
        return completion
    said = [turn for turn in completion if isinstance(turn, dict) and turn.get("role") == "assistant"]
    texts = [turn["content"] for turn in said if isinstance(turn.get("content"), str)]
    return "\n\n".join(texts) if len(texts) == len(said) and texts else completion

"""A reward function for verl: ``custom_reward_function.path`` names this file.

    custom_reward_function.path=.../synthesizeme/serving/verl.py
    +custom_reward_function.reward_kwargs.model=CHECKPOINT

verl does not hand over the prompt, so the data set's ``extra_info`` carries it: ``{"prompt": text or
messages, "user_id": ...}``. The checkpoint may also be named by the environment variable
``SYNTHESIZEME_REWARD_MODEL``; it is read once in a process.
"""

from __future__ import annotations

from typing import Any


def compute_score(
    data_source: Any,
    solution_str: str,
    ground_truth: Any,
    extra_info: dict[str, Any] | None = None,
    *,
    model: str | None = None,
    profiles: str | None = None,
    unknown_user: str | None = None,
    on_error: str | None = None,
    **reward_kwargs: Any,
) -> dict[str, Any]:
    """The reward of one response for the user that `extra_info` names.

    Args:
        data_source: Not read.
        solution_str: The response.
        ground_truth: Not read.
        extra_info: ``prompt`` and ``user_id`` of the row.
        model: Checkpoint folder, or ``judge:NAME``; by default that of ``SYNTHESIZEME_REWARD_MODEL``.
        profiles: Store of profiles whose users are fitted; by default that of ``SYNTHESIZEME_PROFILES``.
        unknown_user: ``refuse`` (default) raises for a user the model does not know, ``population`` gives
            the population's reward.
        on_error: ``population`` (default) gives a row that cannot be scored the population's reward, and
            where there is none the mean of the rewards so far; ``raise`` raises.
        **reward_kwargs: Anything else verl passes; not read.

    Returns:
        ``score``, ``scored`` (1: the user's own reward, 0: a substitute) and ``status``.

    Raises:
        UnknownUserError: the user is unknown and unknown users are refused; names the user.
        RewardError: the row cannot be read or scored and `on_error` is ``raise``.
        ConfigError: no model is named, or a setting is wrong.
    """
    from synthesizeme.datasets._intake import SourceRow
    from synthesizeme.errors import DataError, UnknownUserError
    from synthesizeme.serving.places import opened
    from synthesizeme.serving.rows import answered, tried

    rewards = opened(model, profiles=profiles, unknown_user=unknown_user, on_error=on_error)
    info = extra_info if isinstance(extra_info, dict) else {}
    row = {"user_id": info.get("user_id"), "prompt": info.get("prompt"), "response": solution_str}
    asked = tried(SourceRow("extra_info", 1, row))
    (found,) = answered(rewards, [asked])
    if found.status == "unknown_user" and not isinstance(asked, DataError):
        raise UnknownUserError(asked.user_id)
    value = found.value if found.value is not None else rewards.typical or 0.0
    return {"score": value, "scored": found.scored, "status": found.status}

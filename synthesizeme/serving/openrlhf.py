"""A reward function for OpenRLHF: give this file as ``--reward.remote_url``.

    SYNTHESIZEME_REWARD_MODEL=CHECKPOINT python -m openrlhf.cli.train_ppo_ray \
        --reward.remote_url .../synthesizeme/serving/openrlhf.py --data.label_key user_id ...

Or give the address of `synthesizeme serve`, ``http://127.0.0.1:8000/get_reward``. Either way the user's id
rides in the label, bare or as ``{"user_id": ..., "label": ...}``. Without a server the label may also hold
``"about"``: what the user said beside choices, which makes known a user whom the model does not know. The
environment holds the settings, ``SYNTHESIZEME_UNKNOWN_USER``, ``SYNTHESIZEME_ON_ERROR``,
``SYNTHESIZEME_PESSIMISM``, ``SYNTHESIZEME_NORMALIZE``, ``SYNTHESIZEME_CLIP`` and ``SYNTHESIZEME_FLOOR``, and
a store of users, ``SYNTHESIZEME_PROFILES``. Where it names no model, the population that is shipped answers.
Leave OpenRLHF's own normalisation off: it is that of its own reward models.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any


def reward_func(
    queries: Sequence[str], prompts: Sequence[str], labels: Sequence[Any], **kwargs: Any
) -> dict[str, Any]:
    """Rewards of the responses, each for the user its label names.

    Args:
        queries: Prompt and response in one text.
        prompts: The prompts alone.
        labels: A user id each, or JSON with ``user_id``.
        **kwargs: Anything else OpenRLHF passes; not read.

    Returns:
        ``rewards``, ``scores`` (probabilities, NaN where the reward is not the user's own) and
        ``extra_logs``: ``taste`` and ``floor`` in the model's own unit, and 0 or 1 for ``scored``,
        ``below_floor`` (the response is hardly an answer) and every status; tensors of shape (n,) where torch
        is loaded, else lists. A row that even the population cannot answer gets the mean of the rewards so
        far, and no floor.

    Raises:
        UnknownUserError: a user is unknown and unknown users are refused.
        RewardError: a row cannot be read or scored and `on_error` is ``raise``.
        ConfigError: the model knows nobody, or a setting is wrong.
    """
    # OpenRLHF ships this function by value to its workers, so nothing at the top of the file is needed here.
    from synthesizeme.errors import UnknownUserError
    from synthesizeme.serving.openrlhf_payload import reply, rows
    from synthesizeme.serving.places import opened
    from synthesizeme.serving.rows import answered

    rewards = opened()
    asked = rows(queries, prompts, labels)
    found = answered(rewards, asked)
    for row, score in zip(asked, found, strict=True):
        if score.status == "unknown_user" and not isinstance(row, Exception):
            raise UnknownUserError(row.user_id)
    answer = reply([rewards.substituted(score) for score in found], rewards.fallen)
    answer["scores"] = [float("nan") if score is None else score for score in answer["scores"]]
    torch = sys.modules.get("torch")
    if torch is None:
        return answer
    logs = {name: torch.tensor(values, dtype=torch.float32) for name, values in answer["extra_logs"].items()}
    return {"rewards": torch.tensor(answer["rewards"]), "scores": torch.tensor(answer["scores"]),
            "extra_logs": logs}  # fmt: skip

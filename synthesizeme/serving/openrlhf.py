"""A reward function for OpenRLHF: give this file, or one of your own, as ``--reward.remote_url``.

The variables of `synthesizeme.serving.places.SETTING_VARIABLES` and ``SYNTHESIZEME_REWARD_MODEL`` tell this
file what to do. They do not reach workers of a Ray cluster that already runs; there a file of your own names
the settings, with paths that every machine of the cluster sees:

    from synthesizeme.serving.openrlhf import reward_function
    reward_func = reward_function("/shared/model", unknown_user="population")

Or give the address of `synthesizeme serve`, ``http://127.0.0.1:8000/get_reward``. Either way the user's id
rides in the label, bare or as ``{"user_id": ..., "label": ...}``. Without a server the label may also hold
``"about"``: what the user said beside choices, which makes known a user whom the model does not know.
OpenRLHF goes on without a reward, or ends, where it gets none, so ``unknown_user="population"`` is the choice
for data with unknown users. Leave OpenRLHF's own normalisation off: it is that of its own reward models.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Sequence
from typing import Any

RewardFunction = Callable[..., dict[str, Any]]
_log = logging.getLogger("synthesizeme.serving.openrlhf")


def reward_function(model: str | None = None, **settings: Any) -> RewardFunction:
    """A function as OpenRLHF calls it, whose settings need no environment.

    Args:
        model: Checkpoint folder, or ``judge:NAME``; by default that of ``SYNTHESIZEME_REWARD_MODEL``, else
            the population that is shipped.
        **settings: ``profiles`` and the others of `synthesizeme.serving.places.opened`.
    """
    told: set[type[Exception]] = set()

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
            `synthesizeme.serving.openrlhf_payload.reply`, tensors of shape (n,) where torch is loaded, else
            lists.

        Raises:
            UnknownUserError: a user is unknown and unknown users are refused.
            DataError: a row cannot be read.
            RewardError: a row cannot be scored and `on_error` is ``raise``.
            ConfigError: the model knows nobody, or a setting is wrong.
        """
        from synthesizeme.serving.openrlhf_payload import cause

        try:
            return _answer(model, settings, queries, prompts, labels)
        except Exception as error:
            if type(error) not in told:
                told.add(type(error))
                _log.error("%s", cause(error))
            raise

    return reward_func


reward_func = reward_function()


def _answer(
    model: str | None,
    settings: dict[str, Any],
    queries: Sequence[str],
    prompts: Sequence[str],
    labels: Sequence[Any],
) -> dict[str, Any]:
    from synthesizeme.serving.openrlhf_payload import reply, rows
    from synthesizeme.serving.places import opened
    from synthesizeme.serving.rows import answered, refusal

    rewards = opened(model, **settings)
    asked = rows(queries, prompts, labels)
    found = answered(rewards, asked)
    if refused := refusal(asked, found):
        raise refused
    answer = reply(found, rewards.substituted, rewards.fallen)
    torch = sys.modules.get("torch")
    if torch is None:
        return answer
    logs = {name: torch.tensor(values, dtype=torch.float32) for name, values in answer["extra_logs"].items()}
    return {"rewards": torch.tensor(answer["rewards"]), "scores": torch.tensor(answer["scores"]),
            "extra_logs": logs}  # fmt: skip

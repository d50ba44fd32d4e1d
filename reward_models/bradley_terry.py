"""Bradley-Terry: one transformer for everybody, the model that every personalized one must beat."""

from __future__ import annotations

from collections.abc import Sequence

from reward_models._backbone import TextModel
from reward_models._types import SILENT, Histories, Said, UserState
from synthesizeme.types import PreferencePair


class BradleyTerry(TextModel):
    """A sequence classifier with one label, fine-tuned on everybody's pairs by TRL's `RewardTrainer`.

    Reward r(c, y), a scalar per (prompt c, response y): the backbone reads tokens (B, T), T <= `max_length`,
    and gives logits (B, 1). Objective, over pairs of all users:

        -log sigma(r(c, y+) - r(c, y-))

    It does not know users: a fitted user's state is empty, an unknown user gets the same rewards, and
    `fit_user` changes nothing. Nothing is filtered by length; pairs kept, dropped (both sides the same within
    the window) and truncated are in `training_`. A checkpoint's ``backbone/`` is an ordinary one-label
    sequence classifier: transformers and vLLM load it, and its raw logit on the rendered text is the reward.

    Args:
        lora_rank: Rank of low-rank adapters, merged after training; 0 trains all weights.
        backbone, max_length, epochs, batch_size, learning_rate, precision: See `BackboneModel`.
        unknown_user, seed, floor: See `RewardModel`.

    References:
        Bradley and Terry (1952), Biometrika 39; Ouyang et al. (2022), arXiv 2203.02155, equation 1.
    """

    def _user_state(self, pairs: Sequence[PreferencePair], said: Said = SILENT) -> UserState:
        return {}

    def _profile(self, state: UserState | None) -> str:
        return ""

    def _passes(self, histories: Histories) -> list[list[str]]:
        return [[""] * sum(map(len, histories.values()))]

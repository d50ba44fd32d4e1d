"""Persona-prompted: one transformer for everybody that reads who the user is, in words, before the prompt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from numpy.typing import NDArray

from reward_models._backbone_model import TextModel
from reward_models._profiler import Profiler
from reward_models._types import Histories, UserState
from reward_models._worded_user import WordedUser, pass_seeds
from synthesizeme.errors import ConfigError
from synthesizeme.feedback import UserWords
from synthesizeme.profile import UserProfile
from synthesizeme.types import PreferencePair


class PersonaPrompted(WordedUser, TextModel):
    """A sequence classifier with one label that reads a profile of the user, the prompt and the response.

    Reward r(pi_u, c, y): the profile pi_u stands as a leading system turn; tokens (B, T), T <= `max_length`,
    logits (B, 1). Objective, over pairs of all users, through TRL's `RewardTrainer`:

        -log sigma(r(pi_u, c, y+) - r(pi_u, c, y-))

    The profile of a training pair is written from the user's *other* pairs (cross-fitted, redrawn for every
    pass), since at scoring it will not have seen the pair either; a share of the pairs gets none. A user's
    state is the profile as UTF-8 bytes (length,). Without a user the profile is empty. `fit_user` writes a
    profile and takes no gradient step. Different from the paper: the profile need not come from a language
    model; by default it is written from named features by `StylometricProfiler`.

    Args:
        profiler: Writes a profile from a user's pairs; by default the strongest named preferences. It is not
            saved: a loaded model writes new profiles with the default one.
        profiles: Profiles by user id, used instead of written ones; they must not know the pairs they are
            measured on. Not saved beyond the states of fitted users.
        profile_dropout: Share of training pairs with an empty profile, in [0, 1].
        lora_rank: Rank of low-rank adapters, merged after training; 0 trains all weights.
        backbone, max_length, epochs, batch_size, learning_rate, precision: See `BackboneModel`.
        unknown_user, seed, floor: See `RewardModel`.

    References:
        Ryan et al., SynthesizeMe, arXiv 2506.05598: the fine-tuned reward model with personas.
    """

    unsaved: ClassVar[tuple[str, ...]] = ("profiler", "profiles")

    def __init__(
        self,
        *,
        profiler: Profiler | None = None,
        profiles: Mapping[str, UserProfile | str] | None = None,
        profile_dropout: float = 0.2,
        **shared: Any,
    ) -> None:
        super().__init__(**shared)
        self.profiler = profiler
        self.profiles = profiles
        self.profile_dropout = profile_dropout

    def profile(self, user_id: str) -> str:
        """The words this model reads for a user; empty for an unknown one.

        Raises:
            NotFittedError: before `fit`.
        """
        return self._profile(self._fitted().get(user_id))

    def _passes(self, histories: Histories) -> list[list[str]]:
        if not 0 <= self.profile_dropout <= 1:
            raise ConfigError(f"profile_dropout is {self.profile_dropout}; expected a share in [0, 1]")
        self._learn_words(histories)
        return [
            self._unseeing(histories, dropout=self.profile_dropout, seed=seed)
            for seed in pass_seeds(self.seed, self.epochs)
        ]

    def _user_state(self, pairs: Sequence[PreferencePair], words: UserWords | None = None) -> UserState:
        return self._words(pairs)

    def _arrays(self) -> dict[str, NDArray[Any]]:
        return {"baseline": self.baseline_}

    def _restore(self, arrays: Mapping[str, NDArray[Any]], facts: Mapping[str, Any]) -> None:
        super()._restore(arrays, facts)
        self.baseline_ = arrays["baseline"]

"""What the methods with a backbone share: arguments, training, scoring, a checkpoint others can load."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from reward_models._backbone import RewardNetwork, open_backbone, save_backbone, score
from reward_models._base import RewardModel, UnknownUser
from reward_models._rendering import Renderer
from reward_models._reward_training import Precision, Schedule, in_turn, tokenized, train
from reward_models._types import Estimates, Histories, Prompt, UserState, Words, sigmoid
from synthesizeme.errors import ConfigError
from synthesizeme.types import PreferencePair

FOLDER = "backbone"
TYPICAL_RESPONSES = 128
"""Training responses over which the typical reward is taken."""


class BackboneModel(RewardModel):
    """A transformer with one output that reads the conversation and the response.

    Args:
        backbone: ``auto`` (MiniLM: the installed package, else from the hub), or the folder or hub name of
            any encoder or decoder that transformers opens for sequence classification.
        max_length: Window in tokens, cut to what the backbone can read; see `Renderer`.
        epochs: Passes over the pairs.
        batch_size: Pairs per step, over all processes.
        learning_rate: At its peak, after a tenth of the steps.
        precision: Of the training; scores are always computed in float32.
    """

    def __init__(
        self,
        *,
        backbone: str = "auto",
        max_length: int = 256,
        epochs: int = 1,
        batch_size: int = 16,
        learning_rate: float = 1e-4,
        precision: Precision = "auto",
        unknown_user: UnknownUser = "population",
        seed: int = 0,
        floor: str = "base",
    ) -> None:
        super().__init__(unknown_user=unknown_user, seed=seed, floor=floor)
        self.backbone = backbone
        self.max_length = max_length
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.precision = precision

    @property
    def parameters(self) -> int:
        """Learned numbers: weights that were trained, and user states.

        Raises:
            NotFittedError: before `fit`.
        """
        states = sum(int(array.size) for state in self._fitted().values() for array in state.values())
        return states + int(self.training_["learned"])

    def _schedule(self) -> Schedule:
        positive = ("epochs", "batch_size", "learning_rate")
        wrong = [
            f"{n} is {getattr(self, n)}; expected more than 0" for n in positive if getattr(self, n) <= 0
        ]
        if wrong:
            raise ConfigError(wrong)
        return Schedule(self.epochs, self.batch_size, self.learning_rate, self.precision, self.seed)

    def _open(self, place: str) -> Any:
        """Open a backbone, its tokenizer and its renderer; returns the bare backbone."""
        return self._adopt(*open_backbone(place, seed=self.seed))

    def _adopt(self, model: Any, tokenizer: Any) -> Any:
        """Take a backbone that is open; returns it."""
        positions = getattr(model.config.get_text_config(), "max_position_embeddings", self.max_length)
        self.tokenizer_ = tokenizer
        self.renderer_ = Renderer(tokenizer, min(self.max_length, positions - self._reserved()))
        return model

    def _reserved(self) -> int:
        """Positions of the backbone that are taken by something other than tokens."""
        return 0

    def save(self, folder: Path | str) -> None:
        """Write a checkpoint folder; where several processes trained, the first writes and all wait."""
        if not torch.distributed.is_initialized():
            return super().save(folder)
        try:
            if torch.distributed.get_rank() == 0:
                super().save(folder)
        finally:
            torch.distributed.barrier()

    def _save_files(self, folder: Path) -> None:
        save_backbone(self.network_.backbone, self.tokenizer_, folder / FOLDER)

    def _load_files(self, folder: Path) -> None:
        self.network_ = RewardNetwork(self._open(str(folder / FOLDER)))

    def _arrays(self) -> dict[str, NDArray[Any]]:
        return {}

    def _restore(self, arrays: Mapping[str, NDArray[Any]], facts: Mapping[str, Any]) -> None:
        self.typical_: float = facts["typical"]
        self.training_: dict[str, float] = facts["training"]

    def _facts(self) -> dict[str, Any]:
        told = {name: value for name, value in self.training_.items() if name != "seconds"}
        return {"typical": self.typical_, "training": told}

    def _told(self) -> dict[str, float]:
        return {name: self.training_[name] for name in ("loss", "kept", "dropped", "truncated")}

    def _estimates(self, rewards: NDArray[np.float64]) -> Estimates:
        return Estimates(rewards, sigmoid(rewards - self.typical_))

    def _typical_reward(self, pairs: Sequence[PreferencePair]) -> float:
        """Mean reward of a seeded choice of training responses, without the user."""
        sides = [(p.prompt, text) for p in pairs for text in (p.chosen_text, p.rejected_text)]
        texts = list(dict.fromkeys(sides))
        chosen = np.random.default_rng(self.seed).permutation(len(texts))[:TYPICAL_RESPONSES]
        prompts, responses = [texts[i][0] for i in chosen], [texts[i][1] for i in chosen]
        self.typical_ = 0.0
        return float(self._rewards(prompts, responses, [None] * len(chosen)).value.mean())


class TextModel(BackboneModel):
    """A backbone that knows the user, if at all, by a profile in words before the prompt.

    Args:
        lora_rank: Rank of low-rank adapters, merged into the backbone after training; 0 trains all weights.
    """

    def __init__(self, *, lora_rank: int = 0, **shared: Any) -> None:
        super().__init__(**shared)
        self.lora_rank = lora_rank

    @abstractmethod
    def _profile(self, state: UserState | None) -> str:
        """The words for a user, empty for nobody."""

    @abstractmethod
    def _passes(self, histories: Histories) -> list[list[str]]:
        """A profile for every pair, in the order of `histories`, for each pass, or once for all passes."""

    def _fit(self, histories: Histories, words: Words) -> dict[str, UserState]:
        schedule = self._schedule()
        network = RewardNetwork(self._open(self.backbone))
        pairs = [pair for history in histories.values() for pair in history]
        passes = [tokenized(pairs, profiles, self.renderer_) for profiles in self._passes(histories)]
        columns, schedule = in_turn(passes, schedule)
        self.network_, done = train(network, self.tokenizer_, columns, schedule, lora_rank=self.lora_rank)
        self.training_ = {**done, **passes[0].counts}
        self.typical_ = self._typical_reward(pairs)
        return self._user_states(histories, words)

    def _rewards(
        self, prompts: Sequence[Prompt], responses: Sequence[str], states: Sequence[UserState | None]
    ) -> Estimates:
        profiles = [self._profile(state) for state in states]
        read = [tuple(self.renderer_(*text).ids) for text in zip(prompts, responses, profiles, strict=True)]
        distinct = list(dict.fromkeys(read))
        found = score(self.network_, [{"input_ids": list(ids)} for ids in distinct])
        number = {ids: row for row, ids in enumerate(distinct)}
        return self._estimates(found[[number[ids] for ids in read]])

"""Base of the methods that learn a network on frozen features of prompts and responses."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from reward_models._base import RewardModel
from reward_models._features import chosen_features, same_features
from reward_models._settings import POSITIVE
from reward_models._trainer import seeded
from reward_models._training_pairs import both_sides, held_out_split
from reward_models._types import (
    Asked,
    Estimates,
    Floats,
    Histories,
    Matrix,
    Prompt,
    Sayings,
    UserState,
    sigmoid,
)
from synthesizeme.pairs import by_user
from synthesizeme.temperature import fit_margin_temperature
from synthesizeme.types import PreferencePair

SCORED_AT_ONCE = 2048
"""Rows per pass of the network when scoring, so that memory stays flat."""
CLIP = 8.0
"""Standardised features stay within this many standard deviations of the training rows."""
_STANDARD = ("standard.mean", "standard.scale", "standard.prompt_mean", "standard.prompt_scale")


class FeatureModel(RewardModel):
    """A network on standardised frozen features.

    A subclass implements `_build`, `_train`, `_user_state` and `_values`; this class opens and standardises
    the features, turns values into rewards, and keeps the network in checkpoints.

    Epochs are chosen by early stopping on the validation pairs (or a seeded fifth of every user's), and a
    temperature is fitted on them; then the network is trained again on all pairs for that many epochs.
    Rewards are ``_values / temperature_``, so that the logistic function of a margin is its probability. A
    reward's own probability is that of winning against a response to the same prompt with the average
    features of the training responses.

    Args:
        features: Specification of `open_features`; ``auto`` is stylometric features and the
            default encoder (`reward_models._features`), or the former alone where none can be opened.
        epochs: Passes over the pairs, at most.
        learning_rate: Step size of AdamW.
        weight_decay: Decoupled weight decay of AdamW on the network.
    """

    reads_prompts: ClassVar[bool] = False
    """Whether the network reads features of the prompt; if not, their tensors have no column."""

    features: str = "auto"
    epochs: int
    learning_rate: float = 0.001
    weight_decay: float = 0.01
    limits: ClassVar = {"epochs": 1, "learning_rate": POSITIVE, "weight_decay": 0}

    # What a method implements.

    @abstractmethod
    def _build(self, dim: int, prompt_dim: int) -> nn.Module:
        """A fresh network for responses of `dim` and prompts of `prompt_dim` features.

        It runs under `seeded`, so that torch's own initialisation is reproducible. Everything in the
        network's state goes into a checkpoint; user states do not belong into it.
        """

    @abstractmethod
    def _train(self, histories: Histories, held_out: Sequence[PreferencePair], epochs: int) -> int:
        """Train `self.network_`, fresh from `_build`; returns the epochs its weights were trained for.

        With held-out pairs it stops early by them, after at most so many epochs.
        """

    @abstractmethod
    def _values(self, x: Tensor, prompts: Tensor, states: Sequence[UserState | None]) -> Tensor:
        """Uncalibrated reward of each row, shape (n,), for encoded responses (n, D) and prompts (n, P)."""

    # What it has from here.

    _memory: dict[Any, NDArray[np.float32]] | None = field(init=False, default=None)
    """Rows encoded so far, kept while `fit` runs."""

    def _encode(self, prompts: Sequence[Prompt], responses: Sequence[str]) -> Tensor:
        """Standardised features of the responses, shape (n, D) float32; each distinct one is encoded once."""
        return _standardised(self._raw_responses(prompts, responses), self.mean_, self.scale_)

    def _encode_prompts(self, prompts: Sequence[Prompt]) -> Tensor:
        """Standardised features of the prompts, shape (n, P), or (n, 0) where the method reads none."""
        return _standardised(self._raw_prompts(prompts), self.prompt_mean_, self.prompt_scale_)

    def _encode_pairs(self, pairs: Sequence[PreferencePair]) -> tuple[Tensor, Tensor]:
        """Features of the chosen and of the rejected responses, both (n, D)."""
        both = self._encode(*both_sides(pairs))
        return both[: len(pairs)], both[len(pairs) :]

    def _fresh_network(self) -> nn.Module:
        """A network as `_build` makes it, the same one for the same seed."""
        with seeded(self.seed):
            return self._build(len(self.mean_), len(self.prompt_mean_))

    def _fit_temperature(self, pairs: Sequence[PreferencePair], states: Mapping[str, UserState]) -> float:
        """Temperature that suits the margins of held-out `pairs` best; 1 without pairs.

        Args:
            pairs: Pairs that neither the network nor `states` has seen.
            states: State of each user; a user without one is answered by the population.
        """
        if not pairs:
            return 1.0
        prompts = self._encode_prompts([pair.prompt for pair in pairs])
        found = [states.get(pair.user_id) for pair in pairs]
        chosen, rejected = (self._all_values(x, prompts, found) for x in self._encode_pairs(pairs))
        return fit_margin_temperature(chosen - rejected)

    def _fit(self, histories: Histories, sayings: Sayings) -> dict[str, UserState]:
        self.spec_, self.featurizer_ = chosen_features(self.features)
        self._memory = {}
        try:
            self._fit_standard([pair for pairs in histories.values() for pair in pairs])
            self.temperature_ = 1.0
            self.network_ = self._fresh_network()
            epochs, (kept, held_out) = self.epochs, held_out_split(histories, self.seed)
            if held_out:
                epochs = max(1, self._train(by_user(kept), held_out, epochs))
                self.temperature_ = self._fit_temperature(held_out, self._user_states(by_user(kept)))
                self.network_ = self._fresh_network()
            self._train(histories, [], epochs)
            self.network_.eval()
            return self._user_states(histories, sayings)
        finally:
            self._memory = None

    def _rewards(self, asked: Asked) -> Estimates:
        x, prompts = self._encode(asked.prompts, asked.responses), self._encode_prompts(asked.prompts)
        value = self._all_values(x, prompts, asked.states) / self.temperature_
        typical = self._all_values(torch.zeros_like(x), prompts, asked.states) / self.temperature_
        return Estimates(value, sigmoid(value - typical))

    def _margins(self, firsts: Asked, seconds: Asked) -> Estimates:
        prompts, both = self._encode_prompts(firsts.prompts), firsts.then(seconds)
        sides = self._encode(both.prompts, both.responses).split(len(prompts) or 1)
        first, second = (self._all_values(x, prompts, firsts.states) for x in sides)
        margin = (first - second) / self.temperature_
        return Estimates(margin, sigmoid(margin))

    def _arrays(self) -> dict[str, NDArray[Any]]:
        standard = (self.mean_, self.scale_, self.prompt_mean_, self.prompt_scale_)
        learned = {name: value.numpy() for name, value in self.network_.state_dict().items()}
        return {**dict(zip(_STANDARD, standard, strict=True)), **learned}

    def _restore(self, arrays: Mapping[str, NDArray[Any]], facts: Mapping[str, Any]) -> None:
        self.spec_ = facts["features"]
        self.featurizer_ = same_features(self.name, self.spec_, facts["identity"])
        self.temperature_ = float(facts["temperature"])
        self.mean_, self.scale_, self.prompt_mean_, self.prompt_scale_ = (arrays[name] for name in _STANDARD)
        self.network_ = self._fresh_network()
        learned = {name: torch.from_numpy(arrays[name]) for name in arrays if name not in _STANDARD}
        try:
            self.network_.load_state_dict(learned)
        except RuntimeError as error:
            raise ValueError(str(error)) from error
        self.network_.eval()

    def _facts(self) -> dict[str, Any]:
        return {
            "features": self.spec_,
            "identity": self.featurizer_.identity,
            "temperature": self.temperature_,
        }

    def _all_values(self, x: Tensor, prompts: Tensor, states: Sequence[UserState | None]) -> Floats:
        """`_values` in passes of bounded size with gradients off, shape (n,)."""
        self.network_.eval()
        found = np.empty(len(x), dtype=np.float64)
        with torch.no_grad():
            for start in range(0, len(x), SCORED_AT_ONCE):
                rows = slice(start, start + SCORED_AT_ONCE)
                found[rows] = self._values(x[rows], prompts[rows], states[rows]).double().numpy()
        return found

    def _fit_standard(self, pairs: Sequence[PreferencePair]) -> None:
        """Mean and scale of the features over the training rows, shape (D,); a constant one has scale 1."""
        rows = [pair for pair in pairs if pair.split != "validation"] or pairs
        self.mean_, self.scale_ = _standard(self._raw_responses(*both_sides(rows)))
        self.prompt_mean_, self.prompt_scale_ = _standard(self._raw_prompts([pair.prompt for pair in rows]))

    def _raw_responses(self, prompts: Sequence[Prompt], responses: Sequence[str]) -> Matrix:
        """Features as they come, shape (n, D)."""
        keys = list(zip(map(tuple, prompts), responses, strict=True))
        return self._raw(
            keys, lambda new: self.featurizer_.responses(*zip(*new, strict=True)), self.featurizer_.dim
        )

    def _raw_prompts(self, prompts: Sequence[Prompt]) -> Matrix:
        """Features as they come, shape (n, P)."""
        if not self.reads_prompts:
            return np.zeros((len(prompts), 0), dtype=np.float32)
        return self._raw(list(map(tuple, prompts)), self.featurizer_.prompts, self.featurizer_.prompt_dim)

    def _raw(self, keys: Sequence[Any], read: Callable[[Sequence[Any]], Matrix], width: int) -> Matrix:
        """Rows of `read`, (n, width), each distinct key read once, and once in all while `fit` runs."""
        rows = {} if self._memory is None else self._memory
        new = [key for key in dict.fromkeys(keys) if key not in rows]
        if new:
            rows.update(zip(new, np.asarray(read(new), dtype=np.float32), strict=True))
        return np.stack([rows[key] for key in keys]) if keys else np.zeros((0, width), dtype=np.float32)


def _standard(raw: Matrix) -> tuple[Matrix, Matrix]:
    mean, scale = raw.mean(axis=0, dtype=np.float64), raw.std(axis=0, dtype=np.float64)
    return mean.astype(np.float32), np.where(scale > 1e-6, scale, 1).astype(np.float32)


def _standardised(raw: Matrix, mean: Matrix, scale: Matrix) -> Tensor:
    return torch.from_numpy(np.clip((raw - mean) / scale, -CLIP, CLIP))

"""Base of the methods that see a user as a mixture of K types: a point on the probability simplex."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from reward_models._feature_model import FeatureModel
from reward_models._trainer import Schedule, bradley_terry, minimise, train_network
from reward_models._types import SILENT, Histories, Said, UserState
from synthesizeme.types import PreferencePair

OWN_RATE = 10.0
"""Users' logits are trained so many times faster than the network: each is moved by its own pairs alone."""


class SimplexNetwork(nn.Module, ABC):  # type: ignore[misc]
    """What users share: a reward given their weights, and the weights of a user nobody knows.

    Args:
        rank: Number K of types.
    """

    def __init__(self, rank: int) -> None:
        super().__init__()
        self.logits = nn.Parameter(torch.zeros(rank))

    @abstractmethod
    def rewards(self, x: Tensor, prompts: Tensor, weights: Tensor) -> Tensor:
        """Rewards (n,) of responses (n, D) to prompts (n, P) for users with weights (n, K)."""


class SimplexModel(FeatureModel):
    """A user is ``softmax(a + b_u)`` (K,), with shared logits a and own logits b_u.

    Objective, over the network, a and all b_u:

        sum over pairs of loss(r_u(c, y+) - r_u(c, y-)) + shrinkage / 2 sum_u |b_u|^2

    trained by AdamW, for as long as `FeatureModel` finds. A user's state is found anew with everything shared
    fixed: the b_u that minimises the objective over their pairs, by L-BFGS from 0. An unknown user has b = 0,
    the population.

    Args:
        rank: Number K of types, at least 1.
        shrinkage: Strength of the pull toward the population, >= 0; the papers have none.
    """

    loss: ClassVar[Callable[[Tensor], Tensor]] = staticmethod(bradley_terry)
    """From margins (n,) to losses (n,)."""
    rank: int = 8
    shrinkage: float
    epochs: int = 60
    limits: ClassVar = {"rank": 1, "shrinkage": 0}

    @abstractmethod
    def _build(self, dim: int, prompt_dim: int) -> SimplexNetwork:
        """A fresh network; see `FeatureModel._build`."""

    def _train(self, histories: Histories, held_out: Sequence[PreferencePair], epochs: int) -> int:
        pairs = [pair for user_pairs in histories.values() for pair in user_pairs]
        numbers = {user: i for i, user in enumerate(dict.fromkeys(p.user_id for p in [*pairs, *held_out]))}
        own = nn.Embedding(len(numbers), self.rank, _weight=torch.zeros(len(numbers), self.rank))
        tensors, held_tensors = self._tensors(pairs, numbers), self._tensors(held_out, numbers)
        share = 1 / torch.bincount(tensors[-1], minlength=len(numbers)).clamp_min(1)

        def losses(chosen: Tensor, rejected: Tensor, prompts: Tensor, users: Tensor) -> Tensor:
            logits = OWN_RATE * own(users)
            penalty = self.shrinkage / 2 * logits.square().sum(-1) * share[users]
            return self._losses(chosen, rejected, prompts, logits) + penalty

        def held_out_loss() -> float:
            chosen, rejected, prompts, users = held_tensors
            return float(self._losses(chosen, rejected, prompts, OWN_RATE * own(users)).mean())

        return train_network(
            nn.ModuleList([self.network_, own]),
            lambda rows, step: losses(*(tensor[rows] for tensor in tensors)).mean(),
            len(pairs),
            Schedule(epochs=epochs, learning_rate=self.learning_rate, weight_decay=self.weight_decay),
            seed=self.seed,
            held_out=held_out_loss if held_out else None,
            undecayed=[own.weight, self.network_.logits],
        )

    def _user_state(self, pairs: Sequence[PreferencePair], said: Said = SILENT) -> UserState:
        chosen, rejected = self._encode_pairs(pairs)
        prompts = self._encode_prompts([pair.prompt for pair in pairs])

        def objective(logits: Tensor) -> Tensor:
            losses = self._losses(chosen, rejected, prompts, logits.expand(len(pairs), -1))
            return losses.sum() + self.shrinkage / 2 * logits.square().sum()

        own = minimise(objective, torch.zeros(self.rank))
        with torch.no_grad():
            return {"weights": torch.softmax(self.network_.logits + own, -1).numpy()}

    def _values(self, x: Tensor, prompts: Tensor, states: Sequence[UserState | None]) -> Tensor:
        population = torch.softmax(self.network_.logits, -1).numpy()
        weights = np.stack([population if state is None else state["weights"] for state in states])
        return self.network_.rewards(x, prompts, torch.from_numpy(weights))

    def _losses(self, chosen: Tensor, rejected: Tensor, prompts: Tensor, own: Tensor) -> Tensor:
        """Losses (n,) of pairs whose users have these own logits (n, K)."""
        weights = torch.softmax(self.network_.logits + own, -1)
        margins = self.network_.rewards(chosen, prompts, weights) - self.network_.rewards(
            rejected, prompts, weights
        )
        return type(self).loss(margins)

    def _tensors(self, pairs: Sequence[PreferencePair], numbers: dict[str, int]) -> tuple[Tensor, ...]:
        """Chosen (n, D), rejected (n, D), prompts (n, P) and number of the user (n,)."""
        chosen, rejected = self._encode_pairs(pairs)
        prompts = self._encode_prompts([pair.prompt for pair in pairs])
        return chosen, rejected, prompts, torch.tensor([numbers[p.user_id] for p in pairs], dtype=torch.long)

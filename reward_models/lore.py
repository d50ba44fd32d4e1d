"""LoRe: rewards of rank K, one mixture of shared basis rewards per user."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from reward_models._simplex_model import SimplexModel, SimplexNetwork


class Lore(SimplexModel):
    """K linear rewards shared by everybody; a user mixes them with weights on the simplex.

    Features x(c, y) (D,), standardised; basis V (D, K); weights w_u = softmax(a + b_u) (K,). Reward:

        r_u(c, y) = x^T V w_u

    Objective: minimise ``sum -log sigma(r_u(c, y+) - r_u(c, y-)) + shrinkage / 2 sum_u |b_u|^2`` over V, a
    and all b_u; a new user's b_u alone, over their pairs. An unknown user is answered with b = 0, the
    population. Different from the paper: the pull toward the population, weight decay on V, early stopping
    and a fitted temperature; features are small and frozen where the paper has the last hidden state of a
    trained reward model (``features=lm:NAME`` gives the state of a language model).

    Args:
        rank, shrinkage, epochs, learning_rate, weight_decay: See `SimplexModel`; the paper has ranks 1 to 50.
        features: See `FeatureModel`.
        unknown_user, seed, floor: See `RewardModel`.

    References:
        Bose et al. (2025), LoRe: Personalizing LLMs via Low-Rank Reward Modeling, arXiv:2504.14439.
    """

    shrinkage: float = 0.5

    def _build(self, dim: int, prompt_dim: int) -> SimplexNetwork:
        return LoreNetwork(dim, self.rank)


class LoreNetwork(SimplexNetwork):
    """The basis of `Lore`."""

    def __init__(self, dim: int, rank: int) -> None:
        super().__init__(rank)
        self.basis = nn.Parameter(torch.randn(dim, rank) / dim)

    def rewards(self, x: Tensor, prompts: Tensor, weights: Tensor) -> Tensor:
        """x^T V w, row by row."""
        return ((x @ self.basis) * weights).sum(-1)

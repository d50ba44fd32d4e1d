"""PAL-B: a user is a mixture of prototypical readers, each of whom wants something else of each prompt."""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from reward_models._simplex_model import SimplexModel, SimplexNetwork
from reward_models.pal import mapping

FIRST_SCALE = math.log(1 / 0.07)
LARGEST_SCALE = math.log(100)


class PalB(SimplexModel):
    """K maps from a prompt to what a type of user wants of it; a user mixes them.

    Features x(c, y) (D,) and p(c) (P,), standardised; maps f from (D,) and g_1 ... g_K from (P,) to (d,),
    linear, or with `hidden` > 0 two layers and GELU; weights w_u = softmax(a + b_u) (K,). Reward, with a
    learned scale s that starts at ln(1 / 0.07) and ends at ln(100) at most:

        r_u(c, y) = exp(s) cos(f(x), sum_k w_uk g_k(p))

    Objective: minimise ``sum -log sigma(r_u(c, y+) - r_u(c, y-)) + shrinkage / 2 sum_u |b_u|^2`` over f, all
    g_k, s, a and all b_u; for a new user over b_u alone. An unknown user is answered with b = 0, the
    population. Different from the paper: the pull toward the population, early stopping, a fitted
    temperature.

    Args:
        dim: Width d of the space in which angles are taken.
        hidden: Width of the hidden layers; 0 for linear maps.
        dropout: Share of features that the maps do not see in a training step, in [0, 1).
        rank, shrinkage, epochs, learning_rate, weight_decay: See `SimplexModel`.
        features: See `FeatureModel`.
        unknown_user, seed, floor: See `RewardModel`.

    References:
        Chen et al. (2024), PAL: Pluralistic Alignment Framework for Learning from Heterogeneous Preferences,
        arXiv:2406.08469, model B. Radford et al. (2021), arXiv:2103.00020: the scale and its limit.
    """

    reads_prompts: ClassVar[bool] = True

    dim: int = 64
    hidden: int = 64
    dropout: float = 0.2
    shrinkage: float = 0.1
    weight_decay: float = 1.0

    def _build(self, dim: int, prompt_dim: int) -> SimplexNetwork:
        answers = mapping(dim, self.hidden, self.dim, self.dropout)
        wishes = [mapping(prompt_dim, self.hidden, self.dim, self.dropout) for _ in range(self.rank)]
        return PalBNetwork(answers, wishes)


class PalBNetwork(SimplexNetwork):
    """The maps of `PalB`."""

    def __init__(self, answers: nn.Module, wishes: list[nn.Module]) -> None:
        super().__init__(len(wishes))
        self.answers = answers
        self.wishes = nn.ModuleList(wishes)
        self.scale = nn.Parameter(torch.tensor(FIRST_SCALE))

    def rewards(self, x: Tensor, prompts: Tensor, weights: Tensor) -> Tensor:
        """Scaled cosine of f(x) and the mixed wish, row by row."""
        wishes = torch.stack([wish(prompts) for wish in self.wishes], dim=1)
        wanted = (weights[:, :, None] * wishes).sum(dim=1)
        return self.scale.clamp(max=LARGEST_SCALE).exp() * functional.cosine_similarity(
            self.answers(x), wanted
        )

"""PAL-A: a user is an ideal point between shared prototypes; what lies nearer is preferred."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import torch
from torch import Tensor, nn

from reward_models._simplex_model import SimplexModel, SimplexNetwork
from reward_models._trainer import hinge


class Pal(SimplexModel):
    """K prototypes in the space of the features; a user's ideal point is a mixture of them.

    Features x(c, y) (D,), standardised; prototypes P (D, K); weights w_u = softmax(a + b_u) (K,); a shared
    map f from (D,) to (d,), linear, or with `hidden` > 0 two layers and GELU. Reward:

        r_u(c, y) = -|f(x) - f(P w_u)|

    Objective: minimise ``sum max(0, 1 - (r_u(c, y+) - r_u(c, y-))) + shrinkage / 2 sum_u |b_u|^2`` over f, P,
    a and all b_u; for a new user over b_u alone. An unknown user is answered with b = 0, the population.
    Different from the paper: the pull toward the population, early stopping, and probabilities by a
    temperature fitted on held-out pairs, since a hinge promises none.

    Args:
        dim: Width d of the space in which distances are taken.
        hidden: Width of the hidden layer of f; 0 for a linear f.
        dropout: Share of features that f does not see in a training step, in [0, 1).
        rank, shrinkage, epochs, learning_rate, weight_decay: See `SimplexModel`.
        features: See `FeatureModel`.
        unknown_user, seed, floor: See `RewardModel`.

    References:
        Chen et al. (2024), PAL: Pluralistic Alignment Framework for Learning from Heterogeneous Preferences,
        arXiv:2406.08469, model A.
    """

    loss: ClassVar[Callable[[Tensor], Tensor]] = staticmethod(hinge)

    dim: int = 64
    hidden: int = 64
    dropout: float = 0.5
    shrinkage: float = 0.02

    def _build(self, dim: int, prompt_dim: int) -> SimplexNetwork:
        return PalNetwork(dim, self.rank, mapping(dim, self.hidden, self.dim, self.dropout))


class PalNetwork(SimplexNetwork):
    """The prototypes and the map of `Pal`."""

    def __init__(self, dim: int, rank: int, into: nn.Module) -> None:
        super().__init__(rank)
        self.into = into
        self.prototypes = nn.Parameter(torch.randn(rank, dim))

    def rewards(self, x: Tensor, prompts: Tensor, weights: Tensor) -> Tensor:
        """Minus the distance between f(x) and f(P w), row by row."""
        return -torch.linalg.vector_norm(self.into(x) - self.into(weights @ self.prototypes), dim=-1)


def mapping(wide: int, hidden: int, narrow: int, dropout: float) -> nn.Module:
    """From (n, `wide`) to (n, `narrow`): linear, or with `hidden` > 0 two layers and GELU."""
    drop = nn.Dropout(dropout)
    if hidden == 0:
        return nn.Sequential(drop, nn.Linear(wide, narrow))
    return nn.Sequential(drop, nn.Linear(wide, hidden), nn.GELU(), nn.Linear(hidden, narrow))

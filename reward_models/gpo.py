"""GPO: a neural process reads a user's labelled responses in context and predicts the label of another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn

from reward_models._history_model import HistoryModel, PairSets
from reward_models._settings import SHARE
from reward_models._trainer import gaussian_nll
from reward_models._types import UserState

LOG_STD = (-3.0, 2.0)
"""Where the predicted log-std stays: labels are 0 and 1, so that a smaller one would be overconfidence."""


class Gpo(HistoryModel):
    """A transformer without positions over points (x, y), whose every position attends to the context only.

    A pair is a question with two options: points (x(c, y+), 1) and (x(c, y-), 0) of features (D,),
    standardised. Context points (n, D) carry their labels (n,), a target carries zero. The head gives mean
    m and log-std log s of the target's label, and the reward of a response is the mean given the user's
    points:

        r_u(c, y) = m(x(c, y); D_u)

    A target sees no other target, so that a response is scored alone. Objective, over the episodes of
    `reward_models._history_model.HistoryModel`, with Phi the standard normal distribution:

        (1 - pairwise) [-log N(1; m+, s+^2) - log N(0; m-, s-^2)]
            + pairwise [-log Phi((m+ - m-) / sqrt(s+^2 + s-^2))]

    the likelihood of both labels, and of the choice, under the same Gaussians. A user's state is the encoded
    history, memory (L, 2n + 1, width): what each of L layers attends to. A learned point that says "nobody"
    is always in the context; an unknown user has no other, and episodes without a history make that the
    population. `fit_user` encodes the pairs and takes no gradient step.

    Different from the paper: smaller by default, with dropout, since the paper has an embedding of a language
    model for thousands of questions and here a few dozen users with a few dozen pairs teach it
    (``layers=6, heads=4, width=128, dropout=0, inner_dropout=0`` are the paper's); the choice in the
    objective (`pairwise` = 0 is the paper's); labels enter by an embedding of their own, the same linear map
    with a label that is not one small column among D; layers normalise first; the "nobody" point; mirrored
    episodes; early stopping and a fitted temperature.

    Args:
        layers: L.
        heads: Attention heads; `width` is a multiple of them.
        width: Width of the transformer; its feed-forward part is twice as wide.
        dropout: Share of features that are not seen in a training step, in [0, 1].
        inner_dropout: Dropout inside the layers, in [0, 1].
        pairwise: Weight of the choice in the objective, in [0, 1].
        max_history, no_history, mirrored, warm_up, epochs, batch_size, learning_rate, weight_decay: See
            `HistoryModel`.
        features: See `FeatureModel`.
        unknown_user, seed, floor: See `RewardModel`.

    References:
        Zhao, Dang and Grover (2023), Group Preference Optimization: Few-Shot Alignment of Large Language
        Models, arXiv:2310.11523, section 3. Nguyen and Grover (2022), Transformer Neural Processes,
        arXiv:2207.04179.
    """

    layers: int = 1
    heads: int = 4
    width: int = 64
    dropout: float = 0.5
    inner_dropout: float = 0.1
    pairwise: float = 0.5

    limits: ClassVar = {
        "layers": 1, "heads": 1, "width": 1, "dropout": SHARE, "inner_dropout": SHARE, "pairwise": SHARE
    }  # fmt: skip

    def _problems(self) -> list[str]:
        found = super()._problems()
        if self.heads >= 1 and self.width % self.heads:
            found.append(f"width is {self.width}; expected a multiple of heads, {self.heads}")
        return found

    def _build(self, dim: int, prompt_dim: int) -> nn.Module:
        return GpoNetwork(
            dim,
            layers=self.layers,
            heads=self.heads,
            width=self.width,
            dropout=self.dropout,
            inner_dropout=self.inner_dropout,
        )

    def _losses(self, context: PairSets, targets: PairSets, epoch: float) -> Tensor:
        memory, absent = self.network_.encode(context)
        sides = torch.cat([targets.chosen, targets.rejected], dim=1)
        mean, log_std = self.network_.predict(sides, memory, absent)
        (mean_1, mean_0), (log_std_1, log_std_0) = (
            [half[targets.present] for half in both.chunk(2, dim=1)] for both in (mean, log_std)
        )
        labels = gaussian_nll(torch.ones_like(mean_1), mean_1, log_std_1)
        labels = labels + gaussian_nll(torch.zeros_like(mean_0), mean_0, log_std_0)
        spread = ((2 * log_std_1).exp() + (2 * log_std_0).exp()).sqrt()
        choice = -torch.special.log_ndtr((mean_1 - mean_0) / spread)
        return (1 - self.pairwise) * labels + self.pairwise * choice

    def _read(self, chosen: Tensor, rejected: Tensor) -> UserState:
        present = torch.ones(1, len(chosen), dtype=torch.bool)
        memory, _ = self.network_.encode(PairSets(chosen[None], rejected[None], present))
        return {"memory": memory[:, 0].numpy()}

    def _values(self, x: Tensor, prompts: Tensor, states: Sequence[UserState | None]) -> Tensor:
        rows: dict[int, list[int]] = {}
        for row, state in enumerate(states):
            rows.setdefault(id(state), []).append(row)
        nobody = PairSets(x[None, :0], x[None, :0], torch.ones(1, 0, dtype=torch.bool))
        found = torch.empty(len(x))
        for own in rows.values():  # user by user: no padding, and a user's memory is read once
            state = states[own[0]]
            memory = self.network_.encode(nobody)[0] if state is None else _batch_of_one(state)
            found[own] = self.network_.predict(x[None, own], memory)[0][0]
        return found


def _batch_of_one(state: UserState) -> Tensor:
    return torch.from_numpy(state["memory"])[:, None]


class GpoNetwork(nn.Module):  # type: ignore[misc]
    """The transformer of `Gpo`, in two halves: the context alone, then targets given the context."""

    def __init__(
        self, dim: int, *, layers: int, heads: int, width: int, dropout: float, inner_dropout: float
    ) -> None:
        super().__init__()
        self.into = nn.Sequential(nn.Dropout(dropout), nn.Linear(dim, width))
        self.label = nn.Parameter(torch.randn(width))
        self.nobody = nn.Parameter(torch.zeros(width))
        self.layers = nn.ModuleList([ContextLayer(width, heads, inner_dropout) for _ in range(layers)])
        self.head = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, 2))

    def encode(self, context: PairSets) -> tuple[Tensor, Tensor]:
        """What each layer attends to, (L, B, 2p + 1, width), and which of it is padding, bool (B, 2p + 1)."""
        points = torch.cat([self.into(context.chosen) + self.label, self.into(context.rejected)], dim=1)
        hidden = torch.cat([self.nobody.expand(len(points), 1, -1), points], dim=1)
        present = context.present
        absent = torch.cat([present.new_zeros(len(points), 1), ~present, ~present], dim=1)
        memory = [hidden]
        for layer in self.layers[:-1]:
            memory.append(layer(memory[-1], memory[-1], absent))
        return torch.stack(memory), absent

    def predict(self, x: Tensor, memory: Tensor, absent: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Mean and log-std of the labels of targets (B, t, D), both (B, t), given what `encode` gave."""
        hidden = self.into(x)
        for layer, seen in zip(self.layers, memory, strict=True):
            hidden = layer(hidden, seen, absent)
        mean, log_std = self.head(hidden).unbind(-1)
        return mean, log_std.clamp(*LOG_STD)


class ContextLayer(nn.Module):  # type: ignore[misc]
    """A transformer layer in which positions attend to the context, never to one another."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.before_attention, self.before_forward = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = nn.MultiheadAttention(width, heads, dropout=dropout, batch_first=True)
        self.feed_forward = nn.Sequential(
            nn.Linear(width, 2 * width), nn.GELU(), nn.Dropout(dropout), nn.Linear(2 * width, width)
        )

    def forward(self, hidden: Tensor, context: Tensor, absent: Tensor | None) -> Tensor:
        """Positions (B, t, width) after they have read the context (B, n, width)."""
        seen = self.before_attention(context)
        asking = self.before_attention(hidden)
        read, _ = self.attention(asking, seen, seen, key_padding_mask=absent, need_weights=False)
        hidden = hidden + read
        return hidden + self.feed_forward(self.before_forward(hidden))

"""User embedding model: one soft token per past pair, read by a backbone that is trained with them."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from reward_models._soft_prompt import SoftPromptModel, SoftPromptNetwork


class Uem(SoftPromptModel):
    """A transformer encodes the user's history; the backbone reads one soft token per item of it.

    Items u_i = [e(c_i); e(y+_i); e(y-_i)] (B, p, d), d = 3s for an encoder of width s, p <= `max_history`;
    h = Encoder(u) (B, p, `width`), `layers` transformer layers without positions; soft tokens
    W h + b (B, p, backbone width); in front of them `task_tokens` learned tokens shared by everybody. The
    backbone reads [task; soft; tokens of (c, y)] and gives logits (B, 1). Objective, over backbone,
    encoder and task tokens together:

        -log sigma(r(u, c, y+) - r(u, c, y-))

    Without a user there are only the task tokens; a learned item that says "nobody" is always in the
    encoder's view, so an empty history is no exception. `fit_user` encodes the pairs and takes no gradient
    step.
    Different from the paper: the backbone is first fine-tuned on profiles in words (without it, a population
    that shares no preference is a saddle where nothing is learned), and the output is a reward, no rating.

    Args:
        task_tokens: Shared soft tokens, k in the paper.
        layers: Layers of the history encoder, 1 to 3 in the paper.
        width: Its width.
        warm_start, warm_epochs, warm_learning_rate, features: See `SoftPromptModel`.
        max_history, history_dropout, no_history, words, profiler, profiles: See `SoftPromptModel`.
        backbone, max_length, epochs, batch_size, learning_rate, precision: See `BackboneModel`.
        unknown_user, seed, floor: See `RewardModel`.

    References:
        Doddapaneni et al., User Embedding Model for Personalized Language Prompting, arXiv 2401.04858,
        section 3: soft prompts from the encoded history, k = 20 task tokens.
    """

    task_tokens: int = 20
    layers: int = 2
    width: int = 128
    history_dropout: float = 1.0

    def _reserved(self) -> int:
        return self.task_tokens + self.max_history

    def _network(self, backbone: Any, *, leading: int, item_dim: int, about_dim: int) -> SoftPromptNetwork:
        return UemNetwork(
            backbone,
            leading=leading,
            item_dim=item_dim,
            task_tokens=self.task_tokens,
            layers=self.layers,
            width=self.width,
        )


class UemNetwork(SoftPromptNetwork):
    """[task tokens; one token per item] in front of the text; see `Uem`."""

    HEADS = 4

    def __init__(
        self, backbone: Any, *, leading: int, item_dim: int, task_tokens: int, layers: int, width: int
    ) -> None:
        super().__init__(backbone, leading=leading)
        words = backbone.get_input_embeddings().weight.detach()
        self.task = nn.Parameter(words[torch.randint(len(words), (task_tokens,))].clone())
        self.nobody = nn.Parameter(torch.zeros(width))
        self.into = nn.Linear(item_dim, width)
        layer = nn.TransformerEncoderLayer(
            width, self.HEADS, 2 * width, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
        )
        self.encoder = nn.TransformerEncoder(
            layer, layers, norm=nn.LayerNorm(width), enable_nested_tensor=False
        )
        self.out = nn.Linear(width, self.width)

    def soft_tokens(self, items: Any, present: Any, about: Any) -> tuple[Any, Any]:
        """Tokens (B, k + p, width): the task's, then the items'."""
        nobody = self.nobody.expand(len(items), 1, -1)
        seen = torch.cat([present.new_ones(len(items), 1), present], dim=1)
        hidden = self.encoder(torch.cat([nobody, self.into(items)], dim=1), src_key_padding_mask=~seen)
        tokens = self.out(hidden[:, 1:]) * self.token_norm / self.width**0.5
        task = self.task.expand(len(items), -1, -1)
        wanted = present.new_ones(task.shape[:2])
        return torch.cat([task, tokens], dim=1), torch.cat([wanted, present], dim=1)

"""Persona-Plug: the whole history in one soft token, read by a frozen backbone."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import nn
from torch.nn import functional

from reward_models._settings import POSITIVE
from reward_models._soft_prompt import SoftPromptModel, SoftPromptNetwork


class Pplug(SoftPromptModel):
    """One token P_u, a mixture of the user's past pairs weighted by the prompt at hand.

    Items h_i = [e(c_i); e(y+_i); e(y-_i)] (B, p, d) from a frozen encoder; x = X e(c) (B, d) from a trained
    input encoder; both at length one,

        w_i = softmax_i(x . h_i / tau)        P_u = sum_i w_i Proj(h_i)

    with Proj a two-layer perceptron (GELU) into the backbone's width, P_u scaled to the mean norm of the
    backbone's word embeddings. The frozen backbone reads [I; P_u; tokens of (c, y)], I a learned
    instruction token, and gives logits (B, 1). Objective, over X, Proj, I and the default for no history:

        -log sigma(r(u, c, y+) - r(u, c, y-))

    In training 0 to 50 % of a history is deleted at random. P_u depends on the prompt, never on the
    candidate. Without a user P_u is the learned default. `fit_user` encodes the pairs and takes no gradient
    step.

    Different from the paper: X is a linear map on the frozen encoder's embedding, begun at the similarity of
    prompts, instead of a second language-model encoder; the backbone has first learned to read a persona in
    words (on a generic frozen backbone the plug learns nothing); the output is a reward.

    Args:
        temperature: tau.
        input_aware: False weighs every item alike: the paper's ablation.
        epochs, learning_rate: Of the plug; the backbone's own training is `warm_epochs`.
        warm_start, warm_epochs, warm_learning_rate, features: See `SoftPromptModel`.
        max_history, history_dropout, no_history, words, profiler, profiles: See `SoftPromptModel`.
        backbone, max_length, batch_size, precision: See `BackboneModel`.
        unknown_user, seed, floor: See `RewardModel`.

    References:
        Liu et al., LLMs + Persona-Plug = Personalized LLMs, arXiv 2409.11901, equations 1 to 5.
    """

    temperature: float = 1.0
    input_aware: bool = True
    learning_rate: float = 0.001
    limits: ClassVar = {"temperature": POSITIVE}

    def _reserved(self) -> int:
        return 2

    def _network(self, backbone: Any, *, leading: int, item_dim: int, about_dim: int) -> SoftPromptNetwork:
        return PplugNetwork(
            backbone,
            leading=leading,
            item_dim=item_dim,
            about_dim=about_dim,
            temperature=self.temperature,
            input_aware=self.input_aware,
        )


class PplugNetwork(SoftPromptNetwork):
    """[instruction; P_u] in front of the text of a frozen backbone; see `Pplug`."""

    def __init__(
        self,
        backbone: Any,
        *,
        leading: int,
        item_dim: int,
        about_dim: int,
        temperature: float,
        input_aware: bool,
    ) -> None:
        super().__init__(backbone.requires_grad_(False), leading=leading)
        self.temperature, self.input_aware = temperature, input_aware
        words = backbone.get_input_embeddings().weight.detach()
        self.instruction = nn.Parameter(words[torch.randint(len(words), (1,))].clone())
        self.nobody = nn.Parameter(torch.randn(self.width) * self.token_norm / self.width**0.5)
        self.asked = nn.Linear(about_dim, item_dim, bias=False)
        with torch.no_grad():
            self.asked.weight.copy_(torch.eye(item_dim, about_dim))
        self.project = nn.Sequential(
            nn.Linear(item_dim, self.width), nn.GELU(), nn.Linear(self.width, self.width)
        )

    def weights(self, items: Any, present: Any, about: Any) -> Any:
        """Weights w (B, p): 0 where there is no item, summing to 1 where there is one."""
        asked = functional.normalize(self.asked(about), dim=-1)
        likeness = torch.einsum("bd,bpd->bp", asked, functional.normalize(items, dim=-1))
        likeness = likeness / self.temperature if self.input_aware else 0 * likeness
        likeness = likeness.masked_fill(~present, float("-inf"))
        empty = ~present.any(dim=1, keepdim=True)
        return torch.softmax(likeness.masked_fill(empty, 0.0), dim=1).masked_fill(~present, 0.0)

    def soft_tokens(self, items: Any, present: Any, about: Any) -> tuple[Any, Any]:
        """Tokens (B, 2, width): the instruction and P_u."""
        weights = self.weights(items, present, about)
        persona = torch.einsum("bp,bpd->bd", weights, self.project(items))
        empty = ~present.any(dim=1, keepdim=True)
        persona = torch.where(empty, self.nobody.expand_as(persona), persona)
        persona = functional.normalize(persona, dim=-1) * self.token_norm
        tokens = torch.stack([self.instruction.expand_as(persona), persona], dim=1)
        return tokens, present.new_ones(tokens.shape[:2])

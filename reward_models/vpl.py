"""VPL: a latent inferred from a user's pairs decides how responses are valued."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from reward_models._history_model import HistoryModel, PairSets
from reward_models._settings import SHARE
from reward_models._trainer import negative_elbo, swap_asymmetry
from reward_models._training_pairs import sampled, user_effect
from reward_models._types import Histories, Sayings, UserState
from synthesizeme.errors import ConfigError

LOG_VARIANCE = (-6.0, 2.0)
"""Where the posterior's log-variance stays."""
START_LOG_VARIANCE = -4.0
"""Where it begins: with noise of the prior's size a decoder first learns not to listen."""
OnCollapse = Literal["warn", "raise"]
_logger = logging.getLogger(__name__)
ACTIVE = 0.01
"""Variance of a latent's posterior mean over users above which it is active."""


class Vpl(HistoryModel):
    """A variational auto-encoder of users: pairs in, a latent z (d,) between, a reward out.

    Features x(c, y) (D,), standardised. Pairs h_i = MLP([x(y+_i); x(y-_i)]) (n, width) go through
    self-attention, which also sees a learned prior item of value 0, and are averaged; linear maps give mean
    mu (d,) and log-variance v (d,) of q(z | D_u). Reward:

        r_u(c, y) = MLP([x(c, y); z])

    Objective, per target pair of an episode (`reward_models._history_model.HistoryModel`), z ~ q:

        -log sigma(r_u(c, y+) - r_u(c, y-)) + b KL(q(z | D_u) || N(0, I)) + swap A

    with b rising linearly from 0 to `beta` over `annealing` epochs, and A the mean over latents of
    ``(mu + mu')^2 + (v - v')^2``, primes denoting the history with its labels swapped: the cure of SPL
    against a posterior that ignores the labels. A user's state is mu: scoring takes z = mu. An unknown user
    has no history, whose posterior is the prior, and is answered at its mean z = 0; episodes without a
    history train the decoder there, so that it is the population. `fit_user` encodes the pairs and takes no
    gradient step.

    Training and evaluation agree on the scale of z: it is mu plus noise in the one and mu in the other,
    never rescaled, the noise begins small, and early stopping and the temperature read z = mu as scoring
    does. A fit has collapsed where no latent is active (`active_units`) or the history decides no verdict of
    sampled training pairs; `fit_report` says so, and so does a warning, or an error with `on_collapse`.

    Different from the paper: the swap term, the prior item, mirrored episodes, z = 0 without a history
    instead of a draw from the prior, early stopping, a fitted temperature, and features that are frozen and
    small where the paper trains a language model.

    Args:
        latents: d.
        width: Width of pair encodings and of both hidden layers.
        dropout: Share of features that are not seen in a training step, in [0, 1].
        beta: Weight of the KL, >= 0.
        annealing: Epochs until the KL has its weight, >= 0.
        swap: Weight of the swap term, >= 0; 0 is plain VPL.
        on_collapse: ``warn`` keeps a model in which the user changes nothing, since people who agree leave
            nothing to learn of them, and its row stays in a table beside its controls; ``raise`` refuses it.
        max_history, no_history, mirrored, warm_up, epochs, batch_size, learning_rate, weight_decay: See
            `HistoryModel`.
        features: See `FeatureModel`.
        unknown_user, seed, floor: See `RewardModel`.

    References:
        Poddar et al. (2024), Personalizing Reinforcement Learning from Human Feedback with Variational
        Preference Learning, arXiv:2408.10075, equation 3. SPL: arXiv:2603.12595 (swap). Burda, Grosse and
        Salakhutdinov (2016), Importance Weighted Autoencoders, arXiv:1509.00519 (active units).
    """

    latents: int = 16
    width: int = 64
    dropout: float = 0.5
    beta: float = 0.001
    annealing: int = 20
    swap: float = 0.1
    on_collapse: OnCollapse = "warn"
    weight_decay: float = 0.3
    limits: ClassVar = {"latents": 1, "width": 1, "beta": 0, "annealing": 0, "swap": 0, "dropout": SHARE}

    def active_units(self) -> int:
        """Latents whose posterior mean varies over the users of `fit` with a variance above 0.01.

        Raises:
            NotFittedError: before `fit`.
        """
        self._fitted()
        return self.active_units_

    def _told(self) -> dict[str, float]:
        told = {"active units": self.active_units_, "latents": self.latents}
        return {**told, "collapsed": self.collapsed_}

    def _build(self, dim: int, prompt_dim: int) -> nn.Module:
        return VplNetwork(dim, latents=self.latents, width=self.width, dropout=self.dropout)

    def _fit(self, histories: Histories, sayings: Sayings) -> dict[str, UserState]:
        states = super()._fit(histories, sayings)
        self.active_units_ = _active(np.stack([state["mean"] for state in states.values()]))
        effect = user_effect(self._user_state, self._margins, sampled(histories, sayings, self.seed))
        alike = len(states) > 1 and not self.active_units_
        self.collapsed_ = alike or bool(effect["user changes nothing"])
        if self.collapsed_:
            self._tell_collapse(effect["share of verdicts moved"])
        return states

    def _tell_collapse(self, share: float) -> None:
        problem = (
            f"{self.name}: the user changes nothing: {self.active_units_} of {self.latents} latents are "
            f"active, and a user's history decides {share:.1%} of verdicts. Cure: more pairs of each user, a "
            "smaller params.beta, params.mirrored nearer to 0.5, or another method, such as hierarchical"
        )
        if self.on_collapse == "raise":
            raise ConfigError(problem)
        _logger.warning("%s", problem)

    def _kl_weight(self, epoch: float) -> float:
        """Weight of the KL after so many epochs."""
        return self.beta * (min(1.0, epoch / self.annealing) if self.annealing else 1.0)

    def _losses(self, context: PairSets, targets: PairSets, epoch: float) -> Tensor:
        context = self.network_.thinned(context)
        mean, log_variance = self.network_.posterior(context)
        known = context.present.any(1, keepdim=True)
        noise = torch.randn_like(mean) * (log_variance / 2).exp() * known
        z = (mean + noise)[:, None].expand(-1, targets.present.shape[1], -1)
        margins = self.network_.decode(targets.chosen, z) - self.network_.decode(targets.rejected, z)
        users = targets.present.nonzero()[:, 0]
        losses = negative_elbo(
            margins[targets.present], mean[users], log_variance[users], self._kl_weight(epoch)
        )
        if not self.swap:
            return losses
        swapped = self.network_.posterior(context.swapped())
        return losses + self.swap * swap_asymmetry(mean, log_variance, *swapped)[users]

    def _read(self, chosen: Tensor, rejected: Tensor) -> UserState:
        present = torch.ones(1, len(chosen), dtype=torch.bool)
        mean, _ = self.network_.posterior(PairSets(chosen[None], rejected[None], present))
        return {"mean": mean[0].numpy()}

    def _values(self, x: Tensor, prompts: Tensor, states: Sequence[UserState | None]) -> Tensor:
        nobody = np.zeros(self.latents, dtype=np.float32)
        z = np.stack([nobody if state is None else state["mean"] for state in states])
        return self.network_.decode(x, torch.from_numpy(z))

    def _facts(self) -> dict[str, Any]:
        facts = {"active_units": self.active_units_, "collapsed": self.collapsed_}
        return {**super()._facts(), **facts}

    def _restore(self, arrays: Mapping[str, NDArray[Any]], facts: Mapping[str, Any]) -> None:
        super()._restore(arrays, facts)
        self.active_units_, self.collapsed_ = int(facts["active_units"]), bool(facts["collapsed"])


def _active(means: NDArray[Any]) -> int:
    """Active latents of posterior means (users, d)."""
    return int((means.var(axis=0, dtype=np.float64) > ACTIVE).sum())


class VplNetwork(nn.Module):  # type: ignore[misc]
    """Encoder and decoder of `Vpl`."""

    def __init__(self, dim: int, *, latents: int, width: int, dropout: float) -> None:
        super().__init__()
        self.drop = nn.Dropout(dropout)
        self.pair = nn.Sequential(
            nn.Linear(2 * dim, width), nn.GELU(), nn.Linear(width, width), nn.LayerNorm(width)
        )
        self.query, self.key, self.value = (nn.Linear(width, width) for _ in range(3))
        self.prior = nn.Parameter(torch.zeros(1))
        self.mean, self.log_variance = nn.Linear(width, latents), nn.Linear(width, latents)
        nn.init.zeros_(self.mean.bias)
        nn.init.constant_(self.log_variance.bias, START_LOG_VARIANCE)
        self.reward = nn.Sequential(nn.Linear(dim + latents, width), nn.GELU(), nn.Linear(width, 1))

    def thinned(self, history: PairSets) -> PairSets:
        """The history without the features that are not seen in a training step."""
        return PairSets(self.drop(history.chosen), self.drop(history.rejected), history.present)

    def posterior(self, history: PairSets) -> tuple[Tensor, Tensor]:
        """Mean and log-variance of z, both (B, d); those of the prior, 0 and 0, without a pair."""
        present = history.present
        pairs = self.pair(torch.cat([history.chosen, history.rejected], dim=-1))
        likeness = self.query(pairs) @ self.key(pairs).transpose(1, 2) / pairs.shape[-1] ** 0.5
        likeness = likeness.masked_fill(~present[:, None], float("-inf"))
        likeness = torch.cat([self.prior.expand(*present.shape, 1), likeness], dim=-1)
        read = torch.softmax(likeness, dim=-1)[..., 1:] @ self.value(pairs)  # the prior item's value is 0
        read = read.masked_fill(~present[..., None], 0.0)
        pooled = read.sum(1) / present.sum(1, keepdim=True).clamp_min(1)
        empty = ~present.any(1, keepdim=True)
        log_variance = self.log_variance(pooled).clamp(*LOG_VARIANCE)
        return self.mean(pooled).masked_fill(empty, 0.0), log_variance.masked_fill(empty, 0.0)

    def decode(self, x: Tensor, z: Tensor) -> Tensor:
        """Rewards (...) of responses (..., D) for latents (..., d)."""
        rewards: Tensor = self.reward(torch.cat([self.drop(x), z], dim=-1))[..., 0]
        return rewards

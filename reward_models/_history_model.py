"""Base of the methods whose network reads a user's history: who a user is takes no gradient step."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from reward_models._feature_model import FeatureModel
from reward_models._settings import SHARE
from reward_models._trainer import Schedule, bradley_terry, train_network
from reward_models._training_pairs import content
from reward_models._types import SILENT, Histories, Said, UserState
from synthesizeme.temperature import fit_margin_temperature
from synthesizeme.types import PreferencePair

PATIENCE = 25
"""Epochs without a better held-out loss before stopping; an epoch, one episode of each user, is short."""


class PairSets(NamedTuple):
    """Encoded pairs of B users, padded to the longest set."""

    chosen: Tensor
    """Features (B, p, D)."""
    rejected: Tensor
    """Features (B, p, D)."""
    present: Tensor
    """Which pairs there are, bool (B, p); a row may have none."""

    def swapped(self, which: Tensor | None = None) -> PairSets:
        """The same pairs with the opposite labels, for all users or for those of `which`, bool (B,)."""
        if which is None:
            return PairSets(self.rejected, self.chosen, self.present)
        turned = which[:, None, None]
        return PairSets(
            torch.where(turned, self.rejected, self.chosen),
            torch.where(turned, self.chosen, self.rejected),
            self.present,
        )


class HistoryModel(FeatureModel):
    """A network that reads a user's pairs and scores a response, trained by episodes.

    In a step each of `batch_size` users is one episode: a share, drawn from U(0, 1), of the user's pairs is
    the context, the others are targets; with probability `no_history` the context is empty, which is how
    the population is learned. Pairs that compare the same responses are never on both sides. At most
    `max_history` pairs are on either side.

    A network can ignore the context and still learn the population; it then stays there. So some episodes
    with a context are mirrored: all their labels are swapped, which only the context tells. Their share
    falls from 1/2, where a population tells nothing, to `mirrored` over the first `warm_up` epochs.

    Held-out pairs, by which epochs are chosen, are read with all other pairs of their user as context; what
    counts is their Bradley-Terry loss at the best temperature.

    Args:
        max_history: Pairs of a history that are read, at least 1; of a longer one the last.
        no_history: Share of episodes with an empty context, in [0, 1].
        mirrored: Share of the episodes with a context that are mirrored, in [0, 1].
        warm_up: Epochs until then, >= 0.
        epochs: Episodes of every user, at most.
        batch_size: Users of a step.
    """

    max_history: int = 60
    no_history: float = 0.2
    mirrored: float = 0.05
    warm_up: int = 30
    epochs: int = 200
    batch_size: int = 8
    limits: ClassVar = {
        "max_history": 1,
        "warm_up": 0,
        "batch_size": 1,
        "no_history": SHARE,
        "mirrored": SHARE,
    }

    @abstractmethod
    def _losses(self, context: PairSets, targets: PairSets, epoch: float) -> Tensor:
        """Training losses of the n target pairs there are, shape (n,), each read with its user's context.

        `epoch` counts the epochs trained so far, with their fraction.
        """

    @abstractmethod
    def _read(self, chosen: Tensor, rejected: Tensor) -> UserState:
        """State of the user with these pairs, (n, D) each, n >= 1; gradients are off."""

    def _user_state(self, pairs: Sequence[PreferencePair], said: Said = SILENT) -> UserState:
        return self._read_last(*self._encode_pairs(pairs))

    def _read_last(self, chosen: Tensor, rejected: Tensor) -> UserState:
        with torch.no_grad():
            return self._read(chosen[-self.max_history :], rejected[-self.max_history :])

    def _train(self, histories: Histories, held_out: Sequence[PreferencePair], epochs: int) -> int:
        encoded = [self._encode_pairs(pairs) for pairs in histories.values()]
        chosen, rejected = (torch.cat(side) for side in zip(*encoded, strict=True))
        groups = _numbered([[content(pair) for pair in pairs] for pairs in histories.values()])
        held_sides = torch.cat(self._encode_pairs(held_out))
        held_users = [pair.user_id for pair in held_out] * 2
        no_prompts = torch.zeros(len(held_sides), 0)
        steps = math.ceil(len(groups) / self.batch_size)

        def sets(rows: Sequence[Tensor]) -> PairSets:
            numbers = pad_sequence(list(rows), batch_first=True)
            lengths = torch.tensor([len(row) for row in rows])
            present = torch.arange(numbers.shape[1]) < lengths[:, None]
            return PairSets(chosen[numbers], rejected[numbers], present)

        def loss(users: Tensor, step: int) -> Tensor:
            contexts, targets = zip(*(self._episode(groups[user]) for user in users.tolist()), strict=True)
            context, asked, epoch = sets(contexts), sets(targets), step / steps
            left = max(0.0, 1 - epoch / self.warm_up) if self.warm_up else 0.0
            mirrored = torch.rand(len(users)) < self.mirrored + left * (0.5 - self.mirrored)
            mirrored &= context.present.any(1)
            return self._losses(context.swapped(mirrored), asked.swapped(mirrored), epoch).mean()

        def held_out_loss() -> float:
            states = {user: self._read_last(*sides) for user, sides in zip(histories, encoded, strict=True)}
            values = self._values(held_sides, no_prompts, [states.get(user) for user in held_users])
            margins = (values[: len(held_out)] - values[len(held_out) :]).double()
            temperature = fit_margin_temperature(margins.numpy())
            return float(bradley_terry(margins / temperature).mean())

        schedule = Schedule(
            epochs=epochs,
            patience=PATIENCE,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            weight_decay=self.weight_decay,
        )
        return train_network(
            self.network_,
            loss,
            len(groups),
            schedule,
            seed=self.seed,
            held_out=held_out_loss if held_out else None,
        )

    def _episode(self, groups: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Numbers of the context's pairs and of the targets (at least one), at random."""
        order = [groups[i] for i in torch.randperm(len(groups)).tolist()]
        share, none = torch.rand(2).tolist()
        cut = 0 if none < self.no_history else int(share * len(order))
        context, targets = torch.cat([order[0][:0], *order[:cut]]), torch.cat(order[cut:])
        return context[: self.max_history], targets[: self.max_history]


def _numbered(users: Sequence[Sequence[object]]) -> list[list[Tensor]]:
    """Numbers of all pairs, counted through, by user and within a user by what they compare."""
    found, start = [], 0
    for contents in users:
        groups: dict[object, list[int]] = {}
        for i, key in enumerate(contents):
            groups.setdefault(key, []).append(start + i)
        found.append([torch.tensor(rows) for rows in groups.values()])
        start += len(contents)
    return found

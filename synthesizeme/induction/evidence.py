"""What a reward model learned about users, as plain values for the persona writer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast

from synthesizeme.datasets import assign_splits, by_user
from synthesizeme.errors import ConfigError, DataError
from synthesizeme.plain_text import count

if TYPE_CHECKING:
    from reward_models import RewardModel
    from synthesizeme.profile import OwnTaste
    from synthesizeme.types import Evidence, PreferencePair

    Histories = Mapping[str, Sequence[PreferencePair]]

DEFAULT_METHOD = "hierarchical-stylometric"
LIMIT = 4
"""Most items of evidence about a user. On validation pairs of LLMFAO personas with more do no better: 69.9 %
with 4 items as with none, 69.6 to 69.8 % with 6 to 28 (`experiments/evidence_limit`)."""


class GivesEvidence(Protocol):
    """A reward model that can say what it learned about a user."""

    def own_taste(self, user_id: str) -> OwnTaste:
        """In what the user differs from anybody, and what is predicted of anybody."""


@dataclass(frozen=True)
class Gathered:
    """Evidence about users and where it comes from."""

    by_user: Mapping[str, Sequence[Evidence]]
    population: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """The probability of each choice of a user for anybody, by user and pair id."""
    source: str | None = None
    """Model and what it was fitted to, in words; None without evidence."""


def gather(
    pairs: Sequence[PreferencePair], user_ids: Sequence[str], *, checkpoint: Path | None = None, seed: int = 0
) -> Gathered:
    """What a model learned about these users, from train and validation pairs alone.

    Args:
        pairs: Pairs of these and other users; without a split they get the one that the induction gives.
        user_ids: Users to be induced. One without history, or whose rows have no usable split, gets none.
        checkpoint: A model whose part of these users is fitted anew; by default `DEFAULT_METHOD`, fitted to
            all pairs.
        seed: Seed of the splits and of the model.

    Raises:
        ConfigError: the method of the checkpoint gives no evidence.
        DataError: the checkpoint cannot be read.
    """
    if checkpoint is None:
        histories = _histories(pairs, seed)
        model, source = _fitted(histories, seed)
    else:
        induced = set(user_ids)
        histories = _histories([pair for pair in pairs if pair.user_id in induced], seed)
        model, source = _loaded(checkpoint, histories)
    giver = cast(GivesEvidence, model)
    known = [user for user in user_ids if user in histories]
    tastes = {user: giver.own_taste(user) for user in known}
    return Gathered(
        {user: taste.own[:LIMIT] for user, taste in tastes.items()},
        {user: taste.anybody for user, taste in tastes.items()},
        source,
    )


def _histories(pairs: Sequence[PreferencePair], seed: int) -> dict[str, list[PreferencePair]]:
    """Train and validation pairs by user; the induction itself refuses users whose rows cannot be split."""
    found = {}
    for user, own in by_user(pairs).items():
        try:
            split, _ = assign_splits(own, seed=seed)
        except DataError:
            continue
        if history := [pair for pair in split if pair.split != "test"]:
            found[user] = history
    return found


def _fitted(histories: Histories, seed: int) -> tuple[RewardModel, str]:
    from reward_models import method

    every = [pair for history in histories.values() for pair in history]
    model = method(DEFAULT_METHOD)(seed=seed)
    if every:
        model.fit(every)
    shared = f"{count(len(every), 'train and validation pair')} of {count(len(histories), 'user')}"
    return model, f"{DEFAULT_METHOD} fitted to {shared}"


def _loaded(checkpoint: Path, histories: Histories) -> tuple[RewardModel, str]:
    from reward_models import load

    model = load(checkpoint)
    if not callable(getattr(model, "own_taste", None)):
        raise ConfigError(
            f"{checkpoint}: {model.name} gives no evidence; "
            f"expected a checkpoint of hierarchical or {DEFAULT_METHOD}"
        )
    for user, history in histories.items():
        model.fit_user(user, history)
    return model, f"{model.name} of the checkpoint {checkpoint.name}"

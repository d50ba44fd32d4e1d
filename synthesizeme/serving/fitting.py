"""Users fitted to their pairs and words by a model that is then asked for their rewards."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from synthesizeme.datasets import by_user
from synthesizeme.errors import DataError
from synthesizeme.evaluation.selective import Abstainer, rule_of_model
from synthesizeme.feedback import UserWords
from synthesizeme.plain_text import id_list, printable
from synthesizeme.types import PreferencePair

if TYPE_CHECKING:
    from reward_models import RewardModel


@dataclass(frozen=True)
class FittedUsers:
    """To what users were fitted."""

    histories: dict[str, list[PreferencePair]]
    """Pairs by user; none of a user who only spoke."""
    words: dict[str, UserWords]
    """Words by user."""
    left_out: Counter[str]
    """Pairs of the test split by user, which are not learned from."""
    known: list[str]
    """Users whose words alone were not taken, since the model knows them from training."""
    abstainer: Abstainer | None
    """Says which comparisons are answered; None without a promise."""


def fit_users(
    model: RewardModel,
    pairs: Sequence[PreferencePair] | None,
    words: Mapping[str, UserWords],
    *,
    user: str | None = None,
    max_error: float | None = None,
    sources: tuple[str, str] = ("pairs", "words"),
) -> FittedUsers:
    """Fit users to their pairs and words; the shared weights of the model stay.

    Args:
        model: A fitted model.
        pairs: Pairs of any users; those of the test split are left out. None gives none.
        words: What users said beside choices, by user; unread by a model that reads no words.
        user: The only user that is fitted; by default all of them.
        max_error: The error that is promised: pairs of the split validation are then not fitted to, and say
            from which confidence on a comparison is answered.
        sources: Where pairs and words come from, for messages.

    Raises:
        DataError: there is nothing of anybody who is asked about, or with `max_error` there are too few
            validation pairs, or pairs that the model learned from.
        ConfigError: `max_error` is not within (0, 1).
    """
    histories, left_out = ({}, Counter[str]()) if pairs is None else _histories(pairs, user, sources[0])
    validation: list[PreferencePair] = []
    if max_error is not None:
        validation = [it for own in histories.values() for it in own if it.split == "validation"]
        histories = {name: [it for it in own if it.split != "validation"] for name, own in histories.items()}
    spoken = dict(words)
    if spoken and user is not None:
        if user not in spoken:
            problem = f"has no words of user {printable(user, 60)!r}; it has those of {id_list(spoken)}"
            raise DataError(problem, source=sources[1], cure="check --user.")
        spoken = {user: spoken[user]}
    spoken = spoken if model.reads_words else {}
    known = [name for name in spoken if name in model.users_ and name not in histories]
    spoken = {name: said for name, said in spoken.items() if name not in known}
    told = {**histories, **{name: [] for name in spoken if name not in histories}}
    model.fit_users(told, spoken)
    rule = None if max_error is None else rule_of_model(model, validation, max_error, sources[0])
    return FittedUsers(told, spoken, left_out, known, None if rule is None else Abstainer(rule))


def _histories(
    pairs: Sequence[PreferencePair], user: str | None, source: str
) -> tuple[dict[str, list[PreferencePair]], Counter[str]]:
    """The pairs that may be learned from, and how many of the test split there are, by user."""
    users = by_user(pairs)
    asked = {name: users.get(name, []) for name in (users if user is None else [user])}
    left_out = Counter({name: sum(it.split == "test" for it in own) for name, own in asked.items()})
    found = {name: [it for it in own if it.split != "test"] for name, own in asked.items()}
    histories = {name: own for name, own in found.items() if own}
    if not histories:
        whose = "anybody" if user is None else f"user {printable(user, 60)!r}"
        raise DataError(
            f"has no train or validation pair of {whose}",
            source=source,
            cure="check --user, or the `split` of the rows.",
        )
    return histories, left_out

"""A scorer that learns who the user is, measured with its controls and by the length of the history.

It is fitted once on everybody's history. After that only what it knows of the users is changed: forgotten,
replaced by another user's history, or by their own with the labels swapped. Shared weights are untouched, so
that every difference between the outcomes is what the user's own history is worth.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping, Sequence

from synthesizeme.evaluation.benchmarks import Benchmark, Fold
from synthesizeme.evaluation.controls import another_users, swapped
from synthesizeme.evaluation.harness import Outcome
from synthesizeme.evaluation.measurement import OWN, Part
from synthesizeme.scoring import PersonalScorer
from synthesizeme.types import PreferencePair

LENGTHS = (0, 1, 2, 4, 8, 16)
"""Numbers of own pairs that new users bring along."""
FEWEST_ON_CURVE = 2
"""A history length belongs to the curve if at least so many users have a history that long."""
ONE_USER = "no wrong-user control: only one user has a history"

Histories = Mapping[str, Sequence[PreferencePair]]


def measure_fold(model: PersonalScorer, benchmark: Benchmark, fold: Fold, *, seed: int = 0) -> Part:
    """Fit on a fold's history; score its test pairs with the user's own history and with each control.

    A method that keeps no state of any user has no controls. The model knows its own users again afterwards.

    Args:
        model: What to measure; fitted here.
        benchmark: Whose rules hold.
        fold: What to learn from and what to ask.
        seed: Seed of the orders drawn and of who is lent whose history.

    Raises:
        SynthesizeMeError: the model cannot be fitted or asked.
    """
    started = time.perf_counter()
    model.fit(fold.history)
    fitted = time.perf_counter()
    own = benchmark.ask(model, fold.test, seed=seed)
    done = time.perf_counter()
    parameters = model.parameters
    notes: tuple[str, ...] = ()
    outcomes = {OWN: own}
    if any(model.users_.values()):
        changes = knowledge_changes(model, fold, seed)
        notes = () if "wrong_user" in changes else (ONE_USER,)
        outcomes |= _changed(model, benchmark, fold, changes, seed)
    return Part(
        outcomes=outcomes,
        fit_seconds=fitted - started,
        score_seconds=done - fitted,
        parameters=parameters,
        notes=notes,
    )


def curve_lengths(fold: Fold) -> tuple[int, ...]:
    """The history lengths of the curve: up to the longest that `FEWEST_ON_CURVE` users have; maybe none."""
    longest = sorted((len(pairs) for pairs in fold.histories.values()), reverse=True)
    reach = longest[FEWEST_ON_CURVE - 1] if len(longest) >= FEWEST_ON_CURVE else 0
    return tuple(length for length in LENGTHS if length <= reach) if reach else ()


def halves(fold: Fold) -> tuple[Fold, Fold]:
    """Users divided in two by a hash of their id, each half asked about after learning from the other.

    `Fold.history` is that of the other half's users; the test pairs are those of the users on the curve.
    """
    reach = curve_lengths(fold)[-1]
    on_curve = {user for user, pairs in fold.histories.items() if len(pairs) >= reach}
    users = sorted({pair.user_id for pair in (*fold.history, *fold.test)}, key=_hash)
    first = set(users[: len(users) // 2])

    def half(number: int) -> Fold:
        return Fold(
            name=f"new users, half {number}",
            history=tuple(pair for pair in fold.history if (pair.user_id in first) != (number == 1)),
            test=tuple(
                pair
                for pair in fold.test
                if pair.user_id in on_curve and (pair.user_id in first) == (number == 1)
            ),
        )

    return half(1), half(2)


def measure_curve(
    model: PersonalScorer,
    benchmark: Benchmark,
    half: Fold,
    histories: Histories,
    lengths: Sequence[int],
    *,
    seed: int = 0,
) -> Part:
    """Fit on one half of the users; users of the other half then bring their first 0, 1, 2, … pairs.

    Args:
        model: What to measure; fitted here.
        benchmark: Whose rules hold.
        half: One of `halves`.
        histories: Past pairs of the users asked about.
        lengths: How many pairs they bring.
        seed: Seed of the orders drawn.

    Raises:
        SynthesizeMeError: the model cannot be fitted or asked.
    """
    started = time.perf_counter()
    model.fit(half.history)
    seconds = time.perf_counter() - started
    users = dict.fromkeys(pair.user_id for pair in half.test)
    outcomes = {}
    for length in lengths:
        model.fit_users({user: histories[user][:length] for user in users})
        outcomes[str(length)] = benchmark.ask(model, half.test, seed=seed)
    return Part(outcomes=outcomes, fit_seconds=seconds)


def knowledge_changes(model: PersonalScorer, fold: Fold, seed: int) -> dict[str, Histories]:
    """What each control lets a model know of the users, by its name; ``wrong_user`` needs two of them."""
    histories = fold.histories
    changes: dict[str, Histories] = {"no_user": dict.fromkeys(model.users_, ())}
    if len(histories) > 1:
        changes["wrong_user"] = {
            user: [pair.model_copy(update={"user_id": user}) for pair in lent]
            for user, lent in another_users(histories, seed).items()
        }
    if histories:
        changes["swapped_labels"] = {user: swapped(pairs) for user, pairs in histories.items()}
    return changes


def _changed(
    model: PersonalScorer, benchmark: Benchmark, fold: Fold, changes: Mapping[str, Histories], seed: int
) -> dict[str, Outcome]:
    """The test pairs under each change; the states that the model had come back in the end."""
    known = dict(model.users_)
    outcomes = {}
    try:
        for name, histories in changes.items():
            model.users_ = dict(known)
            model.fit_users(histories)
            outcomes[name] = benchmark.ask(model, fold.test, seed=seed)
    finally:
        model.users_ = known
    return outcomes


def _hash(user_id: str) -> bytes:
    return hashlib.sha256(f"half:{user_id}".encode("utf-8", "surrogatepass")).digest()

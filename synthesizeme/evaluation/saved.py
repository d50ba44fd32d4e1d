"""A reward model that was trained earlier, measured as it is: nothing is fitted, its users' states answer."""

from __future__ import annotations

import time
from typing import Any

from synthesizeme.errors import DataError
from synthesizeme.evaluation.beaten import answers_beaten
from synthesizeme.evaluation.benchmarks import Benchmark
from synthesizeme.evaluation.controls import another_users, swapped
from synthesizeme.evaluation.folds import Fold
from synthesizeme.evaluation.harness import Outcome
from synthesizeme.evaluation.measurement import OWN, Part
from synthesizeme.evaluation.personal import ONE_USER, words_of
from synthesizeme.scoring import SavedScorer

UNRECORDED = (
    "the checkpoint does not say which pairs it learned from: test pairs among them make it look better than "
    "it is"
)
NO_HISTORY = "no swapped-labels control: the data has no train or validation pair of a user that it knows"


def measure_saved(
    model: SavedScorer,
    benchmark: Benchmark,
    fold: Fold,
    *,
    controls: bool = True,
    no_answers: int = 0,
    seed: int = 0,
) -> Part:
    """Score a fold's test pairs with the states that a saved model has of its users, and with each control.

    ``no_user`` forgets all states, ``wrong_user`` lends each user another one's state, ``swapped_labels``
    fits the users that the fold has a history of from that history with its labels swapped; shared weights
    stay, and the model knows its own users again afterwards. Users it does not know are asked about as they
    would be in use, by population or refused.

    Args:
        model: Fitted, or loaded.
        benchmark: Whose rules hold.
        fold: What to ask; its history is used for ``swapped_labels`` alone.
        controls: Whether ``wrong_user`` and ``swapped_labels`` are run; ``no_user`` always is.
        no_answers: Most test pairs to which it is shown texts that are no answers; 0: none.
        seed: Seed of the orders drawn and of who is lent whose state.

    Raises:
        DataError: it learned from a test pair; or it is a population and learned from any pair of the fold.
        SynthesizeMeError: it cannot be asked.
    """
    _refuse_learned(model, fold)
    started = time.perf_counter()
    outcomes = {OWN: benchmark.ask(model, fold.test, seed=seed)}
    seconds = time.perf_counter() - started
    asked = dict.fromkeys(pair.user_id for pair in fold.test)
    known = [user for user in asked if model.users_.get(user)]
    notes = [UNRECORDED] if model.learned_from is None else []
    if unknown := len(asked) - len([user for user in asked if user in model.users_]):
        notes.append(f"{unknown} of the {len(asked)} users asked about are not in the checkpoint")
    if known:
        told = _controls(model, benchmark, fold, known, seed, every=controls)
        outcomes |= told
        if controls:
            notes += [] if "wrong_user" in told else [ONE_USER]
            notes.append(_swapped_note(fold, known) if "swapped_labels" in told else NO_HISTORY)
    return Part(
        outcomes=outcomes,
        score_seconds=seconds,
        parameters=model.parameters,
        no_answers=answers_beaten(model, fold.test, no_answers, seed=seed),
        notes=tuple(notes),
    )


def _controls(
    model: SavedScorer, benchmark: Benchmark, fold: Fold, known: list[str], seed: int, *, every: bool
) -> dict[str, Outcome]:
    own = dict(model.users_)
    states: dict[str, dict[str, Any]] = {"no_user": {}}
    if every and len(known) > 1:
        states["wrong_user"] = own | another_users({user: own[user] for user in known}, seed)
    outcomes = {}
    try:
        for name, users in states.items():
            model.users_ = dict(users)
            outcomes[name] = benchmark.ask(model, fold.test, seed=seed)
        histories = {user: swapped(pairs) for user, pairs in fold.histories.items() if user in known}
        if every and histories:
            model.users_ = dict(own)
            model.fit_users(histories, words_of(benchmark, known))
            outcomes["swapped_labels"] = benchmark.ask(model, fold.test, seed=seed)
    finally:
        model.users_ = own
    return outcomes


def _swapped_note(fold: Fold, known: list[str]) -> str:
    fitted = sum(user in fold.histories for user in known)
    return (
        f"labels swapped in the history that this data has of {fitted} of the {len(known)} users it "
        "knows, which need not be the one it learned from"
    )


def _refuse_learned(model: SavedScorer, fold: Fold) -> None:
    learned = model.learned_from or frozenset()
    if model.population:
        _refuse_own(model, fold, learned)
    leaked = [pair.pair_id for pair in fold.test if pair.fingerprint in learned]
    if leaked:
        raise DataError(
            f"{model.name} learned from {len(leaked)} of the {len(fold.test)} test pairs, the first is "
            f"{leaked[0][:60]!r}",
            field="split",
            cure="train it on a file in which these rows have the split test, or with --holdout, which keeps "
            "test pairs back and writes them beside the checkpoint.",
        )


def _refuse_own(model: SavedScorer, fold: Fold, learned: frozenset[str]) -> None:
    """Refuse data with pairs that a population was made from, since its test pairs have the same texts."""
    every = [*fold.test, *(pair for pairs in fold.histories.values() for pair in pairs)]
    own = sum(pair.fingerprint in learned for pair in every)
    if own:
        raise DataError(
            f"{model.name}: this population was made from {own} of the {len(every)} pairs of this data, and "
            "the others are of the same people and texts",
            field="split",
            cure=f"measure it on other data, or fit the method anew: --scorers {model.name}.",
        )

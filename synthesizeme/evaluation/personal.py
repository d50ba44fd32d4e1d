"""A scorer that learns who the user is, measured with its controls and by the length of the history.

It is fitted once on everybody's history. After that only what it knows of the users is changed: forgotten,
replaced by another user's history and words, or by their own history with the labels swapped. Shared
weights are untouched, so that every difference between the outcomes is what the user's own history and
words are worth.

One that was trained earlier is measured as it is (`measure_saved`): nothing is fitted, its users' states
answer.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from random import Random
from typing import Any, NamedTuple

from synthesizeme.errors import DataError
from synthesizeme.evaluation.benchmarks import Benchmark
from synthesizeme.evaluation.controls import another_users, swapped
from synthesizeme.evaluation.folds import Fold
from synthesizeme.evaluation.harness import Outcome, repeated
from synthesizeme.evaluation.measurement import AT_RANDOM, OWN, TaskResult
from synthesizeme.evaluation.no_answers import answers_beaten
from synthesizeme.evaluation.selective import Selection, rule_of, selected
from synthesizeme.feedback import UserWords
from synthesizeme.scoring import PairwiseScorer, PersonalScorer, SavedScorer
from synthesizeme.types import PreferencePair

LENGTHS = (0, 1, 2, 4, 8, 16, 32)
"""Numbers of own pairs that new users bring along."""
SAME_USERS_UP_TO = 16
"""Up to this length the same users are on the curve; a longer one is asked of those who have so many."""
DRAWS = 5
"""So often the pairs that a user brings are drawn at random."""
FEWEST_ON_CURVE = 2
"""A history length belongs to the curve if at least so many users have a history that long."""
ONE_USER = "no wrong-user control: only one user has a history"

Histories = Mapping[str, Sequence[PreferencePair]]
Words = Mapping[str, UserWords]


class Knowledge(NamedTuple):
    """What a model is told of users: choices, and what they said beside them."""

    histories: Histories
    words: Words


def measure_fold(
    model: PersonalScorer, benchmark: Benchmark, fold: Fold, *, no_answers: int = 0, seed: int = 0
) -> TaskResult:
    """Fit on a fold's history; score its test pairs with the user's own history and with each control.

    A method that keeps no state of any user has no controls. The model knows its own users again afterwards.

    Args:
        model: What to measure; fitted here.
        benchmark: Whose rules hold.
        fold: What to learn from and what to ask.
        no_answers: Most test pairs to which it is shown texts that are no answers; 0: none.
        seed: Seed of the orders drawn and of who is lent whose history.

    Raises:
        SynthesizeMeError: the model cannot be fitted or asked.
    """
    started = time.perf_counter()
    model.fit(fold.history, words_of(benchmark, [pair.user_id for pair in (*fold.history, *fold.test)]))
    fitted = time.perf_counter()
    own = benchmark.ask(model, fold.test, seed=seed)
    done = time.perf_counter()
    parameters = model.parameters
    notes: tuple[str, ...] = ()
    outcomes = {OWN: own}
    if any(model.users_.values()):
        words = words_of(benchmark, [pair.user_id for pair in fold.test])
        changes = knowledge_changes(model, fold, words, seed)
        notes = () if "wrong_user" in changes else (ONE_USER,)
        told = {name: partial(model.fit_users, it.histories, it.words) for name, it in changes.items()}
        outcomes |= _changed(model, benchmark, fold, told, seed)
    return TaskResult(
        outcomes=outcomes,
        fit_seconds=fitted - started,
        score_seconds=done - fitted,
        parameters=parameters,
        no_answers=answers_beaten(model, fold.test, no_answers, seed=seed),
        notes=notes,
    )


def measure_selection(
    model: PersonalScorer, benchmark: Benchmark, fold: Fold, max_error: float, *, seed: int = 0
) -> Selection:
    """Fit on the train rows of a fold; its validation rows say which test pairs are answered.

    Args:
        model: What to measure; fitted here.
        benchmark: Whose rules hold.
        fold: What to learn from, what to set the threshold by, and what to ask.
        max_error: The promised error, in (0, 1).
        seed: Seed of the orders drawn.

    Raises:
        DataError: the validation rows are too few.
        SynthesizeMeError: the model cannot be fitted or asked.
    """
    train = [pair for pair in fold.history if pair.split != "validation"]
    model.fit(train, words_of(benchmark, [pair.user_id for pair in (*fold.history, *fold.test)]))
    return selection_of(model, benchmark, fold, max_error, seed=seed)


def selection_of(
    model: PairwiseScorer, benchmark: Benchmark, fold: Fold, max_error: float, *, seed: int = 0
) -> Selection:
    """What comes of abstaining with a model that has not learned from the validation rows of a fold."""
    validation = [pair for pair in fold.history if pair.split == "validation"]
    said = benchmark.ask(model, validation, seed=seed)
    rule = rule_of(said.pairs, max_error, source=fold.name)
    return selected(rule, benchmark.ask(model, fold.test, seed=seed).pairs)


def curve_lengths(fold: Fold) -> tuple[int, ...]:
    """The history lengths of the curve: up to the longest that `FEWEST_ON_CURVE` users have; maybe none."""
    longest = sorted((len(pairs) for pairs in fold.histories.values()), reverse=True)
    reach = longest[FEWEST_ON_CURVE - 1] if len(longest) >= FEWEST_ON_CURVE else 0
    return tuple(length for length in LENGTHS if length <= reach) if reach else ()


def halves(fold: Fold) -> tuple[Fold, Fold]:
    """Users divided in two by a hash of their id, each half asked about after learning from the other.

    `Fold.history` is that of the other half's users; the test pairs are those of the users on the curve.
    """
    least = min(curve_lengths(fold)[-1], SAME_USERS_UP_TO)
    on_curve = {user for user, pairs in fold.histories.items() if len(pairs) >= least}
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
) -> TaskResult:
    """Fit on one half of the users; users of the other half then bring 0, 1, 2, … pairs.

    They bring their first ones, and ones drawn at random. With 0 pairs a user is nobody, except to a model
    that reads their words. A length beyond `SAME_USERS_UP_TO` is asked of those who have so many pairs.

    Args:
        model: What to measure; fitted here.
        benchmark: Whose rules hold.
        half: One of `halves`.
        histories: Past pairs of the users asked about.
        lengths: How many pairs they bring.
        seed: Seed of the orders drawn and of the pairs drawn at random, `DRAWS` times for each user.

    Raises:
        SynthesizeMeError: the model cannot be fitted or asked.
    """
    started = time.perf_counter()
    model.fit(half.history, words_of(benchmark, [pair.user_id for pair in half.history]))
    seconds = time.perf_counter() - started
    asked_of = dict.fromkeys(pair.user_id for pair in half.test)
    words = words_of(benchmark, asked_of)
    outcomes = {}
    for length in lengths:
        users = [user for user in asked_of if length <= SAME_USERS_UP_TO or len(histories[user]) >= length]
        test = [pair for pair in half.test if pair.user_id in set(users)]

        def after(brought: Histories, test: Sequence[PreferencePair] = test) -> Outcome:
            model.fit_users(brought, words)
            return benchmark.ask(model, test, seed=seed)

        outcomes[str(length)] = after({user: histories[user][:length] for user in users})
        if length:
            outcomes[f"{AT_RANDOM}{length}"] = repeated(
                [
                    after({user: drawn(histories[user], length, f"{seed}\0{draw}\0{user}") for user in users})
                    for draw in range(DRAWS)
                ]
            )
    return TaskResult(outcomes=outcomes, fit_seconds=seconds)


def drawn(pairs: Sequence[PreferencePair], n: int, seed: str) -> list[PreferencePair]:
    """`n` of the pairs at random, in their order; with one seed those of a smaller `n` are among them."""
    indices = list(range(len(pairs)))
    Random(seed).shuffle(indices)
    return [pairs[index] for index in sorted(indices[:n])]


def words_of(benchmark: Benchmark, users: Collection[str]) -> dict[str, UserWords]:
    """What these users said."""
    return {user: benchmark.words[user] for user in dict.fromkeys(users) if user in benchmark.words}


def knowledge_changes(
    model: PersonalScorer, fold: Fold, words: Words | None = None, seed: int = 0
) -> dict[str, Knowledge]:
    """What each control lets a model know of the users, by its name; ``wrong_user`` needs two of them.

    Args:
        model: Fitted.
        fold: Whose users are asked about.
        words: What they said.
        seed: Seed of who is lent whose history and words.
    """
    histories, words = fold.histories, words or {}
    told = {user: (histories.get(user, ()), words.get(user)) for user in (*histories, *words)}
    changes = {"no_user": Knowledge(dict.fromkeys(model.users_, ()), {})}
    if len(told) > 1:
        lent = another_users(told, seed)
        changes["wrong_user"] = Knowledge(
            {
                user: [pair.model_copy(update={"user_id": user}) for pair in pairs]
                for user, (pairs, _) in lent.items()
            },
            {user: said.lent_to(user) for user, (_, said) in lent.items() if said is not None},
        )
    if histories:
        turned = {user: swapped(pairs) for user, pairs in histories.items()}
        changes["swapped_labels"] = Knowledge(turned, words)
    return changes


@contextmanager
def states_kept(model: PersonalScorer) -> Iterator[dict[str, Any]]:
    """The states of a model's users, which it has again after the block, whatever it is told inside."""
    own = dict(model.users_)
    try:
        yield own
    finally:
        model.users_ = own


def _changed(
    model: PersonalScorer,
    benchmark: Benchmark,
    fold: Fold,
    changes: Mapping[str, Callable[[], object]],
    seed: int,
) -> dict[str, Outcome]:
    """The test pairs under each change of what the model knows of its users, one at a time."""
    outcomes = {}
    with states_kept(model) as own:
        for name, change in changes.items():
            model.users_ = dict(own)
            change()
            outcomes[name] = benchmark.ask(model, fold.test, seed=seed)
    return outcomes


def _hash(user_id: str) -> bytes:
    return hashlib.sha256(f"half:{user_id}".encode("utf-8", "surrogatepass")).digest()


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
) -> TaskResult:
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
    return TaskResult(
        outcomes=outcomes,
        score_seconds=seconds,
        parameters=model.parameters,
        no_answers=answers_beaten(model, fold.test, no_answers, seed=seed),
        notes=tuple(notes),
    )


def _controls(
    model: SavedScorer, benchmark: Benchmark, fold: Fold, known: list[str], seed: int, *, every: bool
) -> dict[str, Outcome]:
    histories = {user: swapped(pairs) for user, pairs in fold.histories.items() if user in known}
    changes: dict[str, Callable[[], object]] = {"no_user": lambda: model.users_.clear()}
    if every and len(known) > 1:
        lent = another_users({user: model.users_[user] for user in known}, seed)
        changes["wrong_user"] = lambda: model.users_.update(lent)
    if every and histories:
        changes["swapped_labels"] = partial(model.fit_users, histories, words_of(benchmark, known))
    return _changed(model, benchmark, fold, changes, seed)


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

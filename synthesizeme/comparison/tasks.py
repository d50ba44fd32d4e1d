"""The tasks of work of a comparison: folds, re-splits, halves of the users for the history-length curve."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Literal

from synthesizeme.evaluation.benchmarks import Benchmark, resplits
from synthesizeme.evaluation.folds import Fold
from synthesizeme.evaluation.personal import (
    FEWEST_ON_CURVE,
    SAME_USERS_UP_TO,
    Histories,
    curve_lengths,
    halves,
)
from synthesizeme.types import PreferencePair

TaskKind = Literal["fold", "re-split", "new users"]


@dataclass(frozen=True)
class Task:
    """What is measured of every system at once, written at once, and not measured again."""

    kind: TaskKind
    """A fold, a re-split of the one fold, or one half of the users."""
    benchmark: Benchmark
    """Rules, and the one fold to measure."""
    everyone: Sequence[PreferencePair]
    """Pairs whose owners are the other people of a majority."""
    others: bytes
    """Digest of `everyone`."""
    seed: int
    """Seed of every random choice."""
    lengths: tuple[int, ...] = ()
    """Numbers of pairs that new users bring."""
    histories: Histories = field(default_factory=dict)
    """The pairs that new users bring, by user, in the order of the data."""
    no_answers: int = 0
    """Most test pairs to which a reward model is shown texts that are no answers; 0: none."""

    @property
    def fold(self) -> Fold:
        """What to learn from and what to ask."""
        return self.benchmark.folds[0]

    @property
    def name(self) -> str:
        """Name within the comparison."""
        return self.fold.name

    @cached_property
    def digest(self) -> str:
        """SHA-256 (hex) of all pairs in their order, and of the rules."""
        found = hashlib.sha256()
        rules = [self.kind, self.benchmark.ties, self.benchmark.both_orders, self.seed, self.lengths]
        words = [said.model_dump(mode="json") for said in self.benchmark.words.values()]
        found.update(json.dumps([*rules, words]).encode())
        asked = (_digest(self.fold.history), _digest(self.fold.test), self.others)
        for part in (*asked, *map(_digest, self.histories.values())):
            found.update(part)
        return found.hexdigest()


@dataclass(frozen=True)
class Tasks:
    """All tasks, and what a reader should know of them."""

    folds: tuple[Task, ...]
    resplits: tuple[Task, ...] = ()
    halves: tuple[Task, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def every(self) -> tuple[Task, ...]:
        """All of them, in the order in which they are measured."""
        return (*self.folds, *self.resplits, *self.halves)


def divided(
    benchmark: Benchmark,
    everyone: Sequence[PreferencePair] = (),
    *,
    resplit: int = 0,
    cold_start: bool = True,
    no_answers: int = 0,
    seed: int = 0,
) -> Tasks:
    """Divide a benchmark into tasks.

    Args:
        benchmark: What to measure on.
        everyone: Pairs whose owners are the other people of a majority; by default the benchmark's own.
        resplit: Number of seeded re-splits of the pairs within users.
        cold_start: Whether the history-length curve is drawn.
        no_answers: Most test pairs to which reward models are shown texts that are no answers, on the first
            fold alone; 0: none.
        seed: Seed of every random choice.
    """
    everyone = tuple(everyone or benchmark.pairs)
    others = _digest(everyone)

    def task(kind: TaskKind, fold: Fold) -> Task:
        return Task(kind, benchmark.model_copy(update={"folds": (fold,)}), everyone, others, seed)

    halved, notes = _halves(benchmark) if cold_start else ((), ())
    redrawn: tuple[Benchmark, ...] = ()
    if resplit and len(benchmark.folds) == 1:
        redrawn = resplits(benchmark, n=resplit, seed=seed)
    elif resplit:
        notes += (
            f"no re-splits: they draw the test pairs, and here {len(benchmark.folds)} folds "
            "say which pairs are test",
        )
    first = benchmark.folds[0]
    folds = [task("fold", fold) for fold in benchmark.folds]
    return Tasks(
        folds=(replace(folds[0], no_answers=no_answers), *folds[1:]),
        resplits=tuple(task("re-split", it.folds[0]) for it in redrawn),
        halves=tuple(
            replace(task("new users", half), lengths=curve_lengths(first), histories=_brought(first, half))
            for half in halved
        ),
        notes=notes,
    )


def _halves(benchmark: Benchmark) -> tuple[tuple[Fold, ...], tuple[str, ...]]:
    """The halves that have somebody to ask, and notes; none where a half has nobody to learn from."""
    fold = benchmark.folds[0]
    if not curve_lengths(fold):
        return (), (f"no history-length curve: fewer than {FEWEST_ON_CURVE} users have a history",)
    asked = tuple(half for half in halves(fold) if half.test)
    if not all(half.history for half in asked):
        return (), ("no history-length curve: one half of the users has no history to learn from",)
    users = {pair.user_id for half in asked for pair in half.test}
    lengths = curve_lengths(fold)
    notes = [
        f"new users: {len(users)} users with at least {min(lengths[-1], SAME_USERS_UP_TO)} pairs of history"
    ]
    for length in lengths:
        if length > SAME_USERS_UP_TO:
            having = sum(len(fold.histories[user]) >= length for user in users)
            notes[0] += f", {having} of them with {length}"
    if len(benchmark.folds) > 1:
        notes.append(
            f"new users: measured on the first of {len(benchmark.folds)} folds, {fold.name!r}, alone"
        )
    return asked, tuple(notes)


def _brought(whole: Fold, half: Fold) -> Histories:
    """Past pairs of the users that a half asks about."""
    users = {pair.user_id for pair in half.test}
    return {user: pairs for user, pairs in whole.histories.items() if user in users}


def _digest(pairs: Iterable[PreferencePair]) -> bytes:
    found = hashlib.sha256()
    for pair in pairs:
        found.update(json.dumps(pair.model_dump(), sort_keys=True, default=str).encode() + b"\n")
    return found.digest()

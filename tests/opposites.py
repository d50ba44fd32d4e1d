"""A planted population: some users like calm answers, fewer like loud ones, and all judge the same items."""

from __future__ import annotations

from random import Random

from synthesizeme.evaluation.benchmarks import Benchmark
from synthesizeme.evaluation.folds import Fold
from synthesizeme.types import Message, PreferencePair

WORDS = [
    "harbour",
    "lantern",
    "meadow",
    "granite",
    "whistle",
    "copper",
    "orchard",
    "thunder",
    "velvet",
    "compass",
]


def judged(user, number, *, calm, split):
    """A user's choice on item `number`: the calm answer, or the loud one."""
    rng = Random(number)
    words = [rng.choice(WORDS) for _ in range(rng.randint(4, 9))]
    quiet = f"It is about {' '.join(words)}, as far as I know, number {number}."
    loud = f"Wow!! {words[0].upper()}! Great {words[-1]}! Number {number}!!"
    chosen, rejected = (quiet, loud) if calm else (loud, quiet)
    return PreferencePair(
        pair_id=f"{user}-{number}",
        user_id=user,
        prompt=(Message(role="user", content=f"What of the {words[0]}, question {number}?"),),
        chosen=(Message(role="assistant", content=chosen),),
        rejected=(Message(role="assistant", content=rejected),),
        split=split,
    )


def population(n_calm=5, n_loud=3, *, history=18, test=4):
    """Pairs of users c0, c1, … and l0, l1, …: every fourth of the history is for validation."""
    users = [(f"c{i}", True) for i in range(n_calm)] + [(f"l{i}", False) for i in range(n_loud)]
    return [
        judged(user, number, calm=calm, split=_split(number, history))
        for user, calm in users
        for number in range(history + test)
    ]


def _split(number, history):
    if number >= history:
        return "test"
    return "validation" if number % 4 == 3 else "train"


def benchmark(pairs=None, **fields):
    """The pairs as a benchmark of one fold."""
    pairs = population() if pairs is None else pairs
    fold = Fold(
        name="given split",
        history=tuple(pair for pair in pairs if pair.split != "test"),
        test=tuple(pair for pair in pairs if pair.split == "test"),
    )
    return Benchmark(name="opposites", description="Invented.", folds=(fold,), **fields)

"""Named test sets with their protocol: what may be learned from, what is asked, how ties count."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import Field

from synthesizeme.datasets import (
    assign_splits,
    find_data,
    lamp,
    load_dataset,
    load_words,
    read_pairs,
)
from synthesizeme.discovery import resource
from synthesizeme.errors import UnknownNameError
from synthesizeme.evaluation._lint_texts import Declared
from synthesizeme.evaluation.folds import (
    REDRAWN,
    Fold,
    Redraw,
    given_split,
    new_items,
    prompt_folds,
    split_within_users,
)
from synthesizeme.evaluation.harness import Outcome, TiePolicy, evaluate, pool
from synthesizeme.feedback import UserWords
from synthesizeme.scoring import PairwiseScorer
from synthesizeme.types import Frozen, PreferencePair, Respondents, respondents

DataDir = str | Path | None
SAMPLE_SEED = 0
UNDECLARED = Declared()


class Benchmark(Frozen):
    """Pairs and protocol. Test pairs of different folds are disjoint."""

    name: str
    """Name in reports."""
    description: str
    """What it asks, in a sentence."""
    folds: tuple[Fold, ...]
    """One, or the folds of a cross-validation."""
    seen_items_by_design: bool = False
    """Whether test prompts or responses also occur in the history, of this user or of others, on purpose."""
    ties: TiePolicy = "half"
    """What a tie is worth."""
    both_orders: bool | None = None
    """Whether every scorer is asked in both orders; None: those whose verdict may depend on it."""
    declared: Declared = UNDECLARED
    """How many pairs and users its makers count."""
    whole: tuple[PreferencePair, ...] = ()
    """All pairs as they were given, where the folds leave some of them out; else empty."""
    redraw: Redraw = "within users"
    """What `resplits` draws."""
    words: dict[str, UserWords] = Field(default_factory=dict)
    """What users said beside their choices, by user id; a scorer that learns may read it."""

    @property
    def pairs(self) -> tuple[PreferencePair, ...]:
        """Every pair once: with the splits of the first fold, or as given where folds leave some out."""
        return self.whole or (*self.folds[0].history, *self.folds[0].test)

    @property
    def test(self) -> tuple[PreferencePair, ...]:
        """Test pairs of all folds."""
        return tuple(pair for fold in self.folds for pair in fold.test)

    @property
    def respondents(self) -> Respondents:
        """Who chose in the test pairs: people or simulations; loading refuses a mixture."""
        return respondents(self.test)

    @property
    def departures(self) -> list[tuple[str, int, int]]:
        """(what, number found, number declared) of all that is not as its makers count it."""
        users = {pair.user_id for pair in self.pairs}
        return self.declared.departures(len(self.pairs), len(users), len(self.test))

    def ask(self, scorer: PairwiseScorer, pairs: Sequence[PreferencePair], *, seed: int = 0) -> Outcome:
        """`evaluate` by the rules of this benchmark."""
        return evaluate(scorer, pairs, both_orders=self.both_orders, ties=self.ties, seed=seed)

    @property
    def protocol(self) -> str:
        """The protocol in words, with the size of the test set, for a report."""
        orders = (
            "Both orders" if self.both_orders else "Both orders where the verdict may depend on the order"
        )
        users = len({pair.user_id for pair in self.test})
        folds = f" in {len(self.folds)} folds" if len(self.folds) > 1 else ""
        seen = " Test items also occur in the history, by design." if self.seen_items_by_design else ""
        simulated = self.respondents == "simulated"
        learned = ""
        if (others := respondents(self.folds[0].history)) not in ("human", self.respondents):
            learned = f" The choices learned from are {others}."
        worth = "half" if self.ties == "half" else "as wrong"
        return (
            f"{self.description} {orders}; a tie counts {worth}. "
            f"{len(self.test)} test pairs of {users} {'simulated ' * simulated}users{folds}.{seen}{learned}"
        )


def benchmark_names(family: str = "") -> list[str]:
    """Names of all benchmarks, or of one family, e.g. ``llmfao`` or ``personal-reward-bench``."""
    return sorted(name for name in _RECIPES if not family or name == family or name.startswith(f"{family}/"))


def resolve_benchmarks(name: str) -> list[str]:
    """The benchmarks a name stands for: itself, or all of a family, e.g. ``personal-reward-bench``."""
    alone = name in _RECIPES or os.path.exists(name)
    return [name] if alone else benchmark_names(name) or [name]


def load_benchmark(name: str, data_dir: DataDir = None) -> Benchmark:
    """Load a benchmark by name, or make one of a file of pairs that carry `split`.

    Args:
        name: One of `benchmark_names`, or the path of a file of pairs in any format.
        data_dir: Folder to look in first; then come ``$SYNTHESIZEME_DATA_DIR`` and the hub.

    Raises:
        UnknownNameError: neither a benchmark nor a file is called so.
        DataError: its data is nowhere, cannot be read, or lacks a test pair or the splits.
    """
    recipe = _RECIPES.get(name)
    return _from_file(name) if recipe is None else recipe(name, data_dir)


def resplits(benchmark: Benchmark, *, n: int = 5, seed: int = 0) -> tuple[Benchmark, ...]:
    """The benchmark with its test pairs drawn afresh, `n` times, to average a figure over.

    They are drawn within each user, or for a benchmark of new items by its responses (`Benchmark.redraw`).

    Test sets of different re-splits overlap: average their accuracies, do not pool their pairs.

    Raises:
        ValueError: the benchmark has several folds, so its test pairs are not drawn within users.
    """
    if len(benchmark.folds) > 1:
        raise ValueError(
            f"{benchmark.name!r} has {len(benchmark.folds)} folds; only one split can be redrawn"
        )
    found = []
    for draw in range(seed, seed + n):
        name = f"re-split {draw}"
        folds = REDRAWN[benchmark.redraw](benchmark.pairs, benchmark.name, draw, name)
        found.append(benchmark.model_copy(update={"folds": folds}))
    return tuple(found)


def run_benchmark(
    benchmark: Benchmark, make_scorer: Callable[[Fold], PairwiseScorer], *, seed: int = 0
) -> Outcome:
    """Make a scorer from each fold's history, evaluate it on the fold's test pairs, join the folds.

    Args:
        benchmark: Pairs and protocol.
        make_scorer: Builds (trains, induces, looks up) a scorer; it must learn from `Fold.history` alone.
        seed: Seed of the orders drawn.
    """
    return pool(benchmark.ask(make_scorer(fold), fold.test, seed=seed) for fold in benchmark.folds)


def limit_users(benchmark: Benchmark, most: int) -> Benchmark:
    """The benchmark with the test pairs and histories of its first `most` users alone."""
    users = set(list(dict.fromkeys(pair.user_id for pair in benchmark.test))[:most])

    def kept(pairs: Sequence[PreferencePair]) -> tuple[PreferencePair, ...]:
        return tuple(pair for pair in pairs if pair.user_id in users)

    folds = tuple(
        fold.model_copy(update={"history": kept(fold.history), "test": kept(fold.test)})
        for fold in benchmark.folds
        if kept(fold.test)
    )
    return benchmark.model_copy(update={"folds": folds, "whole": kept(benchmark.whole)})


def _from_file(name: str) -> Benchmark:
    path = Path(name)
    if not os.path.isfile(name) and not name.endswith((".jsonl", ".jsonl.gz")):
        raise UnknownNameError("benchmark", name, [*_RECIPES, "a path of a .jsonl file with splits"])
    return benchmark_of(read_pairs(path).pairs, name)


def benchmark_of(pairs: Sequence[PreferencePair], source: str) -> Benchmark:
    """The benchmark of pairs that carry `split`, called as the file they come from.

    Raises:
        DataError: they have no test pair, or some of them no split.
    """
    return Benchmark(
        name=Path(source).name,
        description="Pairs of a file, in the split its rows give.",
        folds=given_split(pairs, source),
    )


_Load = Callable[[DataDir], Sequence[PreferencePair]]


def _recipe(
    description: str,
    load: _Load,
    folds: Callable[[Sequence[PreferencePair], str], tuple[Fold, ...]] = given_split,
    words: Callable[[DataDir], Mapping[str, UserWords]] | None = None,
    **protocol: Any,
) -> Callable[[str, DataDir], Benchmark]:
    """How a benchmark of some name is made of the data in a folder; `protocol` are its further fields."""

    def made(name: str, data_dir: DataDir) -> Benchmark:
        pairs = load(data_dir)
        return Benchmark(
            name=name,
            description=description,
            folds=folds(pairs, name),
            whole=tuple(pairs) if protocol.get("redraw") == "new items" else (),
            words={} if words is None else dict(words(data_dir)),
            **protocol,
        )

    return made


def _registered(name: str) -> _Load:
    return lambda data_dir: load_dataset(name, data_dir=data_dir)


def _paper(hub_name: str) -> _Load:
    return lambda data_dir: read_pairs(find_data(hub_name, data_dir=data_dir), format="paper-format").pairs


def _lamp(name: str) -> _Load:
    return lambda data_dir: lamp.lamp_pairs(lamp.load_lamp(name, data_dir=data_dir))


def _remesh_words(data_dir: DataDir) -> Mapping[str, UserWords]:
    return load_words("remesh", data_dir=data_dir)


def _sample(data_dir: DataDir) -> Sequence[PreferencePair]:
    pairs = read_pairs(resource("data/sample/pairs.jsonl")).pairs
    return assign_splits(pairs, seed=SAMPLE_SEED)[0]


_NEW_ITEMS = (
    "All distinct texts are sorted and shuffled by a seed, the first third is held out; learned from are "
    "the pairs with neither side held out, whose validation rows stay and whose test rows are train, "
    "asked the pairs with both, at whatever time; the rest is left out. Test sets of several seeds "
    "overlap and are averaged."
)
_RECIPES = {
    "sample": _recipe(
        "Held-out pairs of three invented users, split 60/20/20 within each; to try things, not to measure.",
        _sample,
        declared=Declared(pairs=60, users=3, test_pairs=12),
    ),
    "llmfao/seen-prompts": _recipe(
        "Crowd workers' choices between LLM answers, split 60/20/20 within each worker.",
        _registered("llmfao"),
        seen_items_by_design=True,
        declared=Declared(pairs=3298, users=91, test_pairs=656),
    ),
    "llmfao/unseen-prompts": _recipe(
        "Crowd workers' choices between LLM answers, on prompts that nobody's history contains.",
        _registered("llmfao"),
        folds=prompt_folds,
        declared=Declared(pairs=3298, users=91, test_pairs=3298),
    ),
    "polis/later-pairs": _recipe(
        "Civic statements that participants agreed with, against ones they did not; their later votes.",
        _registered("polis"),
        seen_items_by_design=True,
        declared=Declared(pairs=13_093, users=738),
    ),
    "polis/new-statements": _recipe(
        "Civic statements that participants agreed with, against ones they did not, both of which nobody had "
        f"judged in training. {_NEW_ITEMS}",
        _registered("polis"),
        folds=new_items,
        redraw="new items",
        declared=Declared(pairs=13_093, users=738),
    ),
    "remesh/later-pairs": _recipe(
        "Choices between other people's written answers on polarised issues; each person's later choices.",
        _registered("remesh"),
        words=_remesh_words,
        seen_items_by_design=True,
        declared=Declared(pairs=11_816, users=670),
    ),
    "remesh/random-split": _recipe(
        "Choices between other people's written answers on polarised issues, split 60/20/20 at random within "
        "each person, seed 0.",
        _registered("remesh"),
        words=_remesh_words,
        folds=split_within_users,
        seen_items_by_design=True,
        declared=Declared(pairs=11_816, users=670),
    ),
    "remesh/new-answers": _recipe(
        "Choices between other people's written answers on polarised issues, both of which nobody had judged "
        f"in training. {_NEW_ITEMS}",
        _registered("remesh"),
        words=_remesh_words,
        folds=new_items,
        redraw="new items",
        declared=Declared(pairs=11_816, users=670),
    ),
    "personal-reward-bench/chatbot-arena": _recipe(
        "PersonalRewardBench, Chatbot Arena part, in the paper's protocol.",
        _paper("MichaelR207/chatbot_arena_personalized_0125"),
        ties="wrong",
        both_orders=True,
        declared=Declared(users=131),
    ),
    "personal-reward-bench/prism": _recipe(
        "PersonalRewardBench, PRISM part, in the paper's protocol.",
        _paper("MichaelR207/prism_personalized_0125"),
        ties="wrong",
        both_orders=True,
        declared=Declared(users=723),
    ),
    **{
        f"{family}/{task.number}": _recipe(
            f"LaMP task {task.number}, {task.about}, {how}: the user's own answer over another one.",
            _lamp(f"{family}/{task.number}"),
        )
        for family, how in (("lamp", "users apart"), ("lamp-time", "later items of the same users"))
        for task in lamp.TASKS.values()
    },
}

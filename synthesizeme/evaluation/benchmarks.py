"""Named test sets with their protocol: what may be learned from, what is asked, how ties count."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from synthesizeme.datasets import jsonl, lamp, paper_format
from synthesizeme.datasets._base import find_data, load_dataset
from synthesizeme.datasets._splits import assign_splits, resplit
from synthesizeme.errors import DataError, UnknownNameError
from synthesizeme.evaluation._lint_values import Declared
from synthesizeme.evaluation.apart import refuse_mixture
from synthesizeme.evaluation.harness import Outcome, TiePolicy, evaluate, pool
from synthesizeme.resources import resource
from synthesizeme.scoring import PairwiseScorer
from synthesizeme.types import Frozen, PreferencePair, Respondents, respondents

DataDir = str | Path | None
SAMPLE_SEED = 0
PROMPT_FOLDS = (0, 1, 2, 3)
UNDECLARED = Declared()


class Fold(Frozen):
    """One division into what may be learned from and what is asked."""

    name: str
    """Name within the benchmark."""
    history: tuple[PreferencePair, ...]
    """Pairs to learn from and tune on; their `split` is train or validation."""
    test: tuple[PreferencePair, ...]
    """Pairs to be judged; their `split` is test."""

    @property
    def histories(self) -> dict[str, list[PreferencePair]]:
        """Past pairs of every user that is asked about, in the order given; users without any left out."""
        found: dict[str, list[PreferencePair]] = {pair.user_id: [] for pair in self.test}
        for pair in self.history:
            if pair.user_id in found:
                found[pair.user_id].append(pair)
        return {user: pairs for user, pairs in found.items() if pairs}


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

    @property
    def pairs(self) -> tuple[PreferencePair, ...]:
        """Every pair once, with the splits of the first fold."""
        return (*self.folds[0].history, *self.folds[0].test)

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
        name: One of `benchmark_names`, or the path of a file in this project's format.
        data_dir: Folder to look in first; then come ``$SYNTHESIZEME_DATA_DIR`` and the hub.

    Raises:
        UnknownNameError: neither a benchmark nor a file is called so.
        DataError: its data is nowhere, cannot be read, or lacks a test pair or the splits.
    """
    name = _FORMER_NAMES.get(name, name)
    recipe = _RECIPES.get(name)
    if recipe is None:
        return _from_file(name)
    return Benchmark(
        name=name,
        description=recipe.description,
        folds=recipe.folds(recipe.load(data_dir), name),
        seen_items_by_design=recipe.seen_items_by_design,
        ties=recipe.ties,
        both_orders=recipe.both_orders,
        declared=recipe.declared,
    )


def resplits(benchmark: Benchmark, *, n: int = 5, seed: int = 0) -> tuple[Benchmark, ...]:
    """The benchmark with its pairs split afresh within users, `n` times, to average a figure over.

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
        (fold,) = _given_split(resplit(benchmark.pairs, draw), name)
        found.append(benchmark.model_copy(update={"folds": (fold.model_copy(update={"name": name}),)}))
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


def _from_file(name: str) -> Benchmark:
    path = Path(name)
    if not os.path.isfile(name) and not name.endswith((".jsonl", ".jsonl.gz")):
        raise UnknownNameError("benchmark", name, [*_RECIPES, "a path of a .jsonl file with splits"])
    pairs = jsonl.read_pairs(path).pairs
    return Benchmark(
        name=path.name,
        description="Pairs of a file, in the split its rows give.",
        folds=_given_split(pairs, name),
    )


def _given_split(pairs: Sequence[PreferencePair], source: str) -> tuple[Fold, ...]:
    """One fold, as the rows say."""
    without = [pair for pair in pairs if pair.split is None]
    if without:
        raise DataError(
            f"{len(without)} of {len(pairs)} pairs have no split, the first is {without[0].pair_id[:80]!r}",
            source=source,
            field="split",
            cure="draw one with `synthesizeme data split`",
        )
    history = tuple(pair for pair in pairs if pair.split != "test")
    return (_fold("given split", history, tuple(pair for pair in pairs if pair.split == "test"), source),)


def _prompt_folds(pairs: Sequence[PreferencePair], source: str) -> tuple[Fold, ...]:
    """Leave the prompts of one fold out; the split within users is kept for tuning on the others."""
    return tuple(
        _fold(
            f"prompts {number}",
            tuple(
                pair.model_copy(update={"split": "train"}) if pair.split == "test" else pair
                for pair in pairs
                if pair.metadata.get("prompt_fold") != number
            ),
            tuple(
                pair.model_copy(update={"split": "test"})
                for pair in pairs
                if pair.metadata.get("prompt_fold") == number
            ),
            source,
        )
        for number in PROMPT_FOLDS
    )


def _fold(
    name: str, history: tuple[PreferencePair, ...], test: tuple[PreferencePair, ...], source: str
) -> Fold:
    if not test:
        raise DataError(
            f"fold {name!r} has no test pair among {len(history)}; expected at least one",
            source=source,
            field="split",
            cure="check the splits, or draw them with `synthesizeme data split`",
        )
    refuse_mixture(test, source)
    return Fold(name=name, history=history, test=test)


@dataclass(frozen=True)
class _Recipe:
    """How a named benchmark is made."""

    description: str
    load: Callable[[DataDir], Sequence[PreferencePair]]
    folds: Callable[[Sequence[PreferencePair], str], tuple[Fold, ...]] = _given_split
    seen_items_by_design: bool = False
    ties: TiePolicy = "half"
    both_orders: bool | None = None
    declared: Declared = UNDECLARED


def _registered(name: str) -> Callable[[DataDir], Sequence[PreferencePair]]:
    return lambda data_dir: load_dataset(name, data_dir=data_dir)


def _paper(hub_name: str) -> Callable[[DataDir], Sequence[PreferencePair]]:
    return lambda data_dir: paper_format.load(find_data(hub_name, data_dir=data_dir))


def _lamp(name: str) -> Callable[[DataDir], Sequence[PreferencePair]]:
    return lambda data_dir: lamp.lamp_pairs(lamp.load_lamp(name, data_dir=data_dir))


def _sample(data_dir: DataDir) -> Sequence[PreferencePair]:
    pairs = jsonl.read_pairs(resource("data/sample/pairs.jsonl")).pairs
    return assign_splits(pairs, seed=SAMPLE_SEED)[0]


_RECIPES = {
    "sample": _Recipe(
        "Held-out pairs of three invented users, split 60/20/20 within each; to try things, not to measure.",
        _sample,
        declared=Declared(pairs=60, users=3, test_pairs=12),
    ),
    "llmfao/seen-prompts": _Recipe(
        "Crowd workers' choices between LLM answers, split 60/20/20 within each worker.",
        _registered("llmfao"),
        seen_items_by_design=True,
        declared=Declared(pairs=3298, users=91, test_pairs=656),
    ),
    "llmfao/unseen-prompts": _Recipe(
        "Crowd workers' choices between LLM answers, on prompts that nobody's history contains.",
        _registered("llmfao"),
        folds=_prompt_folds,
        declared=Declared(pairs=3298, users=91, test_pairs=3298),
    ),
    "polis/later-pairs": _Recipe(
        "Civic statements that participants agreed with, against ones they did not; their later votes.",
        _registered("polis"),
        seen_items_by_design=True,
        declared=Declared(pairs=13_093, users=738),
    ),
    "personal-reward-bench/chatbot-arena": _Recipe(
        "PersonalRewardBench, Chatbot Arena part, in the paper's protocol.",
        _paper("MichaelR207/chatbot_arena_personalized_0125"),
        ties="wrong",
        both_orders=True,
        declared=Declared(users=131),
    ),
    "personal-reward-bench/prism": _Recipe(
        "PersonalRewardBench, PRISM part, in the paper's protocol.",
        _paper("MichaelR207/prism_personalized_0125"),
        ties="wrong",
        both_orders=True,
        declared=Declared(users=723),
    ),
    **{
        f"{family}/{task.number}": _Recipe(
            f"LaMP task {task.number}, {task.about}, {how}: the user's own answer over another one.",
            _lamp(f"{family}/{task.number}"),
        )
        for family, how in (("lamp", "users apart"), ("lamp-time", "later items of the same users"))
        for task in lamp.TASKS.values()
    },
}
_FORMER_NAMES = {"personal-reward-bench/arena": "personal-reward-bench/chatbot-arena"}

"""What the verbs that measure have in common: what is measured on, who is measured, where results go."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from synthesizeme.cli._command import option
from synthesizeme.cli._options import DATA_DIR, FORCE, FURTHER, folder
from synthesizeme.cli._output import check_replaceable, say, tells
from synthesizeme.cli._pairs import COLUMNS, read
from synthesizeme.errors import ConfigError, DataError

if TYPE_CHECKING:
    from synthesizeme.evaluation.benchmarks import Benchmark

BENCHMARKS = (
    "sample, llmfao/seen-prompts, llmfao/unseen-prompts, polis/later-pairs, polis/new-statements, "
    "remesh/later-pairs, remesh/random-split, remesh/new-answers, personal-reward-bench/chatbot-arena, "
    "personal-reward-bench/prism"
)
"""Names for the help of --benchmark."""


@dataclass(frozen=True)
class MeasuringOptions:
    """Who is measured on what."""

    benchmark: str | None = option(
        None,
        f"Name of a benchmark, or of a family of them: {BENCHMARKS}. `evaluate` also takes lamp/1 to lamp/7 "
        "and lamp-time/1 to /7 (an invented sample where they are in no folder of data), and "
        "reward-bench-2 (what users cost trained models in general quality).",
        "NAME",
    )
    data: Path | None = option(
        None,
        "Pairs with splits instead of a benchmark: in any format that `synthesizeme data convert` knows.",
        "PAIRS",
    )
    columns: list[str] | None = COLUMNS()
    scorers: list[str] | None = option(
        None,
        "Who is measured, with commas or by repeating the flag: judges, reward models, checkpoints, "
        "references. Judges: default, memory, persona, demonstrations, both, and retrieval-random, "
        "-recency, -bm25, -dense, each also with +persona. Reward models: names of `synthesizeme train "
        "--method`; a checkpoint is its folder. References: longer, random, oracle, majority, gpt4, gpt3. "
        "Groups: models, judges, retrieval, references, all. On lamp also vote-RETRIEVER (tasks 2, 3) and "
        "direct-RETRIEVER (a language model writes).",
        "NAME",
    )
    out: Path | None = option(
        None, "Folder for results.json, results.md and what else is found.", "DIR", parser=folder
    )
    force: bool = FORCE()
    data_dir: Path | None = DATA_DIR()
    max_users: int | None = option(None, "Take only the first N users.", "N", min=1)
    no_answers: int = option(
        100,
        "Show reward models texts that are no answers (echoes, shuffled words, junk, …) beside the chosen "
        "answers of so many test pairs of the first fold, at most: the column 'no answer beats chosen'. 0 "
        "leaves it out.",
        "N",
        panel=FURTHER,
        min=0,
    )


def scorer_names(options: MeasuringOptions, usual: str) -> list[str]:
    """The names that --scorers gives, or the usual ones.

    Raises:
        ConfigError: it gives none.
    """
    names = [name.strip() for item in options.scorers or [usual] for name in item.split(",") if name.strip()]
    if not names:
        raise ConfigError(f"--scorers names nobody; expected e.g. --scorers {usual or 'out/model'}")
    return names


def source_problems(benchmark: str | None, data: Path | None) -> list[str]:
    """What is wrong with the two flags: none of them is given, or both are."""
    if (benchmark is None) != (data is None):
        return []
    return [f"expected --benchmark NAME or --data PAIRS; found {'neither' if data is None else 'both'}"]


def measured_on(benchmark: str | None, data: Path | None) -> list[str]:
    """Names of benchmarks, or the path of the file, as `loaded` takes them.

    Raises:
        ConfigError: none of the two flags is given, or both are.
        DataError: the file of --data is not there.
    """
    from synthesizeme.evaluation.benchmarks import resolve_benchmarks

    if problems := source_problems(benchmark, data):
        raise ConfigError(problems)
    if benchmark is not None:
        return resolve_benchmarks(benchmark)
    path = str(data)
    if not os.path.exists(path):
        raise DataError("there is no such file or folder", source=path, cure="check the path of --data")
    return [path if os.sep in path else os.path.join(os.curdir, path)]


def result_folder(
    out: Path, source: str, sources: Sequence[str], *, force: bool, resumes: bool = False
) -> Path:
    """The folder for what is measured on one of several sources: `out` itself, if there is but one.

    Args:
        out: Folder of `--out`.
        source: One of the sources.
        sources: All of them, as `measured_on` gives them.
        force: Whether something else that is there is replaced.
        resumes: Whether the command goes on with measurements that it finds there.

    Raises:
        ConfigError: it holds something else than this command's earlier result on the same benchmark.
    """
    name = source.rpartition("/")[2]
    place = out if len(sources) == 1 else out / name
    results, begun = place / "results.json", (place / "measurements").is_dir()
    same = any(tells(results, benchmark=called) for called in (source, name))
    own = begun == resumes and (same or (begun and not results.exists()))
    check_replaceable(place, force=force, own=own)
    return place


def loaded(source: str, data_dir: Path | None, columns: Sequence[str] | None = None) -> Benchmark:
    """The benchmark; where its numbers are not those its makers count, that is said.

    Args:
        source: Name of a benchmark, or path of pairs, whose format is said.
        data_dir: Folder to look for data sets in.
        columns: Assignments of ``--columns``, for a path.

    Raises:
        ConfigError: an assignment of a column is wrong, or is given for a benchmark.
        UnknownNameError: there is no such benchmark.
        DataError: its data is nowhere, or cannot be read.
    """
    from synthesizeme.evaluation.benchmarks import benchmark_names, benchmark_of, load_benchmark

    if source not in benchmark_names() and os.path.exists(source):
        return benchmark_of(read(source, columns=columns).pairs, source)
    if columns:
        raise ConfigError("--columns names columns of --data PAIRS; a benchmark has its own")
    benchmark = load_benchmark(source, data_dir)
    for what, found, declared in benchmark.departures:
        say(f"Note: {benchmark.name} has {found:,} {what}, its makers count {declared:,}.")
    return benchmark

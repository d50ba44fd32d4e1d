"""What is measured on: ``--benchmark NAME`` or ``--data PAIRS``, the same for every verb that measures."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from synthesizeme.cli._pairs_input import read
from synthesizeme.cli._places import check_replaceable, tells
from synthesizeme.cli._text import say
from synthesizeme.errors import ConfigError, DataError

if TYPE_CHECKING:
    from synthesizeme.evaluation.benchmarks import Benchmark


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

"""``evaluate``: any scorer on any benchmark, as a JSON report and a Markdown table."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from synthesizeme.cli._groups import spread
from synthesizeme.cli._induction_options import InductionOptions
from synthesizeme.cli._lamp_evaluation import USUAL, LampOptions, is_lamp, lamp_reports
from synthesizeme.cli._options import CommonOptions, DataDir, ModelOptions, folder
from synthesizeme.cli._report_table import show_report
from synthesizeme.cli._retrieval_options import RetrievalOptions
from synthesizeme.cli._reward_bench_evaluation import is_reward_bench, reward_bench_report
from synthesizeme.cli._text import count, print_json, printable, say

if TYPE_CHECKING:
    from collections.abc import Iterator

    from synthesizeme.comparison.personalization_tax import TaxReport
    from synthesizeme.evaluation.benchmarks import Benchmark
    from synthesizeme.evaluation.report import Report
    from synthesizeme.lamp import LampReport


@dataclass(frozen=True)
class EvaluationOptions:
    """What is measured on what."""

    benchmark: Annotated[
        str,
        typer.Option(
            "--benchmark",
            help="sample, llmfao/seen-prompts, llmfao/unseen-prompts, polis/later-pairs, "
            "personal-reward-bench/chatbot-arena, personal-reward-bench/prism, lamp/1 to lamp/7 and "
            "lamp-time/1 to /7 (an invented sample where no folder of data is named), reward-bench-2 (what "
            "users cost trained models in general quality), or a .jsonl file of pairs with splits. A name "
            "without /… runs all of its family, e.g. personal-reward-bench.",
            metavar="NAME|PAIRS.jsonl",
        ),
    ]
    scorer: Annotated[
        list[str] | None,
        typer.Option(
            "--scorer",
            help="default, memory, persona, demonstrations, both (judges that ask a model); "
            "retrieval-random, -recency, -bm25, -dense, each also with +persona (shown the user's past pairs "
            "that are retrieved for each question); longer, random, oracle, majority, gpt4, gpt3 (what they "
            "are held against). On lamp also vote-RETRIEVER (tasks 2, 3), direct-RETRIEVER (a language model "
            "writes) and any reward model. Several with commas or by repeating the flag; "
            "default,both,longer if none is given.",
            metavar="NAME",
        ),
    ] = None
    data_dir: DataDir = None
    profiles: Annotated[
        Path | None,
        typer.Option(
            "--profiles",
            help="Folder that induce-persona wrote; without it profiles are induced from the history.",
            metavar="DIR",
        ),
    ] = None
    max_users: Annotated[
        int | None, typer.Option("--max-users", help="Take only the first N users.", min=1, metavar="N")
    ] = None
    controls: Annotated[
        bool,
        typer.Option(
            "--controls", help="Also run each judge with another user's profile and with swapped labels."
        ),
    ] = False
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Folder for results.json and results.md.", metavar="DIR", parser=folder),
    ] = None


@spread
def evaluate(
    options: EvaluationOptions,
    induction: InductionOptions,
    retrieval: RetrievalOptions,
    lamp: LampOptions,
    model: ModelOptions,
    common: CommonOptions,
) -> None:
    """Measure scorers on a benchmark: accuracy with intervals over users, ties, failures, gains.

    On a terminal the columns that matter most are shown; elsewhere, and in --out, the whole Markdown
    table. Data is looked for in --data-dir, then in $SYNTHESIZEME_DATA_DIR, then on the hub.
    """
    from synthesizeme.cli._session import check_model
    from synthesizeme.evaluation.benchmarks import resolve_benchmarks

    benchmarks = resolve_benchmarks(options.benchmark)
    of_lamp = is_lamp(benchmarks)
    of_nobody = is_reward_bench(benchmarks)
    names = _scorer_names(options) if not of_lamp and not of_nobody else _names(options, USUAL * of_lamp)
    check_model(model)
    found: Iterator[Report | LampReport | TaxReport]
    if of_nobody:
        found = _of_nobody(names, options)
    elif of_lamp:
        found = _of_lamp(benchmarks, names, options, lamp, induction, retrieval, model)
    else:
        found = _of_pairs(benchmarks, names, options, induction, retrieval, model)
    reports = []
    for report in found:
        reports.append(report)
        if options.out is not None:
            place = options.out if len(benchmarks) == 1 else options.out / report.benchmark.rpartition("/")[2]
            written = ", ".join(printable(str(path)) for path in report.save(place))
            say(f"Written: {written}")
        if not common.json:
            _show(report)
    if common.json:
        whole = [report.model_dump(mode="json") for report in reports]
        print_json(whole[0] if len(whole) == 1 else {"reports": whole})
    _refuse_silence(reports)


def _refuse_silence(reports: list[Report | LampReport | TaxReport]) -> None:
    """Fail where every question of every scorer failed: that is no measurement."""
    from synthesizeme.errors import BackendError
    from synthesizeme.evaluation.report import Report

    rows = [row for report in reports if isinstance(report, Report) for row in report.rows]
    if rows and all(row.micro is None for row in rows):
        kinds = sorted({kind for row in rows for kind in row.failures})
        cures = "show fewer pairs (--retrieved, --prompt-tokens) or take a model with a longer context; "
        raise BackendError(
            f"no scorer answered any question ({', '.join(kinds)}). Cure: "
            f"{cures if 'too_long' in kinds else ''}`synthesizeme doctor` says which models would work"
        )


def _of_pairs(
    names: list[str],
    scorers: list[str],
    options: EvaluationOptions,
    induction: InductionOptions,
    retrieval: RetrievalOptions,
    model: ModelOptions,
) -> Iterator[Report | LampReport | TaxReport]:
    from synthesizeme.evaluation.benchmarks import load_benchmark

    for benchmark in [load_benchmark(name, options.data_dir) for name in names]:
        for what, found, declared in benchmark.departures:
            say(f"Note: {benchmark.name} has {found:,} {what}, its makers count {declared:,}.")
        yield _measure(benchmark, scorers, options, induction, retrieval, model)


def _of_lamp(
    names: list[str],
    scorers: list[str],
    options: EvaluationOptions,
    lamp: LampOptions,
    induction: InductionOptions,
    retrieval: RetrievalOptions,
    model: ModelOptions,
) -> Iterator[Report | LampReport | TaxReport]:
    from synthesizeme.errors import ConfigError

    if options.profiles is not None:
        raise ConfigError("--profiles: on LaMP profiles are induced from the past items; leave it out")
    return lamp_reports(
        names,
        scorers,
        options.data_dir,
        options.max_users,
        lamp,
        induction.settings(),
        retrieval.settings(),
        model,
        controls=options.controls,
    )


def _of_nobody(names: list[str], options: EvaluationOptions) -> Iterator[Report | LampReport | TaxReport]:
    from synthesizeme.errors import ConfigError

    if options.profiles is not None or options.controls:
        raise ConfigError("--profiles, --controls: reward-bench-2 asks trained models alone; leave them out")
    yield reward_bench_report(names, options.data_dir, options.max_users)


def _names(options: EvaluationOptions, usual: str) -> list[str]:
    """The names that --scorer gives, or the usual ones.

    Raises:
        ConfigError: it gives none.
    """
    from synthesizeme.errors import ConfigError

    names = [name.strip() for item in options.scorer or [usual] for name in item.split(",") if name.strip()]
    if not names:
        raise ConfigError(f"--scorer names no scorer; expected e.g. --scorer {usual or 'out/model'}")
    return names


def _scorer_names(options: EvaluationOptions) -> list[str]:
    from synthesizeme.errors import ConfigError
    from synthesizeme.personas.scorer_names import check_scorers, has_controls

    names = _names(options, "default,both,longer")
    check_scorers(names)
    if options.controls and options.profiles is not None:
        raise ConfigError("--controls induces profiles of its own; it cannot be used with --profiles")
    if options.controls and not any(map(has_controls, names)):
        controlled = "persona, demonstrations, both and retrieval-…"
        say(f"--controls changes nothing here: only {controlled} have controls.")
    return names


def _measure(
    whole: Benchmark,
    names: list[str],
    options: EvaluationOptions,
    induction: InductionOptions,
    retrieval: RetrievalOptions,
    model: ModelOptions,
) -> Report:
    from synthesizeme.cli._progress import ProgressDisplay
    from synthesizeme.cli._session import open_session
    from synthesizeme.personas.scorer_names import asks_model
    from synthesizeme.personas.scorers import Scorers, limit_users
    from synthesizeme.personas.store import ProfileDirectory

    chosen = limit_users(whole, options.max_users) if options.max_users else whole
    with ExitStack() as stack:
        display = stack.enter_context(ProgressDisplay())
        display.label(chosen.name, 1, 1)
        asks = any(map(asks_model, names))
        scorers = Scorers(
            chosen,
            induction.settings(),
            session=stack.enter_context(open_session(model, display)) if asks else None,
            profiles=ProfileDirectory(options.profiles) if options.profiles else None,
            everyone=whole.pairs,
            on_label=display.label,
            retrieval=retrieval.settings(),
        )
        report = scorers.report(names, controls=options.controls)
    usage = scorers.induction_usage
    if usage.calls:
        say(f"Profiles induced with {count(usage.distinct_calls, 'call')} ({usage.cached_calls} cached).")
    return report


def _show(report: Report | LampReport | TaxReport) -> None:
    from synthesizeme.evaluation.report import Report

    if sys.stdout.isatty() and isinstance(report, Report):
        show_report(report)
    else:
        sys.stdout.write(report.to_markdown())

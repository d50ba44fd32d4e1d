"""``evaluate``: any scorer on any benchmark, as a JSON report and a Markdown table."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from synthesizeme.cli._floor_options import FloorOptions
from synthesizeme.cli._groups import spread
from synthesizeme.cli._induction_options import InductionOptions
from synthesizeme.cli._lamp_evaluation import USUAL, LampOptions, is_lamp, lamp_reports
from synthesizeme.cli._measured_on import loaded, measured_on
from synthesizeme.cli._options import (
    BENCHMARKS,
    Benchmarked,
    CommonOptions,
    DataDir,
    ModelOptions,
    NoAnswers,
    folder,
)
from synthesizeme.cli._pairs_input import Columns
from synthesizeme.cli._report_table import show_report
from synthesizeme.cli._retrieval_options import RetrievalOptions
from synthesizeme.cli._reward_bench_evaluation import is_reward_bench, reward_bench_report
from synthesizeme.cli._text import print_json, say
from synthesizeme.plain_text import count, printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from synthesizeme.comparison.entrants import CheckpointEntrant
    from synthesizeme.comparison.personalization_tax import TaxReport
    from synthesizeme.evaluation.benchmarks import Benchmark
    from synthesizeme.evaluation.report import Report
    from synthesizeme.lamp import LampReport


@dataclass(frozen=True)
class EvaluationOptions:
    """What is measured on what."""

    benchmark: Annotated[
        str | None,
        typer.Option(
            "--benchmark",
            help=f"{BENCHMARKS}, lamp/1 to lamp/7 and lamp-time/1 to /7 (an invented sample where "
            "they are in no folder of data), reward-bench-2 (what "
            "users cost trained models in general quality). A name without /… runs all of its family, e.g. "
            "personal-reward-bench.",
            metavar="NAME",
        ),
    ] = None
    data: Benchmarked = None
    columns: Columns = None
    scorers: Annotated[
        list[str] | None,
        typer.Option(
            "--scorers",
            help="default, memory, persona, demonstrations, both (judges that ask a model); "
            "retrieval-random, -recency, -bm25, -dense, each also with +persona (shown the user's past "
            "pairs that are retrieved for each question); longer, random, oracle, majority, gpt4, gpt3 "
            "(what they are held against); the folder of a trained checkpoint. On lamp also "
            "vote-RETRIEVER (tasks 2, 3), direct-RETRIEVER (a language model writes) and any reward "
            "model. Several with commas or by repeating the flag; default,both,longer if none is given.",
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
            "--controls", help="Also run each judge and checkpoint as another user and with swapped labels."
        ),
    ] = False
    no_answers: NoAnswers = 100
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
    floor: FloorOptions,
    common: CommonOptions,
) -> None:
    """Measure scorers on a benchmark: accuracy with intervals over users, ties, failures, gains.

    On a terminal the columns that matter most are shown; elsewhere, and in --out, the whole Markdown
    table. Data is looked for in --data-dir, then in $SYNTHESIZEME_DATA_DIR, then on the hub.
    """
    from synthesizeme.cli._session import check_model

    benchmarks = measured_on(options.benchmark, options.data)
    model = induction.asking(model)
    of_lamp = is_lamp(benchmarks)
    of_nobody = is_reward_bench(benchmarks)
    names = _names(options, "" if of_nobody else USUAL if of_lamp else "default,both,longer")
    checkpoints = {} if of_lamp or of_nobody else _checkpoints(names, options, floor.name)
    check_model(model)
    found: Iterator[Report | LampReport | TaxReport]
    if of_nobody:
        found = _of_nobody(names, options, floor.name)
    elif of_lamp:
        found = _of_lamp(benchmarks, names, options, lamp, induction, retrieval, model, floor.name)
    else:
        found = _of_pairs(benchmarks, names, checkpoints, options, induction, retrieval, model)
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
    checkpoints: dict[str, CheckpointEntrant],
    options: EvaluationOptions,
    induction: InductionOptions,
    retrieval: RetrievalOptions,
    model: ModelOptions,
) -> Iterator[Report | LampReport | TaxReport]:
    for benchmark in [loaded(name, options.data_dir, options.columns) for name in names]:
        yield _measure(benchmark, scorers, checkpoints, options, induction, retrieval, model)


def _of_lamp(
    names: list[str],
    scorers: list[str],
    options: EvaluationOptions,
    lamp: LampOptions,
    induction: InductionOptions,
    retrieval: RetrievalOptions,
    model: ModelOptions,
    floor: str | None,
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
        floor=floor,
    )


def _of_nobody(
    names: list[str], options: EvaluationOptions, floor: str | None
) -> Iterator[Report | LampReport | TaxReport]:
    from synthesizeme.errors import ConfigError

    if options.profiles is not None or options.controls:
        raise ConfigError("--profiles, --controls: reward-bench-2 asks trained models alone; leave them out")
    yield reward_bench_report(names, options.data_dir, options.max_users, floor)


def _names(options: EvaluationOptions, usual: str) -> list[str]:
    """The names that --scorers gives, or the usual ones.

    Raises:
        ConfigError: it gives none.
    """
    from synthesizeme.errors import ConfigError

    names = [name.strip() for item in options.scorers or [usual] for name in item.split(",") if name.strip()]
    if not names:
        raise ConfigError(f"--scorers names no scorer; expected e.g. --scorers {usual or 'out/model'}")
    return names


def _checkpoints(
    names: list[str], options: EvaluationOptions, floor: str | None
) -> dict[str, CheckpointEntrant]:
    """The checkpoints among the names, by path; the other names are checked.

    Raises:
        UnknownNameError: a name is no scorer.
        ConfigError: two flags exclude each other.
        DataError: a checkpoint cannot be read.
    """
    from synthesizeme.comparison.entrants import is_checkpoint, open_checkpoints
    from synthesizeme.errors import ConfigError
    from synthesizeme.judges.names import check_scorers, has_controls

    check_scorers([name for name in names if not is_checkpoint(name)])
    if options.controls and options.profiles is not None:
        raise ConfigError("--controls induces profiles of its own; it cannot be used with --profiles")
    if options.controls and not any(has_controls(name) or is_checkpoint(name) for name in names):
        controlled = "persona, demonstrations, both, retrieval-… and checkpoints"
        say(f"--controls changes nothing here: only {controlled} have controls.")
    return open_checkpoints(names, floor)


def _measure(
    whole: Benchmark,
    names: list[str],
    checkpoints: dict[str, CheckpointEntrant],
    options: EvaluationOptions,
    induction: InductionOptions,
    retrieval: RetrievalOptions,
    model: ModelOptions,
) -> Report:
    from synthesizeme.cli._session import open_session
    from synthesizeme.evaluation.benchmarks import limit_users
    from synthesizeme.judges.by_name import Scorers
    from synthesizeme.judges.names import asks_model
    from synthesizeme.personas.store import ProfileDirectory
    from synthesizeme.progress import ProgressDisplay

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
            saved={it.name: it.model for it in checkpoints.values()},
            no_answers=options.no_answers,
        )
        shown = [checkpoints[name].name if name in checkpoints else name for name in names]
        report = scorers.report(shown, controls=options.controls)
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

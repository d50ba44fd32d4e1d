"""``compare``: reward models, judges and references on the same pairs: one table, its controls, figures."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from synthesizeme.cli._about import read_about, say_unread, say_without_pairs
from synthesizeme.cli._comparison_methods import Participants, participants
from synthesizeme.cli._comparison_options import ComparisonOptions, Params, ParamsTable
from synthesizeme.cli._floor_options import FloorOptions
from synthesizeme.cli._groups import spread
from synthesizeme.cli._induction_options import InductionOptions
from synthesizeme.cli._measured_on import loaded, measured_on, source_problems
from synthesizeme.cli._options import CommonOptions, ModelOptions
from synthesizeme.cli._places import check_writable
from synthesizeme.cli._report_table import show_report
from synthesizeme.cli._retrieval_options import RetrievalOptions
from synthesizeme.cli._text import print_json, say
from synthesizeme.errors import ConfigError, MissingExtraError
from synthesizeme.plain_text import printable

if TYPE_CHECKING:
    from synthesizeme.comparison.runner import Compared
    from synthesizeme.evaluation.benchmarks import Benchmark
    from synthesizeme.evaluation.report import Report
    from synthesizeme.feedback import UserWords

FAILED = 1


@spread
def compare(
    options: ComparisonOptions,
    induction: InductionOptions,
    retrieval: RetrievalOptions,
    model: ModelOptions,
    floor: FloorOptions,
    common: CommonOptions,
    params: Params = None,
    table: ParamsTable = None,
) -> None:
    """Measure reward models, judges and references on the same test pairs, each with its controls.

    Models learn from train and validation rows, never from test; a checkpoint, given as its folder, is
    measured as it is. The controls are the same scorer without the user, with another user's history, and
    with the user's labels swapped. With --max-error reward models are also fitted on the train rows alone,
    and the validation rows say which test pairs they answer: promised and realised error stand side by side.

    Finished work is kept in --out: the same command goes on where it stopped. A method that fails is named
    with its reason and has no row; the exit status is then 1.
    """
    from synthesizeme.cli._session import check_model

    if options.diff is not None:
        _show_diff(options, common)
        return
    out, sources = _places(options)
    entered = participants(
        options.scorers or ["all"],
        params or [],
        table or [],
        options.variants or [],
        options.backbone,
        induction.seed,
        floor.name,
    )
    if entered.judges:
        check_model(model)
    words = read_about(options.about)
    deaf = [name for name, kind in entered.classes.items() if not kind.reads_words]
    if words and deaf:
        say_unread(*deaf)
    reports = []
    for source in sources:
        place = out if len(sources) == 1 else out / source.rpartition("/")[2]
        try:
            benchmark = _with_words(loaded(source, options.data_dir, options.columns), words)
            report = _measure(benchmark, place, entered, options, induction, retrieval, model)
        except KeyboardInterrupt:
            say(f"Finished work is kept in {printable(str(place))}: the same command goes on there.")
            raise
        reports.append(report)
        if not common.json:
            _show(report)
    if common.json:
        whole = [report.model_dump(mode="json") for report in reports]
        print_json(whole[0] if len(whole) == 1 else {"reports": whole})
    if any(report.failed for report in reports):
        raise typer.Exit(FAILED)


def _with_words(benchmark: Benchmark, words: dict[str, UserWords]) -> Benchmark:
    """The benchmark with what its users said, in place of what it knows of these users."""
    if not words:
        return benchmark
    say_without_pairs(words, {pair.user_id for pair in benchmark.pairs})
    return benchmark.model_copy(update={"words": {**benchmark.words, **words}})


def _places(options: ComparisonOptions) -> tuple[Path, list[str]]:
    """Where to write, and the names or paths of what is measured on.

    Raises:
        ConfigError: flags are missing or exclude each other, or the place cannot be written.
        DataError: the file of --data is not there.
    """
    problems = source_problems(options.benchmark, options.data)
    if options.out is None:
        raise ConfigError([*problems, "--out DIR is missing"])
    if problems:
        raise ConfigError(problems)
    check_writable(options.out)
    return options.out, measured_on(options.benchmark, options.data)


def _measure(
    whole: Benchmark,
    place: Path,
    entered: Participants,
    options: ComparisonOptions,
    induction: InductionOptions,
    retrieval: RetrievalOptions,
    model: ModelOptions,
) -> Report:
    from reward_models import use_engine
    from synthesizeme.cli._comparison_progress import ComparisonDisplay
    from synthesizeme.cli._session import open_session
    from synthesizeme.comparison.entrants import ScorerPool, make_entrants
    from synthesizeme.comparison.results import report
    from synthesizeme.comparison.runner import Runner
    from synthesizeme.comparison.units import plan
    from synthesizeme.evaluation.benchmarks import limit_users
    from synthesizeme.evaluation.selective import require_pairs

    chosen = limit_users(whole, options.max_users) if options.max_users else whole
    units = plan(
        chosen,
        whole.pairs,
        resplit=options.resplits,
        cold_start=options.cold_start and bool(entered.classes),
        no_answers=options.no_answers,
        seed=induction.seed,
    )
    if options.max_error is not None:
        for unit in units.folds:
            validation = sum(pair.split == "validation" for pair in unit.fold.history)
            require_pairs(validation, options.max_error, source=f"{whole.name}, {unit.name}")
    with ExitStack() as stack:
        display = stack.enter_context(ComparisonDisplay())
        session = (
            stack.enter_context(open_session(induction.asking(model), display.calls))
            if entered.judges
            else None
        )
        pool = ScorerPool(induction.settings(), session, display.label, retrieval.settings())
        entrants = make_entrants(
            entered.names, entered.classes, entered.arguments, pool, entered.checkpoints, options.max_error
        )
        stack.enter_context(use_engine(options.engine, options.workers))
        entered.report_missing(display)
        runner = Runner(chosen, units, place, watcher=display, fresh=options.fresh)
        compared = runner.run(entrants, named=entered.names)
        display.conclude(place)
    compared.failed.update(entered.failed)
    compared.left_out.update(entered.left_out)
    judge = f"{session.model.name} ({session.model.kind})" if session is not None else ""
    found = report(compared, chosen, units, model=judge)
    _write(found, compared, place)
    return found


def _write(found: Report, compared: Compared, place: Path) -> None:
    """Results, table and figures."""
    paths = [*found.save(place)]
    try:
        from synthesizeme.evaluation.figures import draw

        if compared.measurements:
            paths += draw(compared.measurements, place / "figures", benchmark=found.benchmark)
    except MissingExtraError as error:
        say(f"No figures: {error}")
    say("Written: " + ", ".join(printable(str(path)) for path in paths))


def _show(report: Report) -> None:
    if sys.stdout.isatty():
        show_report(report)
    else:
        sys.stdout.write(report.to_markdown())


def _show_diff(options: ComparisonOptions, common: CommonOptions) -> None:
    from synthesizeme.comparison.diff import diff

    given: dict[str, Any] = {"--benchmark": options.benchmark, "--data": options.data, "--out": options.out}
    if wrong := [flag for flag, value in given.items() if value is not None]:
        raise ConfigError(f"--diff measures nothing and writes nothing; leave {', '.join(wrong)} out")
    assert options.diff is not None
    found = diff(*options.diff)
    if common.json:
        print_json(found.model_dump(mode="json"))
    else:
        sys.stdout.write(found.to_markdown())

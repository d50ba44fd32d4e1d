"""``compare``: reward models, judges and references on the same pairs: one table, its controls, figures."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import typer

from synthesizeme.cli._command import ASSIGNMENT, option, verb
from synthesizeme.cli._html import HtmlOptions
from synthesizeme.cli._measuring import (
    MeasuringOptions,
    loaded,
    measured_on,
    result_folder,
    scorer_names,
    source_problems,
)
from synthesizeme.cli._method_options import (
    PREFIX,
    assignments,
    by_method,
    method_arguments,
    method_settings,
    params_argument,
    params_table,
)
from synthesizeme.cli._model_options import (
    InductionOptions,
    ModelOptions,
    RetrievalOptions,
    check_model,
    open_session,
)
from synthesizeme.cli._options import ENGINE, FURTHER, WORKERS, CommonOptions
from synthesizeme.cli._output import check_writable, print_json, say
from synthesizeme.cli._pairs import ABOUT, read_about, say_unread, say_without_pairs
from synthesizeme.cli._reward_options import MAX_ERROR, FloorOptions
from synthesizeme.cli._tables import print_reports, show_report
from synthesizeme.errors import ConfigError, UnknownNameError
from synthesizeme.plain_text import printable

if TYPE_CHECKING:
    from synthesizeme.comparison.measure import Measured
    from synthesizeme.comparison.systems import Measuring, Participants
    from synthesizeme.evaluation.benchmarks import Benchmark
    from synthesizeme.feedback import UserWords

FAILED = 1
_ROW_NAME = re.compile(r"[\w+-]+")


@dataclass(frozen=True)
class ComparisonOptions(MeasuringOptions):
    """Who is compared on what, and how closely."""

    about: Path | None = ABOUT()
    variants: list[str] | None = option(
        None,
        "A row of a reward model under a name and with arguments of its own: small=lore, then "
        "params.small.rank=2. Several by repeating the flag; the table compare.variants of a --config "
        "file. They are among --scorers models and all.",
        ASSIGNMENT,
    )
    diff: tuple[Path, Path] | None = option(
        None, "Set two results side by side, files or folders, and measure nothing.", "A B"
    )
    resplits: int = option(
        0,
        "Also the mean over N re-splits: of the pairs within users, or of a benchmark of new items.",
        "N",
        min=0,
    )
    cold_start: bool = option(
        True,
        "Whether the history-length curve of the reward models is measured: users who were not in the "
        "training bring 0, 1, 2, 4, 8, 16, 32 pairs, their first ones and random ones.",
        name="--cold-start/--no-cold-start",
    )
    max_error: float | None = MAX_ERROR()
    backbone: str | None = option(
        None,
        "Pretrained model, by name or path, of every method that fine-tunes one; "
        "params.METHOD.backbone wins.",
        "NAME",
        panel=FURTHER,
    )
    engine: Literal["local", "ray"] = ENGINE()
    workers: int | None = WORKERS()


@verb
def compare(
    options: ComparisonOptions,
    induction: InductionOptions,
    retrieval: RetrievalOptions,
    model: ModelOptions,
    floor: FloorOptions,
    page: HtmlOptions,
    common: CommonOptions,
    params: list[str] | None = params_argument("params.SCORER.NAME=VALUE", "params.lore.rank=10"),
    table: list[str] | None = params_table(),
) -> None:
    """Measure reward models, judges and references on the same test pairs, each with its controls.

    Models learn from train and validation rows, never from test; a checkpoint, given as its folder, is
    measured as it is. The controls are the same scorer without the user, with another user's history, and
    with the user's labels swapped. With --max-error reward models are also fitted on the train rows alone,
    and the validation rows say which test pairs they answer: promised and realised error stand side by side.

    Finished work is kept in --out: the same command goes on where it stopped. A method that fails is named
    with its reason and has no row; the exit status is then 1.
    """
    from synthesizeme.comparison.systems import Measuring, participants

    if options.diff is not None:
        _show_diff(options, page, common)
        return
    out, sources = _places(options)
    who = participants(scorer_names(options, "all"), _variants(options.variants or []), floor.name)
    arguments = _arguments(who, options, induction.seed, floor.name, params or [], table or [])
    if who.asking:
        check_model(model)
    words = read_about(options.about)
    if words and (deaf := [name for name, kind in who.classes.items() if not kind.reads_words]):
        say_unread(*deaf)
    places = [result_folder(out, it, sources, force=options.force, resumes=True) for it in sources]
    page.check("compare", sources, force=options.force, data=options.data, about=options.about)
    how = Measuring(
        induction.settings(), None, retrieval.settings(), arguments, options.max_users, options.no_answers
    )
    found = []
    for source, place in zip(sources, places, strict=True):
        try:
            benchmark = _with_words(loaded(source, options.data_dir, options.columns), words)
            measured = _compared(benchmark, place, who, how, options, induction.asking(model))
        except KeyboardInterrupt:
            say(f"Finished work is kept in {printable(str(place))}: the same command goes on there.")
            raise
        found.append(measured)
        if not common.json:
            show_report(measured.report)
    page.write_reports("compare", sources, found)
    if common.json:
        print_reports([it.report for it in found])
    if any(it.report.failed for it in found):
        raise typer.Exit(FAILED)


def _compared(
    benchmark: Benchmark,
    place: Path,
    who: Participants,
    how: Measuring,
    options: ComparisonOptions,
    model: ModelOptions,
) -> Measured:
    from reward_models import use_engine
    from synthesizeme.comparison.measure import ComparisonDisplay, compare

    with ExitStack() as stack:
        display = stack.enter_context(ComparisonDisplay())
        session = stack.enter_context(open_session(model, display.calls)) if who.asking else None
        stack.enter_context(use_engine(options.engine, options.workers))
        measured, paths = compare(
            benchmark, place, who, replace(how, session=session, on_label=display.label),
            resplits=options.resplits, cold_start=options.cold_start, max_error=options.max_error,
            fresh=options.force, watcher=display,
        )  # fmt: skip
        display.conclude(place)
    say("Written: " + ", ".join(printable(str(path)) for path in paths))
    return measured


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


def _variants(items: Sequence[str]) -> dict[str, str]:
    """Method by name of the variant.

    Raises:
        ConfigError: an item is not NAME=METHOD, or its name is taken or cannot be the name of a file.
        UnknownNameError: a method is none.
    """
    from reward_models import method_names
    from synthesizeme.comparison.systems import GROUPS, system_names

    found: dict[str, str] = {}
    taken = {*GROUPS, *system_names(["all", "retrieval"])}
    problems = []
    for item in items:
        name, _, method = (part.strip() for part in item.partition("="))
        if not _ROW_NAME.fullmatch(name) or not method:
            problems.append(
                f"--variants {printable(item, 60)!r}: expected NAME=METHOD, NAME of letters, digits, + - _"
            )
        elif name in taken or name in found:
            problems.append(f"--variants {name}: something else is called so; give it another name")
        elif method not in method_names():
            raise UnknownNameError("reward model", method, method_names())
        found[name] = method
    if problems:
        raise ConfigError(problems)
    return found


def _arguments(
    who: Participants,
    options: ComparisonOptions,
    seed: int,
    floor: str | None,
    params: Sequence[str],
    table: Sequence[str],
) -> dict[str, dict[str, Any]]:
    """Keyword arguments of each reward model; a table of a file may also speak of methods that take no part.

    Raises:
        ConfigError: arguments are wrong; all of them together.
    """
    from reward_models import method_names

    others = {*method_names(), *(item.partition("=")[0].strip() for item in options.variants or ())} - set(
        who.names
    )
    of_these = [entry for entry in table if entry.partition(".")[0] not in others]
    texts = by_method(assignments(params, of_these), [*who.classes, *who.missing])
    found: dict[str, dict[str, Any]] = {}
    problems: list[str] = []
    tunable = {name for name, kind in who.classes.items() if "backbone" in method_settings(kind)}
    for name, kind in who.classes.items():
        try:
            given = method_arguments(name, kind, texts[name], prefix=f"{PREFIX}{name}.")
            shared = {"backbone": options.backbone if name in tunable else None, "floor": floor}
            found[name] = {"seed": seed, **{it: value for it, value in shared.items() if value}, **given}
            kind(**found[name])
        except ConfigError as error:
            problems += error.problems
    if options.backbone and not tunable:
        problems.append("--backbone: none of --scorers fine-tunes a backbone; leave it out")
    if problems:
        raise ConfigError(problems)
    return found


def _show_diff(options: ComparisonOptions, page: HtmlOptions, common: CommonOptions) -> None:
    from synthesizeme.comparison.report import diff

    given: dict[str, Any] = {
        "--benchmark": options.benchmark, "--data": options.data, "--out": options.out, "--html": page.html,
    }  # fmt: skip
    if wrong := [flag for flag, value in given.items() if value is not None]:
        raise ConfigError(f"--diff measures nothing and writes nothing; leave {', '.join(wrong)} out")
    assert options.diff is not None
    found = diff(*options.diff)
    if common.json:
        print_json(found.model_dump(mode="json"))
    else:
        sys.stdout.write(found.to_markdown())

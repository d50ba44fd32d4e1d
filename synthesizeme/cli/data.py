"""``data``: convert pairs from any known format, look at them, split them, find what would fool a figure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import typer

from synthesizeme.cli._command import argument, option, verb
from synthesizeme.cli._options import DATA_DIR, FORCE, SEED, SKIP_BAD_ROWS, CommonOptions, new_file
from synthesizeme.cli._output import print_json, tell, terminal
from synthesizeme.cli._pairs import COLUMNS, SCALE, located, read, say_left_out
from synthesizeme.errors import ConfigError
from synthesizeme.plain_text import count, in_words, printable

if TYPE_CHECKING:
    from synthesizeme.datasets import ConvertReport, FeedbackSummary, PairsFile, PairsSummary
    from synthesizeme.evaluation.agreement import Agreement
    from synthesizeme.evaluation.intervals import Interval
    from synthesizeme.evaluation.lint import Finding, LintReport


SOURCE = partial(
    argument,
    ...,
    "File, folder, hub data set owner/name[:split], or a name: llmfao, polis, synthetic and others.",
    "IN",
)
TARGET = partial(option, ..., "File to write, .jsonl or .jsonl.gz.", "FILE", name="--out", parser=new_file)


@dataclass(frozen=True)
class SourceOptions:
    """Flags of the verbs that read pairs in any format."""

    format: str = option(
        "auto",
        "Format of the rows: auto, or argilla, chatbot-arena, community-alignment, jsonl, judged-rows, "
        "label-studio, lamp, llmfao, mlflow, open-webui, paper-format, polis, prism, rated-completions, "
        "remesh, trl-rows.",
    )
    columns: list[str] | None = COLUMNS()
    scale: str | None = SCALE()
    user: str | None = option(None, "Owner of rows that name none.", "ID")
    data_dir: Path | None = DATA_DIR()

    def read(self, source: str, *, skip_bad_rows: bool, alone: bool = False) -> PairsFile:
        """The pairs of `source` as the flags say; other feedback may come alone."""
        return read(
            source, format=self.format, columns=self.columns, user_id=self.user,
            skip_bad_rows=skip_bad_rows, data_dir=self.data_dir, scale=self.scale,
            feedback="alone" if alone else "unread",
        )  # fmt: skip


@dataclass(frozen=True)
class ReadingOptions(SourceOptions):
    """The same, where malformed rows may be left out."""

    skip_bad_rows: bool = SKIP_BAD_ROWS()


@verb
def convert(
    common: CommonOptions,
    reading: ReadingOptions,
    source: str = SOURCE(),
    out: Path | None = option(
        None, "File to write the pairs to, .jsonl or .jsonl.gz.", "FILE", name="--out", parser=new_file
    ),
    feedback_out: Path | None = option(
        None, "File to write ties, rankings, ratings and edits to, likewise.", "FILE", parser=new_file
    ),
    respondents: Literal["human", "simulated"] | None = option(
        None, "Keep the choices of people alone, or those of simulations.", "KIND"
    ),
    force: bool = FORCE(),
) -> None:
    """Read pairs and other feedback in any known format and write them as this project's JSON Lines."""
    from synthesizeme import datasets

    report = datasets.convert(
        located(source, reading.data_dir), out, format=reading.format,
        columns=datasets.parse_columns(reading.columns or ()), user_id=reading.user,
        skip_bad_rows=reading.skip_bad_rows, only=respondents, feedback_target=feedback_out, overwrite=force,
        scale=datasets.parse_scale(reading.scale) if reading.scale else None,
    )  # fmt: skip
    if not common.json:
        say_left_out(report.skipped, report.reasons, report.assumed)
    tell(common.json, _report_json(report), [_converted(report)])


def _converted(report: ConvertReport) -> str:
    """What was written where, in words."""
    parts = []
    if report.target is not None:
        parts.append(f"{count(report.pairs_written, 'pair')} written to {printable(str(report.target))}")
    if report.feedback and report.feedback_target is not None:
        parts.append(f"{in_words(report.feedback)} written to {printable(str(report.feedback_target))}")
    elif report.feedback:
        parts.append(f"{in_words(report.feedback)} not written (--feedback-out FILE writes them)")
    return f"{', '.join(parts)} from {count(report.rows_read, 'row')} in the format {report.format}."


@verb
def inspect(common: CommonOptions, reading: ReadingOptions, source: str = SOURCE()) -> None:
    """Show what is in a set of pairs: users, splits, lengths, leaks, reasons, and feedback of other kinds."""
    from synthesizeme import datasets

    file = reading.read(source, skip_bad_rows=reading.skip_bad_rows, alone=True)
    summary = datasets.inspect(file.pairs) if file.pairs else None
    said = datasets.inspect_feedback(file.pairs, file.feedback)
    if common.json:
        found = {"pairs": 0} if summary is None else summary.model_dump(mode="json")
        left_out = dict(file.reasons)
        feedback = said.model_dump(mode="json")
        print_json({"format": file.format, "left_out": left_out, **found, "feedback": feedback})
        return
    _show(source, file.format, summary, said)


@verb
def split(
    common: CommonOptions,
    reading: ReadingOptions,
    source: str = SOURCE(),
    out: Path = TARGET(),
    seed: int = SEED(),
    force: bool = FORCE(),
) -> None:
    """Draw a 60/20/20 split within each user, whatever the rows say; equal pairs stay together."""
    from synthesizeme import datasets

    file = reading.read(source, skip_bad_rows=reading.skip_bad_rows)
    pairs = datasets.resplit(file.pairs, seed)
    written = datasets.write_pairs(out, pairs, overwrite=force)
    splits = dict(datasets.inspect(pairs).splits)
    parts = ", ".join(f"{number} {name}" for name, number in splits.items())
    line = f"{count(written, 'pair')} written to {printable(str(out))}: {parts} (seed {seed})."
    skipped = [str(problem) for problem in file.skipped]
    document = {"out": str(out), "pairs": written, "splits": splits, "seed": seed, "skipped_rows": skipped}
    tell(common.json, document, [line])


def _report_json(report: ConvertReport) -> dict[str, object]:
    return {
        "source": report.source,
        "out": None if report.target is None else str(report.target),
        "format": report.format,
        "rows_read": report.rows_read,
        "pairs_written": report.pairs_written,
        "feedback": dict(report.feedback),
        "feedback_out": None if report.feedback_target is None else str(report.feedback_target),
        "left_out": dict(report.reasons),
        "skipped_rows": [str(problem) for problem in report.skipped],
        "assumed": list(report.assumed),
    }


def _show(source: str, format: str, summary: PairsSummary | None, said: FeedbackSummary) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 2))
    rows = {
        "format": format,
        **({"pairs": "none"} if summary is None else _of_pairs(summary)),
        **_of_feedback(said),
    }
    for name, value in rows.items():
        table.add_row(Text(name, style="dim"), Text(value))
    console = terminal()
    console.print(Text(printable(source), style="bold"))
    console.print(table)


def _of_feedback(said: FeedbackSummary) -> dict[str, str]:
    """What was said beside the bare choices, in words."""
    rows = {"other feedback": in_words(said.kinds) or "none"}
    if said.kinds:
        rows["its users"] = f"{said.users:,}"
    if said.reasons:
        rows["reasons in words"] = in_words(said.reasons)
    if said.strengths:
        rows["strengths"] = count(said.strengths, "pair")
    return rows


def _of_pairs(summary: PairsSummary) -> dict[str, str]:
    """What pairs are like, in words."""
    turns, lengths, users = summary.prompt_turns, summary.response_characters, summary.pairs_per_user
    longer = (
        "–" if summary.chosen_longer is None else f"{100 * summary.chosen_longer:.1f} % of unequal lengths"
    )
    return {
        "pairs": f"{summary.pairs:,}",
        "users": f"{summary.users:,}, {users.minimum:g} to {users.maximum:g} pairs each",
        "respondents": ", ".join(f"{name} {number:,}" for name, number in summary.respondents.items()),
        "splits": ", ".join(f"{name} {number:,}" for name, number in summary.splits.items()),
        "prompts": f"{summary.prompts:,} different, {turns.minimum:g} to {turns.maximum:g} turns",
        "responses": f"{lengths.minimum:g} to {lengths.maximum:g} characters, median {lengths.median:g}",
        "chosen is longer": longer,
        "prompts in several splits": f"{summary.prompts_in_several_splits:,}",
        "comparisons in several splits": f"{summary.comparisons_in_several_splits:,}"
        + (" (a leak)" if summary.comparisons_in_several_splits else ""),
        "metadata": ", ".join(
            f"{printable(key, 40)} ({number})" for key, number in summary.metadata_keys.items()
        )
        or "none",
    }


FAILED = 1
_STYLES = {"error": "bold red", "warning": "yellow", "note": "dim"}


@dataclass(frozen=True)
class LintOptions(SourceOptions):
    """What is looked at, and what is known of it."""

    benchmark: str | None = option(
        None,
        "Lint a benchmark of `synthesizeme evaluate`, or a family of them, as it declares itself.",
        "NAME",
    )
    seen_items: bool = option(False, "Test prompts and responses may stand in the history: it is meant so.")
    expect_pairs: int | None = option(None, "Pairs there should be.", "N", min=0)
    expect_users: int | None = option(None, "Users there should be.", "N", min=0)
    strict: bool = option(False, "Fail on warnings too.")


@verb
def lint(
    common: CommonOptions,
    options: LintOptions,
    source: str | None = argument(
        None, "File, folder, hub data set owner/name[:split], or a name such as llmfao.", "PAIRS"
    ),
) -> None:
    """Look for leaks between splits, damaged texts, labels that follow form or length, and lost rows.

    Exit status: 0 when nothing or only warnings and notes were found, 1 when an error was. Unreadable
    rows are counted as an error, not left out. A benchmark that shows seen items on purpose declares it; an
    overlap that nobody declared fails.
    """
    reports = _of_benchmarks(options) if source is None else [_of_file(source, options)]
    passes = [report.passes(strict=options.strict) for report in reports]
    if common.json:
        whole = [{**it.model_dump(mode="json"), "passes": ok} for it, ok in zip(reports, passes, strict=True)]
        print_json(whole[0] if len(whole) == 1 else {"reports": whole})
    else:
        for report, ok in zip(reports, passes, strict=True):
            _show_lint(report, ok)
    if not all(passes):
        raise typer.Exit(FAILED)


def _of_benchmarks(options: LintOptions) -> list[LintReport]:
    from synthesizeme.evaluation.benchmarks import resolve_benchmarks

    if options.benchmark is None:
        raise ConfigError("name a file of pairs, or a benchmark with --benchmark NAME")
    return [_of_benchmark(name, options) for name in resolve_benchmarks(options.benchmark)]


def _of_benchmark(name: str, options: LintOptions) -> LintReport:
    from synthesizeme.evaluation.benchmarks import load_benchmark
    from synthesizeme.evaluation.lint import lint

    found = load_benchmark(name, options.data_dir)
    own = {"pairs": options.expect_pairs, "users": options.expect_users}
    declared = found.declared.model_copy(update={name: n for name, n in own.items() if n is not None})
    return lint(
        found.pairs,
        source=found.name,
        folds=[(fold.history, fold.test) for fold in found.folds],
        seen_items_by_design=found.seen_items_by_design or options.seen_items,
        declared=declared,
    )


def _of_file(source: str, options: LintOptions) -> LintReport:
    from synthesizeme.evaluation.lint import Declared, lint

    if options.benchmark is not None:
        raise ConfigError("a file and --benchmark exclude each other")
    file = options.read(source, skip_bad_rows=True)
    reasons = {reason: n for reason, n in file.reasons.items() if reason != "malformed row"}
    return lint(
        file.pairs,
        source=source,
        seen_items_by_design=options.seen_items,
        declared=Declared(pairs=options.expect_pairs, users=options.expect_users),
        unreadable=[str(problem) for problem in file.skipped],
        left_out=reasons,
    )


def _show_lint(report: LintReport, passes: bool) -> None:
    from rich.table import Table
    from rich.text import Text

    console = terminal()
    splits = ", ".join(
        f"{'no split' if name == 'none' else name} {number:,}" for name, number in report.splits.items()
    )
    folds = f" in {report.folds} folds" if report.folds > 1 else ""
    console.print(Text(printable(report.source), style="bold"))
    console.print(
        Text(
            f"{count(report.pairs, 'pair')} of {count(report.users, 'user')}{folds}: "
            + (splits if report.folds < 2 else "every pair is a test pair once")
        )
    )
    if report.seen_items_by_design:
        console.print(Text("Declared: test items are seen by design."))
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    for finding in report.findings:
        table.add_row(
            Text(finding.level, style=_STYLES[finding.level]), Text(finding.name), Text(_said(finding))
        )
    if report.findings:
        console.print(table)
    numbers = ", ".join(
        count(report.count(level), level) for level in ("error", "warning", "note") if report.count(level)
    )
    console.print(Text(f"{'Passes' if passes else 'Fails'}: {numbers or 'nothing found'}."))


def _said(finding: Finding) -> str:
    pairs = ", ".join(printable(pair_id, 40) for pair_id in finding.pair_ids)
    return (
        f"{finding.count:,} of {finding.out_of:,} {printable(finding.problem)}."
        + (f"\nE.g. {pairs}." if pairs else "")
        + f"\nCure: {finding.cure}."
    )


_MOST = 10
"""People and comparisons that are shown at most; ``--json`` has all."""


@verb
def agreement(
    common: CommonOptions, reading: ReadingOptions, source: str = SOURCE(), seed: int = SEED()
) -> None:
    """Show how far several people agree who judged the same prompt with the same two responses.

    Pairs and ties are read, whichever response was shown first. Krippendorff's alpha is 1 where all agree and
    0 where they agree as chance would have it; its interval resamples people. Then who agrees least with the
    others, and the comparisons on which people differ most.
    """
    from synthesizeme.evaluation.agreement import agreement

    file = reading.read(source, skip_bad_rows=reading.skip_bad_rows, alone=True)
    found = agreement([*file.pairs, *file.feedback], seed=seed)
    tell(common.json, found.model_dump(mode="json"), _agreed(found))


def _agreed(found: Agreement) -> Iterator[str]:
    """Agreement in words."""
    shared, people = len(found.compared), found.nominal.n_users
    alone = f"; {count(found.alone, 'further one')} judged by one person alone" if found.alone else ""
    if not shared:
        yield f"No comparison was judged by two people{alone}: there is nothing to agree on."
        return
    yield f"{count(shared, 'comparison')} judged by two or more of {people:,} people{alone}."
    for name, alpha in (("nominal", found.nominal), ("ordinal, a tie half way", found.ordinal)):
        yield f"Krippendorff's alpha, {name}: {_with_interval(alpha)}"
    yield "Who agrees least with the others (share of the others who said the same, alpha without them):"
    for it in [it for it in found.annotators if it.agrees is not None][:_MOST]:
        again = f", {it.repeated_alike} of {it.repeats} repeats alike" if it.repeats else ""
        without = "–" if it.alpha_without is None else f"{it.alpha_without:.3f}"
        share = f"{100 * (it.agrees or 0.0):.1f} % of {count(it.shared, 'comparison')}"
        yield f"  {printable(it.name, 40)}: {share}, {without}{again}"
    yield "Where people differ most (for the one, tie, for the other; ids):"
    for pair in found.compared[:_MOST]:
        ids = ", ".join(printable(name, 40) for name in pair.ids[:3])
        more = f" and {len(pair.ids) - 3} more" if len(pair.ids) > 3 else ""
        yield f"  {pair.votes[0]} : {pair.votes[1]} : {pair.votes[2]}  {ids}{more}"


def _with_interval(alpha: Interval) -> str:
    if alpha.value is None:
        return "none, since all said that all is a tie"
    own = alpha.for_these_users
    these = f"; for these people, over comparisons, [{own[0]:.3f}, {own[1]:.3f}]" if own else ""
    return f"{alpha.value:.3f} [{alpha.low:.3f}, {alpha.high:.3f}], 95 % over people{these}"


HELP = "Convert, inspect, split and lint preference pairs, and see how far people agree on them."
VERBS = {"convert": convert, "inspect": inspect, "split": split, "lint": lint, "agreement": agreement}

"""``data lint``: what would make a figure on a set of pairs say something else than it seems to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from synthesizeme.cli._groups import spread
from synthesizeme.cli._options import CommonOptions, DataDir
from synthesizeme.cli._pairs_input import Columns, read
from synthesizeme.cli._text import print_json, terminal
from synthesizeme.errors import ConfigError
from synthesizeme.plain_text import count, printable

if TYPE_CHECKING:
    from synthesizeme.evaluation.lint import Finding, LintReport

FAILED = 1
_STYLES = {"error": "bold red", "warning": "yellow", "note": "dim"}


@dataclass(frozen=True)
class LintOptions:
    """What is looked at, and what is known of it."""

    benchmark: Annotated[
        str | None,
        typer.Option(
            "--benchmark",
            help="Lint a benchmark of `synthesizeme evaluate`, or a family of them, as it declares itself.",
            metavar="NAME",
        ),
    ] = None
    seen_items: Annotated[
        bool,
        typer.Option(
            "--seen-items", help="Test prompts and responses may stand in the history: it is meant so."
        ),
    ] = False
    expect_pairs: Annotated[
        int | None, typer.Option("--expect-pairs", help="Pairs there should be.", min=0, metavar="N")
    ] = None
    expect_users: Annotated[
        int | None, typer.Option("--expect-users", help="Users there should be.", min=0, metavar="N")
    ] = None
    strict: Annotated[bool, typer.Option("--strict", help="Fail on warnings too.")] = False
    format: Annotated[
        str, typer.Option("--format", help="Format of the file, if not to be told from its first row.")
    ] = "auto"
    columns: Columns = None
    user: Annotated[
        str | None, typer.Option("--user", help="Owner of rows that name none.", metavar="ID")
    ] = None
    data_dir: DataDir = None


@spread
def lint(
    common: CommonOptions,
    options: LintOptions,
    source: Annotated[
        str | None,
        typer.Argument(
            help="File, folder, hub data set owner/name[:split], or a name such as llmfao.", metavar="PAIRS"
        ),
    ] = None,
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
            _show(report, ok)
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
    file = read(
        source, format=options.format, columns=options.columns, user_id=options.user, skip_bad_rows=True,
        data_dir=options.data_dir,
    )  # fmt: skip
    reasons = {reason: n for reason, n in file.reasons.items() if reason != "malformed row"}
    return lint(
        file.pairs,
        source=source,
        seen_items_by_design=options.seen_items,
        declared=Declared(pairs=options.expect_pairs, users=options.expect_users),
        unreadable=[str(problem) for problem in file.skipped],
        left_out=reasons,
    )


def _show(report: LintReport, passes: bool) -> None:
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

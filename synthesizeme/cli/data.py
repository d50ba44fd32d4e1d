"""``data``: convert pairs from any known format, look at them, split them, find what would fool a figure."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from synthesizeme.cli._groups import flowing, spread
from synthesizeme.cli._lint import lint
from synthesizeme.cli._options import CommonOptions, DataDir, Force, Seed, SkipBadRows, new_file
from synthesizeme.cli._pairs_input import Columns, read, say_left_out
from synthesizeme.cli._sources import located
from synthesizeme.cli._text import print_json, terminal
from synthesizeme.plain_text import count, printable

if TYPE_CHECKING:
    from synthesizeme.datasets import ConvertReport, PairsFile, PairsSummary

Source = Annotated[
    str,
    typer.Argument(
        help="File, folder, hub data set owner/name[:split], or a name: llmfao, polis, synthetic and others.",
        metavar="IN",
    ),
]
Target = Annotated[
    Path, typer.Option("--out", help="File to write, .jsonl or .jsonl.gz.", metavar="FILE", parser=new_file)
]
Format = Annotated[
    str,
    typer.Option(
        "--format",
        help="auto, or one of: chatbot-arena, jsonl, lamp, llmfao, paper-format, polis, prism, remesh, "
        "trl-rows.",
    ),
]
UserId = Annotated[str | None, typer.Option("--user", help="Owner of rows that name none.", metavar="ID")]


def app() -> typer.Typer:
    """The group of data verbs."""
    group = typer.Typer(help="Convert, inspect, split and lint preference pairs.", no_args_is_help=True)
    group.command("convert")(convert)
    group.command("inspect")(inspect)
    group.command("split")(split)
    group.command("lint", help=flowing(lint))(lint)
    return group


@dataclass(frozen=True)
class ReadingOptions:
    """Flags of the verbs that read pairs in any format."""

    format: Format = "auto"
    columns: Columns = None
    user: UserId = None
    skip_bad_rows: SkipBadRows = False
    data_dir: DataDir = None

    def read(self, source: str) -> PairsFile:
        """The pairs of `source` as the flags say."""
        return read(
            source, format=self.format, columns=self.columns, user_id=self.user,
            skip_bad_rows=self.skip_bad_rows, data_dir=self.data_dir,
        )  # fmt: skip

    def convert(
        self, source: str, target: Path, only: Literal["human", "simulated"] | None, *, force: bool
    ) -> ConvertReport:
        """Read `source` as the flags say and write it as our own JSON Lines, pair by pair."""
        from synthesizeme import datasets

        return datasets.convert(
            located(source, self.data_dir), target, format=self.format,
            columns=datasets.parse_columns(self.columns or ()), user_id=self.user,
            skip_bad_rows=self.skip_bad_rows, only=only, overwrite=force,
        )  # fmt: skip


@spread
def convert(
    source: Source,
    out: Target,
    common: CommonOptions,
    reading: ReadingOptions,
    respondents: Annotated[
        Literal["human", "simulated"] | None,
        typer.Option(
            "--respondents", help="Keep the choices of people alone, or those of simulations.", metavar="KIND"
        ),
    ] = None,
    force: Force = False,
) -> None:
    """Read pairs in any known format and write them as this project's JSON Lines."""
    report = reading.convert(source, out, respondents, force=force)
    if common.json:
        print_json(_report_json(report))
        return
    say_left_out(report.skipped, report.reasons, report.assumed)
    typer.echo(
        f"{count(report.pairs_written, 'pair')} written to {printable(str(report.target))} "
        f"from {count(report.rows_read, 'row')} in the format {report.format}."
    )


@spread
def inspect(source: Source, common: CommonOptions, reading: ReadingOptions) -> None:
    """Show what is in a set of pairs: users, splits, lengths, leaks between splits."""
    from synthesizeme import datasets

    file = reading.read(source)
    summary = datasets.inspect(file.pairs)
    if common.json:
        print_json({"format": file.format, "left_out": dict(file.reasons), **summary.model_dump(mode="json")})
        return
    _show(source, file.format, summary)


@spread
def split(
    source: Source,
    out: Target,
    common: CommonOptions,
    reading: ReadingOptions,
    seed: Seed = 0,
    force: Force = False,
) -> None:
    """Draw a 60/20/20 split within each user, whatever the rows say; equal pairs stay together."""
    from synthesizeme import datasets

    file = reading.read(source)
    pairs = datasets.resplit(file.pairs, seed)
    written = datasets.write_pairs(out, pairs, overwrite=force)
    splits = dict(datasets.inspect(pairs).splits)
    if common.json:
        print_json({"out": str(out), "pairs": written, "splits": splits, "seed": seed,
                    "skipped_rows": [str(problem) for problem in file.skipped]})  # fmt: skip
    else:
        parts = ", ".join(f"{number} {name}" for name, number in splits.items())
        typer.echo(f"{count(written, 'pair')} written to {printable(str(out))}: {parts} (seed {seed}).")


def _report_json(report: ConvertReport) -> dict[str, object]:
    return {
        "source": report.source,
        "out": str(report.target),
        "format": report.format,
        "rows_read": report.rows_read,
        "pairs_written": report.pairs_written,
        "left_out": dict(report.reasons),
        "skipped_rows": [str(problem) for problem in report.skipped],
        "assumed": list(report.assumed),
    }


def _show(source: str, format: str, summary: PairsSummary) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 2))
    turns, lengths, users = summary.prompt_turns, summary.response_characters, summary.pairs_per_user
    longer = (
        "–" if summary.chosen_longer is None else f"{100 * summary.chosen_longer:.1f} % of unequal lengths"
    )
    rows = {
        "format": format,
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
    for name, value in rows.items():
        table.add_row(Text(name, style="dim"), Text(value))
    console = terminal()
    console.print(Text(printable(source), style="bold"))
    console.print(table)

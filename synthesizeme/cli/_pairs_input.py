"""Pairs that a verb takes, in any format that is known; what was recognised is said."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from synthesizeme.cli._sources import located
from synthesizeme.cli._text import say
from synthesizeme.plain_text import count, printable

if TYPE_CHECKING:
    from synthesizeme.datasets import PairsFile
    from synthesizeme.errors import DataError

KINDS = (
    "JSON Lines, JSON, CSV, Parquet, a folder of these or a hub data set owner/name[:split], in any format "
    "that `synthesizeme data convert` knows"
)
"""What pairs are read from, for help."""
Columns = Annotated[
    list[str] | None,
    typer.Option(
        "--columns",
        help="Columns of the pairs with other names than ours: prompt=question,chosen=better,rejected=worse,"
        "user_id=meta.rater; also pair_id, split, created_at, system, metadata.",
        metavar="FIELD=COLUMN",
    ),
]


def read(
    source: str | Path,
    *,
    format: str = "auto",
    columns: Sequence[str] | None = None,
    user_id: str | None = None,
    skip_bad_rows: bool = False,
    data_dir: Path | None = None,
) -> PairsFile:
    """All pairs of a source; what it was read as and what was left out is said on standard error.

    Args:
        source: File, folder, hub data set, or name of a data set.
        format: Name of the format, or ``auto``.
        columns: Assignments of ``--columns``.
        user_id: Owner of rows that name none.
        skip_bad_rows: Leave malformed rows out.
        data_dir: Folder to look for data sets in.

    Raises:
        ConfigError: an assignment of a column is wrong.
        DataError: the source cannot be read, its format cannot be told, or a row is malformed.
    """
    from synthesizeme import datasets

    file = datasets.read_pairs(
        located(str(source), data_dir), format=format, columns=datasets.parse_columns(columns or ()),
        user_id=user_id, skip_bad_rows=skip_bad_rows,
    )  # fmt: skip
    users = count(len({pair.user_id for pair in file.pairs}), "user")
    say_recognised(file.source, file.format, [f"{count(len(file.pairs), 'pair')} of {users}"])
    say_left_out(file.skipped, file.reasons, file.assumed)
    return file


def say_recognised(source: str, format: str, what: Sequence[str] = ()) -> None:
    """Say what a source is read as."""
    found = f": {'; '.join(what)}" if what else ""
    say(f"reading {printable(source)} as {format}{found}")


def say_left_out(
    skipped: Sequence[DataError], reasons: Mapping[str, int], assumed: Sequence[str] = ()
) -> None:
    """Say which rows were malformed, how many made no pair and why, and what was assumed of the others."""
    for problem in skipped:
        say(f"left out: {printable(str(problem))}")
    for reason, number in reasons.items():
        say(f"left out: {number:,} x {printable(reason)}")
    for what in assumed:
        say(f"note: {printable(what)}")

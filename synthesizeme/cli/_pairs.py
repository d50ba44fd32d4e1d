"""What a verb reads: pairs in any format, what users said, what is measured on; all is said aloud."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from synthesizeme.cli._command import option
from synthesizeme.cli._output import say
from synthesizeme.errors import DataError
from synthesizeme.plain_text import count, id_list, in_words, printable

if TYPE_CHECKING:
    from synthesizeme.datasets import PairsFile
    from synthesizeme.feedback import UserWords

KINDS = (
    "JSON Lines, JSON, CSV, Parquet, a folder of these or a hub data set owner/name[:split], in any format "
    "that `synthesizeme data convert` knows"
)
"""What pairs are read from, for help."""
COLUMNS = partial(
    option,
    None,
    "Columns of the pairs with other names than ours: "
    "prompt=question,chosen=better,rejected=worse,user_id=meta.rater; also pair_id, split, "
    "created_at, system, metadata, reason, strength. Of two responses and a verdict: response_a, response_b, "
    "winner. Of one: response, rating, scale, thumb, edited.",
    "FIELD=COLUMN",
)
SCALE = partial(
    option,
    None,
    "What ratings could be given, where the rows do not say it: 1..5, or 0..5/11 for half steps.",
    "LOWEST..HIGHEST",
)


def read(
    source: str | Path,
    *,
    format: str = "auto",
    columns: Sequence[str] | None = None,
    user_id: str | None = None,
    skip_bad_rows: bool = False,
    data_dir: Path | None = None,
    scale: str | None = None,
    feedback: Literal["unread", "beside", "alone"] = "unread",
) -> PairsFile:
    """All pairs of a source; what it was read as and what was left out is said on standard error.

    Args:
        source: File, folder, hub data set, or name of a data set.
        format: Name of the format, or ``auto``.
        columns: Assignments of ``--columns``.
        user_id: Owner of rows that name none.
        skip_bad_rows: Leave malformed rows out.
        data_dir: Folder to look for data sets in.
        scale: Value of ``--scale``; None: the rows or their format say it.
        feedback: Whether other feedback is made use of beside pairs, or may come without any.

    Raises:
        ConfigError: an assignment of a column, or the scale, is wrong.
        DataError: the source cannot be read, its format cannot be told, or a row is malformed.
    """
    from synthesizeme import datasets
    from synthesizeme.feedback import kinds_of

    read_any = datasets.read_feedback if feedback == "alone" else datasets.read_pairs
    file = read_any(
        located(str(source), data_dir), format=format, columns=datasets.parse_columns(columns or ()),
        user_id=user_id, skip_bad_rows=skip_bad_rows, scale=datasets.parse_scale(scale) if scale else None,
    )  # fmt: skip
    found = []
    if file.pairs:
        users = count(len({pair.user_id for pair in file.pairs}), "user")
        found.append(f"{count(len(file.pairs), 'pair')} of {users}")
    if file.feedback:
        found.append(in_words(kinds_of(file.feedback)) + (", not read here" if feedback == "unread" else ""))
    say_recognised(file.source, file.format, found)
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


def located(source: str, data_dir: Path | None) -> str | Path:
    """A data set named by its module is looked for; anything else is a path or a hub name."""
    from synthesizeme import datasets

    if not os.path.exists(source) and source in datasets.formats():
        return datasets.find_data(source, data_dir=data_dir)
    return source


FILE_OF_WORDS = (
    "JSON Lines, JSON, CSV or Parquet with user_id and some of about, wishes, answers, own_answers, "
    "demographics; or ada.md, in which user ada describes themself."
)
ABOUT = partial(option, None, f"What users said beside their choices: {FILE_OF_WORDS}", "FILE")
_MOST_CUT = 5
"""Texts of which it is said one by one that they are cut."""


def read_about(path: Path | None, *, user: str | None = None) -> dict[str, UserWords]:
    """What users said, by user id; texts that are cut are said.

    Args:
        path: The file; None holds nothing.
        user: Owner of a text, or of a document that names nobody.

    Raises:
        DataError: the file cannot be read, or a document is malformed.
    """
    if path is None:
        return {}
    from synthesizeme.datasets import read_words
    from synthesizeme.feedback import LONGEST_TEXT

    file = read_words(path, user_id=user)
    for it in file.cut[:_MOST_CUT]:
        say(
            f"Note: {it.field} of user {printable(it.user_id, 60)!r} has {it.characters:,} characters; the "
            f"first {LONGEST_TEXT:,} are read."
        )
    if len(file.cut) > _MOST_CUT:
        say(f"Note: so it is with {count(len(file.cut) - _MOST_CUT, 'further text')}.")
    return file.words


def say_unread(*names: str) -> None:
    """Say which methods make nothing of words."""
    reads = "reads" if len(names) == 1 else "read"
    say(f"Note: {id_list(names)} {reads} no words of users; --about changes nothing there.")


def say_without_pairs(words: Collection[str], users: Collection[str]) -> None:
    """Say whose words come without pairs."""
    alone = [user for user in words if user not in users]
    if alone:
        say(f"Note: {count(len(alone), 'user')} with words and no pair: {id_list(alone)}.")

"""``--about FILE``: what users said beside their choices, read, and said where only part of it counts."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from synthesizeme.cli._text import say
from synthesizeme.plain_text import count, id_list, printable

if TYPE_CHECKING:
    from synthesizeme.feedback import UserWords

FILE_OF_WORDS = (
    "JSON Lines, JSON, CSV or Parquet with user_id and some of about, wishes, answers, own_answers, "
    "demographics; or ada.md, in which user ada describes themself."
)
About = Annotated[
    Path | None,
    typer.Option("--about", help=f"What users said beside their choices: {FILE_OF_WORDS}", metavar="FILE"),
]
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

"""Remesh: people on three polarised issues choose between what two other people wrote on the same question.

*polarized-issues-data* (github.com/akonya/polarized-issues-data), CC BY 4.0: US participants recruited on
Prolific, 25 June 2024, three collective dialogues on the Remesh platform, funded by the Peacetech and
Polarization Lab at the University of Notre Dame. Each dialogue is a folder of tables, each under a preamble
of two columns. A row of ``*_preference.csv`` points into ``*_verbatim_map.csv``::

    "Question ID","Participant ID","Thought A ID","Thought B ID","Vote","Timestamp"
    "c6…","71…","77…","89…","Thought A","June 25, 2024 at 3:50 PM (GMT)"

"I agree with both", "I disagree with both" and "I'm not sure" make no pair, nor do choices that involve the
participant's own text, blank or equal texts, and a second choice between the same two texts. Within a user
pairs are in time order and the split, 60/20/20, follows it; `resplit` draws a random one.

What people wrote themselves and ticked in polls comes from ``*_participants.csv`` or from
``remesh_users.jsonl.gz`` beside the pairs. The data does not say when an answer was given. People answer
before they choose, so that it counts from the person's first choice on that question, or else on the next
question that they chose on, or else from their last choice.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from synthesizeme.datasets import jsonl
from synthesizeme.datasets._base import Format
from synthesizeme.datasets._words import read_words
from synthesizeme.datasets.rows.lines import csv_cells
from synthesizeme.datasets.rows.pairs import BLANK, SAME_TEXT, mapped_pair
from synthesizeme.datasets.rows.plain import Row
from synthesizeme.datasets.rows.sources import Origin, ReadReport, SourceRow
from synthesizeme.errors import DataError
from synthesizeme.feedback import Given, OwnAnswer, UserWords, pairs_in
from synthesizeme.feedback import by_user as by_id
from synthesizeme.pairs import by_user, split_at
from synthesizeme.plain_text import short_repr
from synthesizeme.types import PreferencePair

WORDS = ("remesh_users.jsonl.gz", "remesh_users.jsonl")
"""Where the users' own words lie beside a file of pairs."""

PREFERENCES, TEXTS, PEOPLE = "_preference.csv", "_verbatim_map.csv", "_participants.csv"
_SIDES = {"Thought A": ("Thought A ID", "Thought B ID"), "Thought B": ("Thought B ID", "Thought A ID")}
"""Columns of the chosen and the rejected text, by vote; every other vote prefers neither."""
_TIME = "%B %d, %Y at %I:%M %p (GMT)"
_COLUMNS = ("Question ID", "Participant ID", *_SIDES["Thought A"], "Vote", "Timestamp")
_BRANCH = re.compile(r"^Branch \w+ - ")
_NOT_ASKED = {"", "Participant Id", "Sample Provider Id", "Sentiment", "Categories", "Muted"}
"""Columns of the participants' table that are no question."""
_AGREEMENT = "(%agree)"
"""In columns that say how many others agreed with an answer: of their votes, not of the participant."""
_NOTHING = "--"


class _Thought(NamedTuple):
    """A text that a participant wrote."""

    question: str
    author: str
    text: str


def recognises(row: Row) -> bool:
    """Whether a row is the first below the heading of a table of a dialogue."""
    return len(row) == 2 and row.get("Name") == "Title"


def _read(source: Origin, report: ReadReport) -> Iterator[Given]:
    """The pairs of ``remesh.jsonl.gz``, of the public tables below a folder, or of one dialogue's table."""
    if not isinstance(source, Path) or not _is_public(source):
        return jsonl.FORMAT.read(source, report)
    return (pair for _, pair in _public_pairs(source, report))


def _words(path: Path) -> dict[str, UserWords]:
    """What each user wrote and ticked, every answer with the moment from which it counts.

    Raises:
        DataError: the source cannot be read, or holds no words.
    """
    if _is_public(path):
        pairs = list(_public_pairs(path, ReadReport(skip_bad_rows=True)))
        said = _public_words(path, {author: pair.user_id for author, pair in pairs})
        histories = by_user(pair for _, pair in pairs)
    else:
        beside = next((path.parent / name for name in WORDS if (path.parent / name).exists()), None)
        if beside is None:
            cure = f"put {WORDS[0]} beside it"
            raise DataError("no words of its users lie beside it", source=str(path), cure=cure)
        said = read_words(beside).words
        histories = by_user(pairs_in(jsonl.FORMAT.read(path, ReadReport(skip_bad_rows=True))))
    return {user: _in_time(own, histories.get(user, [])) for user, own in said.items()}


def _in_time(said: UserWords, pairs: Sequence[PreferencePair]) -> UserWords:
    """The same words with the moments of the answers, and without what is no poll answer."""
    firsts: dict[str, datetime | None] = {}
    for pair in pairs:
        firsts.setdefault(pair.prompt[-1].content.strip(), pair.created_at)
    later = max((pair.created_at for pair in pairs if pair.created_at), default=None)
    answers: list[OwnAnswer] = []
    for answer in reversed(said.answers):
        question = _BRANCH.sub("", answer.question).strip()
        later = firsts.get(question, later)
        answers.append(OwnAnswer(question=question, text=answer.text, answered_at=later))
    polls = {name: value for name, value in said.demographics.items() if _AGREEMENT not in name}
    return said.model_copy(update={"answers": tuple(reversed(answers)), "demographics": polls})


def _is_public(path: Path) -> bool:
    return path.is_dir() or path.name.endswith((PREFERENCES, TEXTS, PEOPLE))


def _dialogues(path: Path) -> list[tuple[str, Path]]:
    """Topic, and the beginning of the names of its tables, of every dialogue below a folder.

    Raises:
        DataError: there is none.
    """
    tables = sorted(path.rglob(f"*{PREFERENCES}")) if path.is_dir() else [path]
    if not tables:
        cure = "name a copy of github.com/akonya/polarized-issues-data, or remesh.jsonl.gz"
        raise DataError(f"the folder holds no *{PREFERENCES}", source=str(path), cure=cure)
    found = []
    for table in tables:
        suffix = next(end for end in (PREFERENCES, TEXTS, PEOPLE) if table.name.endswith(end))
        topic = table.name.removesuffix(suffix)
        found.append((topic, table.with_name(topic)))
    return sorted(found)


def _table(path: Path, column: str) -> tuple[list[str], list[SourceRow]]:
    """The columns of a table and its rows below the preamble; of columns of one name a row has the last.

    Args:
        path: The file.
        column: A column by which its header is known.

    Raises:
        DataError: the file cannot be read or has no such header.
    """
    header: list[str] = []
    rows = []
    for line, cells in csv_cells(path):
        texts = [cell.strip() for cell in cells]
        if header and len(texts) == len(header):
            rows.append(SourceRow(str(path), line, dict(zip(header, texts, strict=True))))
        elif column in texts:
            header = texts
    if not header:
        problem = f"has no column {column!r}"
        raise DataError(problem, source=str(path), cure="fetch the public files again")
    return header, rows


def _public_pairs(path: Path, report: ReadReport) -> Iterator[tuple[str, PreferencePair]]:
    """Participant and pair of every choice, users in the order of their ids, each user's in time order.

    Pairs are numbered as they stand in the tables, users within a topic by their first pair.
    """
    number = 0
    for topic, tables in _dialogues(path):
        thoughts = {
            place.row["Thought ID"]: _Thought(
                place.row["Question Text"], place.row["Participant ID"], place.row["Thought Text"]
            )
            for place in _table(tables.with_name(topic + TEXTS), "Thought ID")[1]
        }
        users: dict[str, list[tuple[str, SourceRow, datetime]]] = {}
        for place, moment in _choices(tables.with_name(topic + PREFERENCES), thoughts, report):
            own = users.setdefault(place.row["Participant ID"], [])
            own.append((f"remesh-{number}", place, moment))
            number += 1
        named = {f"remesh_{topic}_{index}": author for index, author in enumerate(users)}
        for user_id, author in sorted(named.items()):
            yield from _pairs_of(user_id, users[author], thoughts, topic, report)


def _pairs_of(
    user_id: str,
    choices: list[tuple[str, SourceRow, datetime]],
    thoughts: Mapping[str, _Thought],
    topic: str,
    report: ReadReport,
) -> Iterator[tuple[str, PreferencePair]]:
    ordered = sorted(choices, key=lambda choice: choice[2])
    for rank, (pair_id, place, moment) in enumerate(ordered):
        vote = place.row["Vote"]
        chosen, rejected = (thoughts[place.row[column]] for column in _SIDES[vote])
        pair = mapped_pair(
            place, report, pair_id=pair_id, user_id=user_id, prompt=chosen.question,
            chosen=chosen.text, rejected=rejected.text, split=split_at(rank + 0.5, len(ordered)),
            created_at=moment,
            metadata={"topic": topic, "shown_first": "chosen" if vote == "Thought A" else "rejected"},
        )  # fmt: skip
        if pair:
            yield place.row["Participant ID"], pair


def _choices(
    path: Path, thoughts: Mapping[str, _Thought], report: ReadReport
) -> Iterator[tuple[SourceRow, datetime]]:
    """The votes that make pairs and when they were cast, in file order; the others go to the report."""
    seen: set[tuple[str, frozenset[str]]] = set()
    for place in report.rows(_table(path, "Vote")[1]):
        try:
            one, other = _shown(place, thoughts)
            moment = _moment(place)
        except DataError as error:
            report.reject(error)
            continue
        voter, texts = place.row["Participant ID"], frozenset((one.text, other.text))
        if place.row["Vote"] not in _SIDES:
            report.leave_out(place, f"neither is preferred: {place.row['Vote'][:40]}")
        elif voter in (one.author, other.author):
            report.leave_out(place, "a text is the participant's own")
        elif not all(texts):
            report.leave_out(place, BLANK)
        elif len(texts) == 1:
            report.leave_out(place, SAME_TEXT)
        elif (voter, texts) in seen:
            report.leave_out(place, "second choice between the same two texts by the same participant")
        else:
            seen.add((voter, texts))
            yield place, moment


def _shown(place: SourceRow, thoughts: Mapping[str, _Thought]) -> tuple[_Thought, _Thought]:
    cure = "fetch the public files again, or --skip-bad-rows"
    if missing := [column for column in _COLUMNS if not place.row.get(column)]:
        raise place.error("is missing or blank", field=missing[0], cure=cure)
    for column in _SIDES["Thought A"]:
        if place.row[column] not in thoughts:
            problem = f"found {short_repr(place.row[column])}, which the table of texts does not have"
            raise place.error(problem, field=column, cure=cure)
    return thoughts[place.row["Thought A ID"]], thoughts[place.row["Thought B ID"]]


def _moment(place: SourceRow) -> datetime:
    try:
        return datetime.strptime(place.row["Timestamp"], _TIME).replace(tzinfo=UTC)
    except ValueError:
        expected, cure = "e.g. June 25, 2024 at 3:47 PM (GMT)", "--skip-bad-rows leaves the row out"
        raise place.unlike(place.row["Timestamp"], expected, field="Timestamp", cure=cure) from None


def _public_words(path: Path, users: Mapping[str, str]) -> dict[str, UserWords]:
    """What the participants who have pairs said; `users` has their user ids."""
    found = []
    for topic, tables in _dialogues(path):
        header, rows = _table(tables.with_name(topic + PEOPLE), "Participant Id")
        written = [name for name, following in pairwise(header) if following == "Sentiment"]
        for place in rows:
            if user_id := users.get(place.row["Participant Id"]):
                found.append(_said(user_id, place.row, written))
    return by_id(sorted((said for said in found if said), key=lambda said: said.user_id))


def _said(user_id: str, row: Row, written: Sequence[str]) -> UserWords:
    """A participant's row: answers to these questions were written, the other columns are polls."""
    given = {
        name: cell for name, cell in row.items() if cell not in ("", _NOTHING) and name not in _NOT_ASKED
    }
    answers = tuple(OwnAnswer(question=name, text=given[name]) for name in written if name in given)
    polls = {name: cell for name, cell in given.items() if name not in written}
    return UserWords(user_id=user_id, answers=answers, demographics=polls)


FORMAT = Format(
    "people's choices between others' written answers on polarised issues, with their own words",
    recognises,
    _read,
    files=("remesh.jsonl.gz", "remesh.jsonl", "polarized-issues-data"),
    words=_words,
)

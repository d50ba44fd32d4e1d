"""What users said beside their choices, from a file: rows of documents, or one user's own text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from synthesizeme.datasets.rows.containers import rows_of
from synthesizeme.datasets.rows.files import MAX_LINE_BYTES, decoded, open_bytes
from synthesizeme.datasets.rows.lines import CSV_SUFFIXES
from synthesizeme.datasets.rows.pairs import EXPECTED, validated
from synthesizeme.datasets.rows.plain import Row
from synthesizeme.datasets.rows.sources import ReadReport, SourceRow
from synthesizeme.errors import DataError
from synthesizeme.feedback import LONGEST_TEXT, UserWords
from synthesizeme.plain_text import short_repr

TEXT_SUFFIXES = (".txt", ".md", ".markdown")
"""Endings of a file that is one user's description of themself; the user is the rest of its name."""
OWN_ANSWERS = "own_answers"
"""Short form of `UserWords.answers` in a file: answers by question, ``{"Why?": "Because."}``."""
FIELDS = (*UserWords.model_fields, OWN_ANSWERS)
"""Fields of a document."""
_CURE = f"a document has user_id and some of {', '.join(FIELDS[1:])}"
_EXPECTED = {
    **EXPECTED,
    "tuple": "a list",
    "model": "an answer with question and text",
    "missing": "an answer with question and text",
    "extra": "nothing but question, text and answered_at in an answer",
    "dict": "an object with named values",
}
"""What should stand in a field, by the first word of pydantic's name for the problem."""


@dataclass(frozen=True)
class CutText:
    """A text of which only the beginning is kept."""

    user_id: str
    """Whose text it is."""
    field: str
    """Where it stands, e.g. ``about``."""
    characters: int
    """How long it was; `LONGEST_TEXT` characters are kept."""


@dataclass(frozen=True)
class WordsFile:
    """What was read from a file of words."""

    path: Path
    """The file."""
    words: dict[str, UserWords]
    """What each user said, by user id, in file order; at least one user."""
    cut: tuple[CutText, ...] = ()
    """Texts that were longer than is kept."""


def read_words(path: str | Path, *, user_id: str | None = None) -> WordsFile:
    """Read what users said beside their choices.

    A ``.txt`` or ``.md`` file is one user's description of themself, the user being its name: ``ada.md`` is
    of user ada. Every other file holds documents, one user each: JSON Lines, a JSON list, CSV or Parquet with
    the fields of `UserWords`; answers may also stand as ``own_answers``, an object of answers by question.

    Args:
        path: The file.
        user_id: Owner of a description, and of documents that name nobody.

    Raises:
        DataError: the file cannot be read, or a document is malformed, says nothing or is of a user who had
            one; names the line and the field.
    """
    path, words, cut = Path(path), dict[str, UserWords](), list[CutText]()
    lines: dict[str, int] = {}
    for place in _documents(path, user_id):
        said, longer = words_of(place)
        if said.user_id in words:
            problem = f"{short_repr(said.user_id)} has words on line {lines[said.user_id]} already"
            raise place.error(problem, field="user_id", cure="put what one user said into one document")
        words[said.user_id], lines[said.user_id] = said, place.line
        cut += longer
    if not words:
        raise DataError("the file holds no words of anybody", source=str(path), cure="check the path")
    return WordsFile(path, words, tuple(cut))


def words_of(place: SourceRow) -> tuple[UserWords, list[CutText]]:
    """The words of a document, and which of its texts are longer than is kept.

    Raises:
        DataError: a field is unknown, missing, blank or of the wrong type, or the document says nothing.
    """
    row = {name: value for name, value in place.row.items() if value is not None}
    if unknown := [name for name in row if name not in FIELDS]:
        problem = f"is not a field of a user's words; expected {', '.join(FIELDS)}"
        raise place.error(problem, field=unknown[0][:80], cure="correct its name or leave it out")
    if OWN_ANSWERS in row:
        row["answers"] = _answers(place, row)
    if isinstance(row.get("demographics"), Mapping):
        row["demographics"] = _named_values(place, row["demographics"])
    if "user_id" not in row:
        raise place.error("names no user; expected user_id", field="user_id", cure=_CURE)
    row.pop(OWN_ANSWERS, None)
    said = validated(place, UserWords, row, _CURE, _EXPECTED)
    if not said:
        raise place.error("says nothing of this user", field="user_id", cure=_CURE)
    lengths = {name: len(text) for name, text in _texts(row) if len(text) > LONGEST_TEXT}
    return said, [CutText(said.user_id, name, length) for name, length in lengths.items()]


def _documents(path: Path, user_id: str | None) -> Iterator[SourceRow]:
    if not path.name.endswith(TEXT_SUFFIXES):
        of_table = path.name.removesuffix(".gz").endswith(CSV_SUFFIXES)
        for place in rows_of(path, ReadReport()):
            row = {name: cell for name, cell in place.row.items() if not (of_table and cell == "")}
            if user_id is not None and row.get("user_id") is None:
                row["user_id"] = user_id
            yield SourceRow(place.source, place.line, row)
        return
    with open_bytes(path) as stream:
        raw = stream.read(MAX_LINE_BYTES + 1)
    if len(raw) > MAX_LINE_BYTES:
        problem = f"the text is larger than {MAX_LINE_BYTES:,} bytes"
        raise DataError(problem, source=str(path), cure=f"{LONGEST_TEXT:,} characters are read; shorten it")
    text = decoded(raw, source=str(path))
    yield SourceRow(str(path), 1, {"user_id": user_id or path.stem, "about": text})


def _answers(place: SourceRow, row: Row) -> list[Row]:
    """Answers by question as a list of answers.

    Raises:
        DataError: both forms are given, or an answer is no text.
    """
    given = row[OWN_ANSWERS]
    if "answers" in row:
        raise place.error("stands beside answers", field=OWN_ANSWERS, cure="give one of the two")
    if not isinstance(given, Mapping) or not all(isinstance(text, str) for text in given.values()):
        raise place.unlike(given, "an object of texts by question", field=OWN_ANSWERS, cure=_CURE)
    return [{"question": question, "text": text} for question, text in given.items()]


def _named_values(place: SourceRow, given: Mapping[str, Any]) -> dict[str, str]:
    """Named values as text; numbers and truth values become text, null is left out.

    Raises:
        DataError: a value is a list or an object.
    """
    for name, value in given.items():
        if isinstance(value, list | dict):
            raise place.unlike(value, "text or a number", field=f"demographics.{name}"[:80], cure=_CURE)
    return {name: str(value) for name, value in given.items() if value is not None}


def _texts(row: Row) -> Iterator[tuple[str, str]]:
    """Every text of a valid document and where it stands."""
    if "about" in row:
        yield "about", row["about"]
    yield from ((f"wishes[{number}]", wish) for number, wish in enumerate(row.get("wishes", ())))
    for number, answer in enumerate(row.get("answers", ())):
        yield f"answers[{number}].text", answer["text"]

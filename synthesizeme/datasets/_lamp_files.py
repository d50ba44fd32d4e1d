"""LaMP's seven tasks, and its files: ``{split}_questions.json``, ``{split}_outputs.json``, candidates."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from synthesizeme.datasets.rows.containers import rows_of
from synthesizeme.datasets.rows.files import open_bytes
from synthesizeme.datasets.rows.lines import parse_json
from synthesizeme.datasets.rows.sources import ReadReport, SourceRow
from synthesizeme.errors import DataError, UnknownNameError
from synthesizeme.plain_text import short_repr
from synthesizeme.types import Frozen

Kind = Literal["reference", "label", "score", "text"]
TAGS = (
    "sci-fi", "based on a book", "comedy", "action", "twist ending", "dystopia", "dark comedy", "classic",
    "psychology", "fantasy", "romance", "thought-provoking", "social commentary", "violence", "true story",
)  # fmt: skip
"""The labels of task 2."""
SCORES = ("1", "2", "3", "4", "5")
"""The labels of task 3."""
REFERENCES = ("[1]", "[2]")
"""The answers of task 1."""
_TWO = re.compile(r"\[1\]:\s*\"(.*?)\"\s*,?\s*(?:and\s+)?\[2\]:\s*\"(.*)\"", re.DOTALL)
_QUOTED = re.compile(r"\"(.*?)\"", re.DOTALL)


@dataclass(frozen=True)
class LampTask:
    """One task.

    References:
        Salemi et al. (2024), LaMP, arXiv 2304.11406, section 3 and its table of tasks.
    """

    number: int
    """1 to 7."""
    about: str
    """What is personalized."""
    kind: Kind
    """What an answer is: which of two references, one of the labels, a score, or free text."""
    fields: tuple[str, ...]
    """What an item of the profile must hold."""
    documents: tuple[str, ...]
    """Fields by which an item is retrieved."""
    answer: str
    """Field that holds what the user made of it."""
    source: str
    """Field that it was made of; empty where an item is the answer alone."""
    marker: str
    """What stands before the query in an input; only its first occurrence counts."""
    request: str
    """How an item's source is asked about; ends with the marker."""
    labels: tuple[str, ...] = ()
    """All answers there are, for the tasks that have a fixed set."""

    @property
    def name(self) -> str:
        """Name in the output files."""
        return f"LaMP_{self.number}"

    def query(self, text: str) -> str:
        """phi_q: the part of an input that says what it is about; all of it where the marker is missing."""
        if self.kind == "reference":
            return " ".join(self.references(text) or (text,))
        _, found, rest = text.partition(self.marker)
        return rest.strip() if found and rest.strip() else text

    def references(self, text: str) -> tuple[str, str] | None:
        """The two references of an input of task 1; None where there are not two."""
        match = _TWO.search(text)
        return (match[1], match[2]) if match else None

    def title_asked(self, text: str) -> str:
        """The paper that an input of task 1 is about; empty where it names none."""
        match = _QUOTED.search(text.partition("[1]:")[0])
        return match[1] if match else ""

    def document(self, item: Mapping[str, str]) -> str:
        """phi_i: the text by which an item is retrieved."""
        return " ".join(item[field] for field in self.documents)


TASKS = {
    task.number: task
    for task in (
        LampTask(
            1, "citation identification", "reference", ("title", "abstract"), ("title", "abstract"), "title",
            "", "", "", REFERENCES,
        ),
        LampTask(
            2, "movie tagging", "label", ("description", "tag"), ("description",), "tag", "description",
            "description:", f"Give this film one of the tags {', '.join(TAGS)}. description:", TAGS,
        ),
        LampTask(
            3, "product rating", "score", ("text", "score"), ("text",), "score", "text",
            "review:", "Give this review the score, from 1 to 5, that its writer gave. review:", SCORES,
        ),
        LampTask(
            4, "news headline generation", "text", ("text", "title"), ("title", "text"), "title", "text",
            "article:", "Write a headline for this article:",
        ),
        LampTask(
            5, "scholarly title generation", "text", ("title", "abstract"), ("title", "abstract"), "title",
            "abstract", "paper:", "Write a title for the abstract of this paper:",
        ),
        LampTask(
            6, "email subject generation", "text", ("text", "title"), ("title", "text"), "title", "text",
            ":", "Write a subject for this email:",
        ),
        LampTask(
            7, "tweet paraphrasing", "text", ("text",), ("text",), "text", "", ":", "Write this as a tweet:",
        ),
    )
}  # fmt: skip
"""By number."""


def lamp_task(name: str | int) -> LampTask:
    """A task by its number, or by a name such as ``lamp/4`` or ``LaMP_4``.

    Raises:
        UnknownNameError: there is no such task.
    """
    match = re.fullmatch(r"(?:lamp(?:-time)?[/_])?([1-7])", str(name).strip().lower())
    if match is None:
        raise UnknownNameError("LaMP task", str(name), [f"lamp/{number}" for number in TASKS])
    return TASKS[int(match[1])]


Separation = Literal["user", "time"]


class LampItem(Frozen):
    """One past item of a user."""

    item_id: str
    """Unique within the profile."""
    fields: dict[str, str]
    """What its task says an item holds."""
    date: str | None = None
    """When it was made, where the file says so; sorts as text."""


class LampQuestion(Frozen):
    """One question about one user, with what the user did before; the gold answer is kept apart."""

    question_id: str
    """Unique within the file."""
    user_id: str
    """Whose question it is; the question's own id where the file names no user."""
    text: str
    """The input x."""
    profile: tuple[LampItem, ...]
    """Past items, oldest first where they carry dates, else in the order of the file.

    A user has one profile: of questions that come at different times, the items that all of them have.
    """


def read_questions(path: Path, task: LampTask) -> tuple[LampQuestion, ...]:
    """The questions of a file.

    Raises:
        DataError: it is no list of ``{"id", "input", "profile"[, "user_id"]}``, two share an id, or an item
            lacks a text that its task needs. An empty profile is allowed.
    """
    found = [_question(place, task) for place in rows_of(path, ReadReport())]
    if repeated := [key for key, n in Counter(it.question_id for it in found).items() if n > 1]:
        raise DataError(
            f"{len(repeated)} questions share an id with another, the first is {repeated[0]!r}",
            source=str(path),
            field="id",
            cure="give every question its own id",
        )
    return tuple(
        it.model_copy(update={"profile": told}) for it, told in zip(found, _common(found), strict=True)
    )


def _common(questions: Sequence[LampQuestion]) -> list[tuple[LampItem, ...]]:
    """The profile of each question, without what another question of the same user could not know yet."""
    known: dict[str, set[str]] = {}
    for it in questions:
        ids = {item.item_id for item in it.profile}
        known[it.user_id] = known.get(it.user_id, ids) & ids
    return [tuple(item for item in it.profile if item.item_id in known[it.user_id]) for it in questions]


def read_golds(path: Path, task: LampTask, questions: Iterable[LampQuestion]) -> dict[str, str]:
    """The gold answer of every question, by its id.

    Raises:
        DataError: the file is of another task, or its ids are not those of the questions.
    """
    found = {}
    for place in _answers(path, task, "golds"):
        given = place.row.get("output")
        if (output := _written(given)) is None:
            expected = "an answer in words or a number"
            raise place.unlike(given, expected, field="output", cure="correct this item of golds")
        found[str(place.row.get("id"))] = output
    check_ids(path, found, [question.question_id for question in questions])
    return found


def _written(value: Any) -> str | None:
    """A text without blanks around it, or a number as text; None for anything else, and for a blank one."""
    text = str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value
    return text.strip() or None if isinstance(text, str) else None


def read_candidates(
    path: Path, task: LampTask, questions: Iterable[LampQuestion]
) -> dict[str, tuple[str, ...]]:
    """The responses that a question is to be answered with, two or more, by its id.

    Raises:
        DataError: as for `read_golds`, or a question has fewer than two different candidates.
    """
    found = {}
    for place in _answers(path, task, "candidates"):
        outputs = place.row.get("outputs")
        texts = outputs if isinstance(outputs, list) else [None]
        distinct = dict.fromkeys(it.strip() if isinstance(it, str) else "" for it in texts)
        if "" in distinct or len(distinct) < 2:
            cure = "correct this item of candidates"
            raise place.unlike(outputs, "a list of two or more different texts", field="outputs", cure=cure)
        found[str(place.row.get("id"))] = tuple(distinct)
    check_ids(path, found, [question.question_id for question in questions])
    return found


def check_ids(path: Path, found: Mapping[str, Any], wanted: Iterable[str]) -> None:
    """Refuse a file whose ids are not those of the questions.

    Raises:
        DataError: says how many are missing or not asked about.
    """
    asked = dict.fromkeys(wanted)
    missing = [key for key in asked if key not in found]
    strange = [key for key in found if key not in asked]
    said = [
        f"{len(keys)} {what}, e.g. {keys[0]!r}"
        for keys, what in ((missing, "questions have no entry"), (strange, "entries belong to no question"))
        if keys
    ]
    if said:
        raise DataError(
            "the ids are not those of the questions: " + "; ".join(said),
            source=str(path),
            field="id",
            cure="take both files from the same split and separation of the same task",
        )


def read_object(path: Path) -> dict[str, Any]:
    """A file that is one JSON object.

    Raises:
        DataError: it is not.
    """
    with open_bytes(path) as stream:
        document = parse_json(stream.read(), source=str(path))
    if not isinstance(document, dict):
        problem = f"holds {type(document).__name__}; expected one JSON object"
        raise DataError(problem, source=str(path), cure="check that it is the right file")
    return document


def _answers(path: Path, task: LampTask, field: str) -> list[SourceRow]:
    document = read_object(path)
    if document.get("task") != task.name:
        raise DataError(
            f"is of task {document.get('task')!r}; expected {task.name!r}",
            source=str(path),
            field="task",
            cure="name the folder of that task, or another benchmark",
        )
    rows = document.get(field)
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        problem = f"found {short_repr(rows)}; expected a list of objects with id"
        raise DataError(problem, source=str(path), field=field, cure="check that it is the right file")
    return [SourceRow(str(path), number, row) for number, row in enumerate(rows, 1)]


def _question(place: SourceRow, task: LampTask) -> LampQuestion:
    row = place.row
    if missing := [field for field in ("id", "input", "profile") if field not in row]:
        problem = f"the field is missing; found {short_repr(list(row))}, expected id, input, profile"
        raise place.error(problem, field=missing[0], cure="check that it is a file of questions")
    if not isinstance(row["input"], str) or not row["input"].strip():
        raise place.unlike(row["input"], "text", field="input", cure="add the text")
    if not isinstance(row["profile"], list):
        expected, cure = "a list of items, which may be empty", "write [] for a user without a past"
        raise place.unlike(row["profile"], expected, field="profile", cure=cure)
    if task.kind == "reference" and task.references(row["input"]) is None:
        problem = 'the input does not end with the two references, [1]: "…" [2]: "…"'
        raise place.error(problem, field="input", cure="check that it is a file of task 1")
    items = [_item(place, number, item, task) for number, item in enumerate(row["profile"])]
    if repeated := [key for key, n in Counter(item.item_id for item in items).items() if n > 1]:
        raise place.error(
            f"two items have the id {repeated[0]!r}", field="profile", cure="give every item its own id"
        )
    if items and all(item.date for item in items):
        items.sort(key=lambda item: item.date or "")
    key = str(row["id"])
    user = str(row["user_id"]) if row.get("user_id") is not None else key
    return LampQuestion(question_id=key, user_id=user, text=row["input"], profile=tuple(items))


def _item(place: SourceRow, number: int, item: Any, task: LampTask) -> LampItem:
    if not isinstance(item, dict):
        expected = f"an object with {', '.join(('id', *task.fields))}"
        raise place.unlike(item, expected, field=f"profile[{number}]", cure="correct the item")
    values = {}
    for field in task.fields:
        text = _written(item.get(field))
        if text is None:
            expected = f"text: an item of {task.name} has {', '.join(task.fields)}"
            cure = "leave the item out, or name the benchmark of the task that the file is of"
            raise place.unlike(item.get(field), expected, field=f"profile[{number}].{field}", cure=cure)
        values[field] = text
    date = item.get("date")
    key = item.get("id", number)
    return LampItem(item_id=str(key), fields=values, date=None if date is None else str(date))

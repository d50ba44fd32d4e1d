"""LaMP's files: ``{split}_questions.json``, ``{split}_outputs.json``, and candidates beside them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from synthesizeme.datasets._lamp_tasks import LampTask
from synthesizeme.datasets.rows.files import open_bytes
from synthesizeme.datasets.rows.json_rows import parse_json
from synthesizeme.datasets.rows.report import ReadReport, SourceRow, short_repr
from synthesizeme.datasets.rows.tables import rows_of
from synthesizeme.errors import DataError
from synthesizeme.types import Frozen

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
    golds = _answers(path, task, "golds")
    found = {}
    for number, row in enumerate(golds, 1):
        output = row.get("output")
        if isinstance(output, int | float) and not isinstance(output, bool):
            output = str(output)
        if not isinstance(output, str) or not output.strip():
            problem = (
                f"item {number} of golds has {short_repr(output)}; expected an answer in words or a number"
            )
            raise DataError(problem, source=str(path), line=number, field="output", cure="correct the item")
        found[str(row.get("id"))] = output.strip()
    check_ids(path, found, [question.question_id for question in questions])
    return found


def read_candidates(
    path: Path, task: LampTask, questions: Iterable[LampQuestion]
) -> dict[str, tuple[str, ...]]:
    """The responses that a question is to be answered with, two or more, by its id.

    Raises:
        DataError: as for `read_golds`, or a question has fewer than two different candidates.
    """
    found = {}
    for number, row in enumerate(_answers(path, task, "candidates"), 1):
        outputs = row.get("outputs")
        if not isinstance(outputs, list) or not all(isinstance(it, str) and it.strip() for it in outputs):
            problem = f"item {number} of candidates has {short_repr(outputs)}; expected a list of texts"
            raise DataError(problem, source=str(path), line=number, field="outputs", cure="correct the item")
        if len(distinct := tuple(dict.fromkeys(it.strip() for it in outputs))) < 2:
            problem = f"item {number} of candidates has {len(distinct)} different texts; expected two or more"
            raise DataError(problem, source=str(path), line=number, field="outputs", cure="add another one")
        found[str(row.get("id"))] = distinct
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
    if missing or strange:
        said = [
            f"{len(keys)} {what}, e.g. {keys[0]!r}"
            for keys, what in (
                (missing, "questions have no entry"),
                (strange, "entries belong to no question"),
            )
            if keys
        ]
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


def _answers(path: Path, task: LampTask, field: str) -> list[dict[str, Any]]:
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
    return rows


def _question(place: SourceRow, task: LampTask) -> LampQuestion:
    row = place.row
    if missing := [field for field in ("id", "input", "profile") if field not in row]:
        problem = f"the field is missing; found {short_repr(list(row))}, expected id, input, profile"
        raise place.error(problem, field=missing[0], cure="check that it is a file of questions")
    if not isinstance(row["input"], str) or not row["input"].strip():
        raise place.error(
            f"found {short_repr(row['input'])}; expected text", field="input", cure="add the text"
        )
    if not isinstance(row["profile"], list):
        problem = f"found {short_repr(row['profile'])}; expected a list of items, which may be empty"
        raise place.error(problem, field="profile", cure="write [] for a user without a past")
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
    return LampQuestion(
        question_id=key, user_id=user, text=row["input"], profile=tuple(items)
    )  # fmt: skip


def _item(place: SourceRow, number: int, item: Any, task: LampTask) -> LampItem:
    if not isinstance(item, dict):
        problem = f"found {short_repr(item)}; expected an object with {', '.join(('id', *task.fields))}"
        raise place.error(problem, field=f"profile[{number}]", cure="correct the item")
    values = {}
    for field in task.fields:
        value = item.get(field)
        if isinstance(value, int | float) and not isinstance(value, bool):
            value = str(value)
        if not isinstance(value, str) or not value.strip():
            raise place.error(
                f"found {short_repr(value)}; expected text: an item of {task.name} has "
                f"{', '.join(task.fields)}",
                field=f"profile[{number}].{field}",
                cure="leave the item out, or name the benchmark of the task that the file is of",
            )
        values[field] = value.strip()
    date = item.get("date")
    key = item.get("id", number)
    return LampItem(item_id=str(key), fields=values, date=None if date is None else str(date))

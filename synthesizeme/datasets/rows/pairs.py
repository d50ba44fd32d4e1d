"""From a row to a `PreferencePair`: strictly for our own format, by mapping for foreign ones.

What is asked about is read by the same rules: a user, a conversation, responses to it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from synthesizeme.datasets.rows.plain import Row, plain
from synthesizeme.datasets.rows.sources import SPLIT_NAMES, ReadReport, SourceRow, Unjudgeable
from synthesizeme.datasets.rows.turns import is_plain, message_of, name_text
from synthesizeme.errors import DataError
from synthesizeme.plain_text import short_repr
from synthesizeme.types import Comparison, Message, PreferencePair

Value = TypeVar("Value", bound=BaseModel)

FIELDS = tuple(PreferencePair.model_fields)
"""Fields of a row in our own format."""
REQUIRED = ("user_id", "prompt", "chosen", "rejected")
"""Fields it cannot do without."""
BLANK, SAME_TEXT = "a response is blank", "both responses are the same text"
"""Why responses say nothing of a preference."""

CURE = "correct the row, or leave such rows out with --skip-bad-rows (skip_bad_rows=True)"
NOBODY = (
    "name the column of the users with --columns user_id=NAME, or their one owner with "
    "`synthesizeme data convert IN --out OUT --user ID`; in Python with columns= or user_id= of read_pairs"
)
EXPECTED = {
    "string": "text that is not empty",
    "tuple": "a list of messages",
    "model": "a message with role and content",
    "missing": "a message with role and content",
    "extra": "nothing but role and content in a message",
    "dict": "an object",
    "datetime": "a time such as 2024-05-01T10:00:00Z",
}
"""What should stand in a field, by the first word of pydantic's name for the problem."""


def strict_pair(place: SourceRow, report: ReadReport | None = None) -> PreferencePair:
    """The pair of a row in our own format; a row without `pair_id` gets one derived from its content.

    Args:
        place: The row.
        report: Has the owner of rows whose user is null, if there is one.

    Raises:
        DataError: anything is wrong with the row, or it is in another format.
    """
    row = place.row
    if missing := [field for field in REQUIRED if field not in row]:
        problem = f"the field is missing; found {short_repr(list(row))}, expected {', '.join(REQUIRED)}"
        raise place.error(problem, field=missing[0], cure=NOBODY if missing == ["user_id"] else "add it")
    for field in ("prompt", "chosen", "rejected"):
        if isinstance(row[field], str):
            problem = f"found the bare string {short_repr(row[field])}; expected a list of messages"
            raise place.error(problem, field=field, cure="write it as a message")
    if unknown := [field for field in row if field not in FIELDS]:
        problem = f"is not a field of a pair; expected {', '.join(FIELDS)}"
        raise place.error(problem, field=unknown[0][:80], cure="put it into metadata")
    fields = _written_out(place)
    nobody = not (fields["user_id"] or "").strip()
    if report is not None and nobody and report.user_id:
        fields["user_id"] = report.user_id
        report.own(place)
    try:
        pair_id = fields.get("pair_id") or derived_id(fields)
        return validated(place, PreferencePair, {**fields, "pair_id": pair_id})
    except DataError as error:
        cure = NOBODY if nobody and error.field == "user_id" else error.cure
        raise place.error(error.problem, field=error.field, cure=cure) from None


def _written_out(place: SourceRow) -> Row:
    """The fields that a row has, names as text, and parts and tools of its messages as text."""
    row = {name: value for name, value in place.row.items() if value is not None or name in REQUIRED}
    for name in ("user_id", "pair_id"):
        row[name] = _name(place, name, row.get(name))
    for name in ("prompt", "chosen", "rejected"):
        if isinstance(row[name], list) and not all(map(is_plain, row[name])):
            row[name] = messages(place, name, row[name], role="")
    return row


def has_no_id(row: Row) -> bool:
    """Whether the pair's id has to be derived."""
    return row.get("pair_id") is None


def derived_id(row: Mapping[str, Any]) -> str:
    """An id from the user, prompt and both responses; the same content gives the same id."""
    content = json.dumps([row.get(field) for field in REQUIRED], sort_keys=True, default=str)
    return f"row-{hashlib.sha256(content.encode()).hexdigest()[:16]}"


def mapped_pair(place: SourceRow, report: ReadReport, **fields: Any) -> PreferencePair | None:
    """The pair of a foreign row, or None when it was left out or rejected; the report has the reason.

    Args:
        place: Where the row stands.
        report: Keeps the tally.
        **fields: Fields of `PreferencePair`; `prompt`, `chosen` and `rejected` may be a string, a message
            or a list of messages, roles and splits may have foreign names.

    Raises:
        DataError: a field is missing or of the wrong type, and bad rows are not skipped.
    """
    try:
        named = named_user(place, fields.get("user_id"))
        fields = addressed(place, report, "pair_id", fields)
        for field in ("chosen", "rejected"):
            fields[field] = messages(place, field, fields[field], role="assistant")
        if reason := unasked(fields["prompt"]) or _no_pair(fields):
            report.leave_out(place, reason)
            return None
        if derived := has_no_id(fields):
            fields["pair_id"] = derived_id(fields)
        pair = validated(place, PreferencePair, fields)
    except DataError as error:
        report.refuse(place, error)
        return None
    if not named:
        report.own(place)
    return report.admit(place, pair, id_is_derived=derived)


def addressed(place: SourceRow, report: ReadReport, id_field: str, fields: Mapping[str, Any]) -> Row:
    """Foreign fields with whose they are, the prompt, the split and the reason in our form.

    Args:
        place: Where the row stands.
        report: Has the owner of rows that name nobody.
        id_field: Field of the id.
        fields: The fields.

    Raises:
        DataError: no user is named, or the prompt is neither text nor messages.
    """
    row = dict(fields)
    row["user_id"] = named_user(place, row.get("user_id")) or report.user_id
    if row["user_id"] is None:
        raise place.error("no user is named", field="user_id", cure=NOBODY)
    row[id_field] = _name(place, id_field, row.get(id_field))
    row["prompt"] = messages(place, "prompt", row["prompt"], role="user")
    split, reason = row.get("split"), row.get("reason")
    row["split"] = SPLIT_NAMES.get(split.lower(), split) if isinstance(split, str) else split
    row["reason"] = None if isinstance(reason, str) and not reason.strip() else reason
    return row


def named_user(place: SourceRow, value: Any) -> str | None:
    """The id that a row gives its user; None where it is null, blank or NaN, and names nobody.

    Raises:
        DataError: it is a truth value, a number with a fraction, or no text.
    """
    name = _name(place, "user_id", value)
    return name if name and name.strip() else None


def _name(place: SourceRow, field: str, value: Any) -> str | None:
    try:
        return name_text(value)
    except ValueError as error:
        raise place.error(str(error), field=field, cure=CURE) from None


def messages(place: SourceRow, field: str, value: Any, *, role: str) -> list[Row]:
    """A foreign value as messages with our role names; a bare string gets `role`.

    Raises:
        Unjudgeable: it holds an image or something else that is no text.
        DataError: it is neither a string nor made of messages with text.
    """
    turns = value if isinstance(value, list) else [value]
    try:
        return [message_of(turn, role) for turn in turns]
    except Unjudgeable as error:
        cure = "only text can be judged; leave such rows out"
        raise Unjudgeable(
            error.problem, source=place.source, line=place.line, field=field, cure=cure
        ) from None
    except ValueError as error:
        raise place.error(str(error), field=field, cure=CURE) from None


def unasked(prompt: Sequence[Row]) -> str | None:
    """Why well-formed messages are no prompt, if they are none."""
    if not prompt or prompt[-1]["role"] != "user":
        return "the conversation does not end with a user turn"
    if not all(turn["content"].strip() for turn in prompt):
        return "a turn of the conversation is blank"
    return None


def _no_pair(fields: Mapping[str, Sequence[Row]]) -> str | None:
    """Why well-formed responses make no pair, if they make none."""
    texts = [turn["content"].strip() for field in ("chosen", "rejected") for turn in fields[field]]
    if not all(texts):
        return BLANK
    return SAME_TEXT if len(texts) == 2 and texts[0] == texts[1] else None


def validated(
    place: SourceRow,
    model: type[Value],
    fields: Mapping[str, Any],
    cure: str = CURE,
    expected: Mapping[str, str] = EXPECTED,
) -> Value:
    """The fields of a row as a typed value.

    Args:
        place: Where the row stands.
        model: Type of the value.
        fields: Its fields.
        cure: What the reader can do about a problem.
        expected: What should stand in a field, by the first word of pydantic's name for the problem.

    Raises:
        DataError: names the place, the field, what was found and what was expected.
    """
    try:
        return model.model_validate(fields)
    except ValidationError as error:
        found = error.errors(include_url=False)
    # Where a message is wrong, pydantic also calls the list without it too short: that is no second problem.
    problems = [problem for problem in found if problem["type"] != "too_short" or not problem["input"]]
    field, problem = _in_words(problems[0], expected, model.model_fields)
    more = f" (and {len(problems) - 1} more in this row)" if len(problems) > 1 else ""
    raise place.error(problem + more, field=field, cure=cure)


def _in_words(
    problem: ErrorDetails, expected: Mapping[str, str], fields: Collection[str]
) -> tuple[str | None, str]:
    """Field and sentence of a pydantic problem; checks of a whole value begin with the field."""
    kind, found = problem["type"], problem["input"]
    if kind == "value_error":
        text = problem["msg"].removeprefix("Value error, ").partition(". ")[0]
    elif kind == "too_short":
        text = "is empty; expected at least one message"
    elif kind == "too_long":
        text = f"found {len(found)} messages; expected one"
    else:
        told = expected.get(kind.partition("_")[0], "another value")
        wanted = problem["ctx"]["expected"] if kind == "literal_error" else told
        text = f"found {short_repr(found)}; expected {wanted}"
    location = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in problem["loc"])
    first_word = text.split(" ", 1)[0]
    return location.lstrip(".")[:80] or (first_word if first_word in fields else None), text


_ASK = "give text that is not blank, or messages with role and content, of which the last is the user's"

_NAMED = "name the user of the row, as text or a whole number"


def read_prompt(place: SourceRow) -> tuple[Message, ...]:
    """The conversation of a row, ending with a user turn; bare text is a user turn.

    Raises:
        DataError: it is missing, blank, not made of messages, or ends with another turn.
    """
    value = place.row.get("prompt")
    if value is None:
        raise place.error("is missing", field="prompt")
    try:
        turns = [Message(**turn) for turn in messages(place, "prompt", value, role="user")]
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        raise place.error(
            f"a message is wrong: {problem['loc'][-1]}: {problem['msg']}", field="prompt"
        ) from None
    if not turns or turns[-1].role != "user":
        raise place.error("does not end with a user turn", field="prompt")
    return tuple(turns)


def read_response(place: SourceRow, field: str = "response", *, blank: bool = True) -> str:
    """The text of a response, or of its one message.

    Args:
        place: The row.
        field: Where the response stands.
        blank: Whether it may say nothing, as a policy's may.

    Raises:
        DataError: it is missing, not text, more than one message, or blank where that is not allowed.
    """
    text = response_text(place, field, place.row.get(field))
    if not blank and not text.strip():
        raise place.error("is blank; expected text", field=field)
    return text


def response_text(place: SourceRow, field: str, value: Any, cure: str | None = None) -> str:
    """The text of a response that is text or one message.

    Raises:
        DataError: it is missing, not text, or more than one message.
    """
    if value is None:
        raise place.error("is missing", field=field, cure=cure)
    turns = messages(place, field, value, role="assistant")
    if len(turns) != 1:
        raise place.error(f"found {len(turns)} messages; expected one", field=field, cure=cure)
    return str(turns[0]["content"])


def read_user(place: SourceRow) -> str:
    """The id of a row's user by the rule of `name_text`: a whole number is its digits, also as 3.0.

    Raises:
        DataError: it is missing, blank, or neither text nor a whole number.
    """
    value = place.row.get("user_id")
    try:
        name = name_text(value)
    except ValueError:
        name = None
    if name is None or not name.strip():
        raise place.error(
            f"found {short_repr(value)}, which names no user; expected text that is not blank, or a whole "
            "number",
            field="user_id",
            cure=_NAMED,
        )
    return name


def asked_user(value: Any) -> str:
    """`read_user` of a user who is named in Python.

    Raises:
        DataError: it is blank, or neither text nor a whole number.
    """
    try:
        return read_user(SourceRow("", 1, {"user_id": plain(value)}))
    except DataError as error:
        raise DataError(error.problem, field=error.field, cure="give the id of a user") from None


def asked_comparison(
    user_id: str, prompt: Any, first: Any, second: Any, *, source: str | None = None
) -> Comparison:
    """Two responses to a prompt as a comparison that a user is asked about.

    Args:
        user_id: Who is asked.
        prompt: Text of the user, or messages of which the last is the user's.
        first: Text, or one message.
        second: Likewise.
        source: Where it stands, for errors.

    Raises:
        DataError: one of the three is missing, blank or not made of text.
    """
    row = {name: plain(it) for name, it in (("prompt", prompt), ("first", first), ("second", second))}
    place = SourceRow(source or "", 1, row)
    try:
        asked = read_prompt(place)
        texts = [read_response(place, field, blank=False) for field in ("first", "second")]
    except DataError as error:
        raise DataError(error.problem, source=source, field=error.field, cure=_ASK) from None
    return Comparison(pair_id="asked", user_id=user_id, prompt=asked, first=texts[0], second=texts[1])

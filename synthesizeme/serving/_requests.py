"""Bodies of requests: read up to a limit, checked, made into questions; what is wrong becomes a 4xx."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_to_bytes

import orjson
from starlette.requests import Request
from starlette.responses import Response

from synthesizeme.datasets.rows import SourceRow, read_prompt, read_response, read_user
from synthesizeme.errors import DataError
from synthesizeme.feedback import UserWords
from synthesizeme.plain_text import short_repr
from synthesizeme.serving.protocol import Question
from synthesizeme.serving.rows import PESSIMISM, read_question, read_words
from synthesizeme.types import Comparison

MAX_DEPTH = 32
"""Deepest nesting of lists and objects in a body."""
ROWS = "rows"
_DIGITS = 18
"""Longest declared size that is read as a number."""
_QUESTION = frozenset({"user_id", "prompt", "response", PESSIMISM})
_COMPARISON = frozenset({"user_id", "prompt", "first", "second"})


@dataclass(frozen=True)
class Limits:
    """Sizes above which a request is refused."""

    body: int = 4 * 2**20
    """Bytes of a body."""
    rows: int = 256
    """Rows, or pairs, of one request."""
    text: int = 65_536
    """Characters of one prompt, all turns together, or of one response."""
    user_id: int = 256
    """Characters of a user's id."""
    seconds: float = 10.0
    """Longest a body may take to come."""


class Refused(Exception):
    """A request that is answered with an error."""

    def __init__(self, status: int, reason: str, headers: dict[str, str] | None = None, **more: Any) -> None:
        super().__init__(reason)
        self.status, self.headers = status, headers
        self.body = {"error": reason, **more}


async def read_json(request: Request, limits: Limits) -> dict[str, Any]:
    """The JSON object of a body.

    Raises:
        Refused: it is too large (413) or slow (408), not declared as JSON (415), not JSON (400) or no
            object (422).
    """
    headers = dict(request.scope["headers"])
    kind = headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
    if kind != b"application/json" and not kind.endswith(b"+json"):
        raise Refused(415, "the body is not declared as JSON; expected Content-Type: application/json")
    try:
        async with asyncio.timeout(limits.seconds):
            raw = await _body(request, headers.get(b"content-length", b"0"), limits.body)
    except TimeoutError:
        raise Refused(
            408, f"the body did not come within {limits.seconds:g} s", {"Connection": "close"}
        ) from None
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise Refused(400, f"the body is not JSON: {error}") from None
    if raw.count(b"[") + raw.count(b"{") > MAX_DEPTH and _deeper(value, MAX_DEPTH):
        raise Refused(422, f"lists and objects are nested more than {MAX_DEPTH} deep")
    if not isinstance(value, dict):
        raise Refused(422, "the body is no JSON object")
    return value


def questions(body: dict[str, Any], limits: Limits) -> tuple[list[Question], bool]:
    """The rows whose reward is asked for, and whether there are several: ``rows``, or one row by itself.

    Raises:
        Refused: a row is wrong or too large (422).
    """
    rows, several = _rows(body, _QUESTION, limits)
    found = []
    for place in rows:
        question = _read(read_question, place)
        _check(limits, place, question.user_id, question.prompt, response=question.response)
        found.append(question)
    return found, several


def comparisons(body: dict[str, Any], limits: Limits) -> tuple[list[Comparison], bool]:
    """The rows whose margin is asked for; see `questions`.

    Raises:
        Refused: a row is wrong or too large (422).
    """
    rows, several = _rows(body, _COMPARISON, limits)
    found = []
    for place in rows:
        comparison = _read(_comparison, place)
        _check(limits, place, comparison.user_id, comparison.prompt,
               first=comparison.first, second=comparison.second)  # fmt: skip
        found.append(comparison)
    return found, several


def list_of(body: dict[str, Any], field: str, limits: Limits) -> list[Any]:
    """A field that is a list of at most so many things.

    Raises:
        Refused: it is missing, no list, empty or too long (422).
    """
    value = body.get(field)
    if not isinstance(value, list) or not value:
        raise Refused(422, f"found {short_repr(value)}; expected a list that is not empty", field=field)
    if len(value) > limits.rows:
        raise Refused(422, f"found {len(value):,}; expected at most {limits.rows:,}", field=field)
    return value


def words_in(value: Any, user_id: str, limits: Limits) -> tuple[UserWords, dict[str, Any]]:
    """What a user said, and for the answer which texts are longer than is kept, if any are.

    Raises:
        Refused: it is wrong, too long or too much (422).
    """
    try:
        said, cut = read_words(value, user_id, SourceRow("words", 1, {}))
    except DataError as error:
        raise in_words(error) from None
    for it in cut:
        if it.characters > limits.text:
            raise Refused(422, f"has {it.characters:,} characters; expected at most {limits.text:,}",
                          field=it.field, at="words 1")  # fmt: skip
    for field in ("answers", "wishes", "demographics"):
        if len(getattr(said, field)) > limits.rows:
            raise Refused(422, f"found more than {limits.rows:,}", field=field, at="words 1")
    names = [text for pair in said.demographics.items() for text in pair]
    if any(len(text) > limits.text for text in (*names, *(answer.question for answer in said.answers))):
        raise Refused(
            422, f"a question, name or value has more than {limits.text:,} characters", at="words 1"
        )
    shown = [{"field": it.field, "characters": it.characters} for it in cut]
    return said, {"cut": shown} if shown else {}


def user_of(request: Request, limits: Limits, *, after: tuple[str, ...] = ()) -> str:
    """The id in a path ``/v1/users/ID``; a slash in an id is written %2F.

    Args:
        request: The request.
        limits: Limits.
        after: What follows the id in the path.

    Raises:
        Refused: there is no such route (404), or the id is blank, too long or holds a NUL
            character (422).
    """
    raw: bytes = request.scope.get("raw_path") or request.scope["path"].encode()
    parts = raw.partition(b"?")[0].split(b"/")[3:]
    try:
        segments = [unquote_to_bytes(part).decode() for part in parts]
    except UnicodeDecodeError:
        raise Refused(404, "the path is not UTF-8") from None
    if len(segments) != 1 + len(after) or tuple(segments[1:]) != after or not segments[0]:
        raise Refused(404, "there is nothing here; write a slash in a user's id as %2F")
    if not segments[0].strip():
        raise Refused(422, "the user's id is blank")
    if len(segments[0]) > limits.user_id:
        raise Refused(422, f"the user's id is longer than {limits.user_id} characters")
    if "\0" in segments[0]:
        raise Refused(422, "the user's id holds a NUL character")
    return segments[0]


def in_words(error: DataError) -> Refused:
    """What is wrong with a row, as an answer."""
    where = f"{error.source} {error.line}" if error.line is not None else error.source
    cure = f" ({error.cure})" if error.cure and "--" not in error.cure else ""
    named = {"field": error.field, "at": where}
    more: dict[str, Any] = {name: value for name, value in named.items() if value}
    return Refused(422, f"{error.problem}{cure}", **more)


def answer(body: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """A JSON response."""
    return Response(orjson.dumps(body), status, headers, "application/json")


async def _body(request: Request, declared: bytes, most: int) -> bytes:
    """The bytes of a body; what it says of its size is not believed, only refused if it is too much."""
    if not declared.isdigit() or len(declared) > _DIGITS or int(declared) > most:
        raise _too_large(most)
    parts, size, more = [], 0, True
    while more:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise Refused(400, "the body ended early")
        parts.append(part := message.get("body", b""))
        size += len(part)
        if size > most:
            raise _too_large(most)
        more = message.get("more_body", False)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _too_large(most: int) -> Refused:
    return Refused(413, f"the body is larger than {most:,} bytes; send fewer rows at a time")


def _rows(body: dict[str, Any], fields: frozenset[str], limits: Limits) -> tuple[list[SourceRow], bool]:
    several = ROWS in body
    rows = list_of(body, ROWS, limits) if several else [body]
    if several and len(body) > 1:
        raise Refused(422, f"found fields beside rows; expected rows alone, or {', '.join(sorted(fields))}")
    for number, row in enumerate(rows, start=1):
        if not isinstance(row, dict):
            raise Refused(422, f"found {short_repr(row)}; expected an object", at=f"row {number}")
        if not row.keys() <= fields:
            unknown = min(row.keys() - fields)
            raise Refused(
                422, f"expected only {', '.join(sorted(fields))}", field=unknown[:80], at=f"row {number}"
            )
    return [SourceRow("row", number, row) for number, row in enumerate(rows, start=1)], several


def _read(read: Any, place: SourceRow) -> Any:
    try:
        return read(place)
    except DataError as error:
        raise in_words(error) from None


def _comparison(place: SourceRow) -> Comparison:
    return Comparison(
        pair_id=str(place.line),
        user_id=read_user(place),
        prompt=read_prompt(place),
        first=read_response(place, "first"),
        second=read_response(place, "second"),
    )


def _check(limits: Limits, place: SourceRow, user_id: str, prompt: Any, **responses: str) -> None:
    sizes = {"prompt": sum(len(turn.content) for turn in prompt)}
    sizes |= {name: len(text) for name, text in responses.items()}
    for field, size in sizes.items():
        if size > limits.text:
            raise Refused(422, f"has {size:,} characters; expected at most {limits.text:,}", field=field,
                          at=f"row {place.line}")  # fmt: skip
    if len(user_id) > limits.user_id:
        raise Refused(422, f"has {len(user_id):,} characters; expected at most {limits.user_id}",
                      field="user_id", at=f"row {place.line}")  # fmt: skip


def _deeper(value: Any, most: int) -> bool:
    level = [value]
    for _ in range(most + 1):
        level = [item for item in level if isinstance(item, dict | list)]
        if not level:
            return False
        level = [inner for item in level for inner in (item.values() if isinstance(item, dict) else item)]
    return True

"""Bodies of requests: read up to a limit, checked, made into questions and changes of a persona.

What is wrong becomes a 4xx.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeVar
from urllib.parse import unquote_to_bytes

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import Request
from starlette.responses import Response

from synthesizeme.datasets.rows import SourceRow, read_prompt, read_response, read_user
from synthesizeme.errors import DataError
from synthesizeme.feedback import UserWords
from synthesizeme.personas import owner
from synthesizeme.personas.synthesis import MAX_SENTENCE_CHARACTERS
from synthesizeme.plain_text import short_repr
from synthesizeme.profile import UserProfile
from synthesizeme.serving.rewards import RewardQuestion
from synthesizeme.serving.rows import PESSIMISM, read_question, read_words
from synthesizeme.types import Comparison

MAX_DEPTH = 32
"""Deepest nesting of lists and objects in a body."""
ROWS = "rows"
_DIGITS = 18
"""Longest declared size that is read as a number."""
_QUESTION = ("user_id", "prompt", "response", PESSIMISM)
_COMPARISON = ("user_id", "prompt", "first", "second")
PAIR_TEXTS = ("prompt", "chosen", "rejected", "reason")
FEEDBACK_TEXTS = ("prompt", "response", "responses", "original", "edited", "reason", "aspect")
"""Fields of rows with texts, which have a limit."""
Read = TypeVar("Read")
Asked = TypeVar("Asked", RewardQuestion, Comparison)


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
    raw = await read_body(request, limits)
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise Refused(400, f"the body is not JSON: {error}") from None
    if raw.count(b"[") + raw.count(b"{") > MAX_DEPTH and _deeper(value, MAX_DEPTH):
        raise Refused(422, f"lists and objects are nested more than {MAX_DEPTH} deep")
    if not isinstance(value, dict):
        raise Refused(422, "the body is no JSON object")
    return value


async def read_body(request: Request, limits: Limits) -> bytes:
    """The bytes of a body.

    Raises:
        Refused: it is too large (413) or slow (408).
    """
    declared = dict(request.scope["headers"]).get(b"content-length", b"0")
    try:
        async with asyncio.timeout(limits.seconds):
            return await _body(request, declared, limits.body)
    except TimeoutError:
        raise Refused(
            408, f"the body did not come within {limits.seconds:g} s", {"Connection": "close"}
        ) from None


def questions(body: dict[str, Any], limits: Limits) -> tuple[list[RewardQuestion], bool]:
    """The rows whose reward is asked for, and whether there are several: ``rows``, or one row by itself.

    Raises:
        Refused: a row is wrong or too large (422).
    """
    return _rows(body, _QUESTION, read_question, limits)


def comparisons(body: dict[str, Any], limits: Limits) -> tuple[list[Comparison], bool]:
    """The rows whose margin is asked for; see `questions`.

    Raises:
        Refused: a row is wrong or too large (422).
    """
    return _rows(body, _COMPARISON, _comparison, limits)


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


def read_rows(
    given: Sequence[Any],
    source: str,
    read: Callable[[SourceRow], Read],
    texts: Sequence[str],
    limits: Limits,
) -> list[Read]:
    """What rows say.

    Args:
        given: The rows, each an object.
        source: What one of them is called in messages.
        read: Reads one.
        texts: Fields of what is read that have a limit.
        limits: Limits.

    Raises:
        Refused: one of them is wrong or too large (422).
    """
    found = []
    for number, row in enumerate(given, start=1):
        place = SourceRow(source, number, row)
        try:
            if not isinstance(row, dict):
                raise place.error(f"found {short_repr(row)}; expected an object")
            found.append(read(place))
            refuse_long(found[-1], place, texts, limits)
        except DataError as error:
            raise in_words(error) from None
    return found


def refuse_long(said: object, place: SourceRow, texts: Sequence[str], limits: Limits) -> None:
    """Refuse a row with a text, the turns of a conversation together, or a user's id that is too long.

    Raises:
        DataError: it has one.
    """
    for field in texts:
        most = limits.user_id if field == "user_id" else limits.text
        if (size := _characters(getattr(said, field, ""))) > most:
            problem = f"has {size:,} characters; expected at most {most:,}"
            raise place.error(problem, field=field, cure="a larger --max-text")


def _characters(text: Any) -> int:
    """Of a text, of all turns of a conversation together, or of the longest of several texts; else 0."""
    if isinstance(text, str):
        return len(text)
    if not isinstance(text, tuple) or not text:
        return 0
    return max(map(len, text)) if isinstance(text[0], str) else sum(len(it.content) for it in text)


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
    """A JSON response; of a model, or of plain values."""
    content = body.model_dump_json() if isinstance(body, BaseModel) else orjson.dumps(body)
    return Response(content, status, headers, "application/json")


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


def _rows(
    body: dict[str, Any], fields: Sequence[str], read: Callable[[SourceRow], Asked], limits: Limits
) -> tuple[list[Asked], bool]:
    several = ROWS in body
    if several and len(body) > 1:
        raise Refused(422, f"found fields beside rows; expected rows alone, or {', '.join(fields)}")

    allowed, texts = frozenset(fields), [name for name in fields if name != PESSIMISM]

    def known(place: SourceRow) -> Asked:
        if unknown := place.row.keys() - allowed:
            raise place.error(f"expected only {', '.join(fields)}", field=min(unknown)[:80])
        return read(place)

    return read_rows(list_of(body, ROWS, limits) if several else [body], "row", known, texts, limits), several


def _comparison(place: SourceRow) -> Comparison:
    return Comparison(
        pair_id=str(place.line),
        user_id=read_user(place),
        prompt=read_prompt(place),
        first=read_response(place, "first"),
        second=read_response(place, "second"),
    )


def _deeper(value: Any, most: int) -> bool:
    level = [value]
    for _ in range(most + 1):
        level = [item for item in level if isinstance(item, dict | list)]
        if not level:
            return False
        level = [inner for item in level for inner in (item.values() if isinstance(item, dict) else item)]
    return True


_Text = Annotated[str, Field(min_length=1, max_length=MAX_SENTENCE_CHARACTERS, pattern=r"\S")]
_Number = Annotated[int, Field(ge=1, description="Number of the sentence, as GET shows it.")]
_Version = Annotated[
    int | None, Field(ge=0, description="That of GET; where it is no longer the latest, nothing is changed.")
]


class _Change(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    change: Literal["add", "edit", "pin", "strike"]
    version: _Version = None

    def made(self, profile: UserProfile) -> UserProfile:
        """The profile after it."""
        correct: Callable[..., UserProfile] = getattr(owner, self.change)
        return correct(profile, **self.model_dump(exclude={"change", "version"}))


class Add(_Change):
    """A sentence of the user's own."""

    change: Literal["add"]
    text: _Text


class Edit(_Change):
    """A sentence in the user's own words."""

    change: Literal["edit"]
    number: _Number
    text: _Text


class Pin(_Change):
    """A sentence that is to stay, or with `off` is let go."""

    change: Literal["pin"]
    number: _Number
    off: bool = False


class Strike(_Change):
    """A sentence that is not to be said again."""

    change: Literal["strike"]
    number: _Number


Change = Add | Edit | Pin | Strike
_KINDS: dict[Any, type[Change]] = {"add": Add, "edit": Edit, "pin": Pin, "strike": Strike}


def read_change(body: dict[str, Any]) -> Change:
    """A change as a request says it.

    Raises:
        DataError: it is none.
    """
    kind = body.get("change")
    if not isinstance(kind, str) or kind not in _KINDS:
        raise DataError(f"found {short_repr(kind)}; expected {', '.join(_KINDS)}", field="change")
    try:
        return _KINDS[kind].model_validate(body)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise DataError(first["msg"], field=".".join(map(str, first["loc"]))[:80] or None) from None

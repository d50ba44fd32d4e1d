"""What goes over the wire, as pydantic models: answers are written by them, and the OpenAPI page shows them.

Bodies are read as every row is, by `synthesizeme.datasets.rows`, which also takes what other programs write;
their models say on the page what is to be sent.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Generic, Literal, NamedTuple, TypeVar

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, create_model, field_validator

from synthesizeme.feedback import Scale
from synthesizeme.serving.access import Scope
from synthesizeme.serving.requests import Change, Limits
from synthesizeme.serving.rewards import Status
from synthesizeme.serving.rows import MOST_PESSIMISM
from synthesizeme.stylometry import FEATURE
from synthesizeme.types import Preference, Role, Strength

ABOUT = (
    'Scalar rewards of a personalized reward model. A body is one row, or {"rows": [...]} of them. Every row '
    "comes back with a status: ok is the user's own reward, population the population's for an unknown user. "
    "unknown_user, too_long and error have no value, or the population's in its place. scored: 1 for ok "
    "only. value is taste + floor, unless it is cautious or normalised; floor is 0 for what answers its "
    "prompt, and far below for what does not."
)
Schema = dict[Any, Any]
_Row = TypeVar("_Row")
_PESSIMISM = "Standard errors to be taken off the reward, in place of the server's own number of them."
_Number = float | None
_Count = Annotated[int, Field(ge=0)]
_Floor = Annotated[float, Field(le=0)] | None


class _Answer(BaseModel):
    model_config = ConfigDict(from_attributes=True, use_attribute_docstrings=True)


class _Scored(_Answer):
    probability: _Number
    standard_error: _Number
    status: Status
    scored: Literal[0, 1]
    judged: bool | None
    stripped: tuple[Literal["template", "thoughts", "tokens"], ...]
    """What the row had beside prompt and answer, which is not scored."""


class ScoreAnswer(_Scored):
    """A reward, made from a `synthesizeme.serving.rewards.Score`."""

    value: _Number
    taste: _Number
    """What is learned from choices, in the model's own unit."""
    floor: _Floor
    """What it costs that a response is no answer to its prompt, in the model's own unit."""


class Floors(_Answer):
    """What it costs either response that it is no answer to its prompt, in the model's own unit."""

    first: _Floor
    second: _Floor


class MarginAnswer(_Scored):
    """A margin, made from a `synthesizeme.serving.rewards.Margin`."""

    margin: _Number = Field(validation_alias="value")
    floors: Floors | None
    preference: Preference | None

    @field_validator("floors", mode="before")
    @classmethod
    def _named(cls, floors: tuple[float, float] | None) -> Mapping[str, float] | None:
        return floors and {"first": floors[0], "second": floors[1]}


class Results(BaseModel, Generic[_Row]):
    """Answers to several rows, in their order."""

    results: list[_Row]


class ErrorAnswer(_Answer):
    """Why there is no other answer."""

    error: str


class RewardsAnswer(_Answer):
    """Rewards in OpenRLHF's protocol."""

    rewards: list[_Number]
    scores: list[_Number]
    extra_logs: dict[str, list[_Number]]


class PairsAdded(_Answer):
    """What became of pairs that were sent."""

    user_id: str
    added: _Count
    pairs: _Count


class FeedbackAdded(_Answer):
    """What became of feedback that was sent."""

    user_id: str
    added: _Count
    feedback: _Count
    not_learned_from: dict[str, _Count]


class WordsPut(_Answer):
    """What became of words that were sent."""

    user_id: str
    pairs: _Count
    read: bool


class PersonaShown(_Answer):
    """What is believed of a user; see `synthesizeme.personas.owner.shown`."""

    user_id: str
    version: _Count
    sentences: list[Any]
    struck: list[str]
    history: list[Any]


class UserExport(_Answer):
    """Everything that is known of a user."""

    user_id: str
    known_to_model: bool
    pairs: list[Any]
    feedback: list[Any]
    words: dict[str, Any] | None
    profiles: list[Any]
    learned: list[Any]


class Dropped(_Answer):
    """What there was of a user."""

    pairs: _Count
    feedback: _Count
    words: bool
    versions: _Count
    state: bool


class UserDeleted(_Answer):
    """What was dropped of a user."""

    user_id: str
    deleted: Dropped


class Alive(_Answer):
    """That the process is alive."""

    status: Literal["ok"]


class Ready(_Answer):
    """That requests are taken."""

    status: Literal["ready"]
    model: str
    users: _Count


_ERRORS = {
    400: "Not JSON", 401: "No token, or an unknown one", 403: "The token's scope is too small",
    404: "Nothing is known of this user, or the path is wrong",
    408: "The body came too slowly", 409: "Not from what is here, or users cannot be changed",
    413: "Too large", 415: "Not declared as JSON", 421: "Called by a name that is not this machine's",
    422: "Wrong; says what and where", 429: "Too many rows wait; Retry-After says how long",
    500: "A fault of the server", 503: "Not ready, or the store of users cannot be reached; try again",
    504: "The deadline passed",
}  # fmt: skip
ANSWERED = (401, 403, 421, 500)
ASKED = (*ANSWERED, 400, 408, 413, 415, 422, 429, 503, 504)
OF_A_USER = (*ANSWERED, 404, 422, 429, 503, 504)
CHANGED = (*OF_A_USER, 400, 408, 409, 413, 415)
CORRECTED = (*CHANGED,)
"""How routes may fail that answer, are asked, are of a user, change a user, correct a persona."""
USER = "/v1/users/{user_id:path}"


class Route(NamedTuple):
    """One address of the server."""

    method: str
    path: str
    scope: Scope | None
    """Least scope that it needs, where there are tokens; None: none."""
    summary: str
    """What it is for."""
    codes: tuple[int, ...]
    """How it may fail."""
    answer: Any
    """Type of what it answers."""


def described(routes: Mapping[str, Route], limits: Limits, *, tokens: bool) -> dict[str, Schema]:
    """What the page says of each route: arguments of FastAPI's routes.

    Args:
        routes: By the names of their endpoints.
        limits: Sizes of the server.
        tokens: Whether it asks for tokens.
    """
    types = bodies(limits)
    return {name: _described(name, route, types, tokens) for name, route in routes.items()}


def _described(name: str, route: Route, types: Mapping[str, Any], tokens: bool) -> Schema:
    extra: Schema = {}
    if name in types:
        extra["requestBody"] = {"required": True, "content": _content(types[name])}
    if route.path.startswith(USER):
        user = {"name": "user_id", "in": "path", "required": True, "schema": _schema(types["user"])}
        extra["parameters"] = [user]
    if route.codes is CHANGED:
        replace = {"type": "boolean", "default": False}
        extra["parameters"].append({"name": "replace", "in": "query", "schema": replace})
    if tokens and route.scope is not None:
        extra["security"] = [{"token": []}]
        extra["description"] = f"Needs a token of scope {route.scope}, or a higher one."
    responses: Schema = {
        code: {"description": _ERRORS[code], "content": _content(ErrorAnswer)} for code in sorted(route.codes)
    }
    kind = "text/plain" if name == "metrics" else "application/json"
    responses[200] = {"description": "The answer", "content": _content(route.answer, kind)}
    return {"summary": route.summary, "openapi_extra": extra, "responses": responses}


def bodies(limits: Limits) -> dict[str, Any]:
    """The body's type of each route that has one, by the name of its endpoint; and that of a ``user``."""
    text = Annotated[str, Field(max_length=limits.text)]
    spoken = Annotated[str, Field(min_length=1, max_length=limits.text, pattern=r"\S")]
    some = Field(min_length=1, max_length=limits.rows)
    most = Field(max_length=limits.rows)
    user_id = Annotated[
        str, Field(min_length=1, max_length=limits.user_id, pattern=r"^[^\u0000]*[^\s\u0000][^\u0000]*$")
    ]
    digits = Annotated[int, Field(ge=-(2**63), le=2**64 - 1)]
    user = Annotated[user_id | digits, Field(description="Text; a whole number is its digits.")]
    turn = _open("Turn", role=(Role, ...), content=(spoken, ...))
    last = "Text, or messages of which the last is the user's."
    prompt: Any = Annotated[spoken | _list(turn, 1), Field(description=last)]

    def response(content: Any) -> Any:
        message = _open("Response", role=(Literal["assistant"], ...), content=(content, ...))
        one = _list(message, 1, 1)
        return Annotated[content | one, Field(description="Text, or one message.")]

    asked: dict[str, Any] = {"user_id": (user, ...), "prompt": (prompt, ...)}
    taken_off = Field(None, ge=0, le=MOST_PESSIMISM, description=_PESSIMISM)
    score = _closed("Score", **asked, response=(response(text), ...), pessimism=(_Number, taken_off))
    compare = _closed("Compare", **asked, first=(response(text), ...), second=(response(text), ...))
    said = _words(spoken, text, most)
    chosen = response(spoken)
    pair = _closed(
        "Pair", prompt=(prompt, ...), chosen=(chosen, ...), rejected=(chosen, ...),
        pair_id=(Annotated[str, Field(min_length=1)], None),
        user_id=(str, Field(None, description="That of the path, if given.")),
        split=(Literal["train", "validation"] | None, None), created_at=(datetime, None),
        metadata=(dict[str, Any], None), reason=(spoken | None, None), strength=(Strength | None, None),
    )  # fmt: skip
    label = user | _open("Label", user_id=(user, ...))
    query = Annotated[str, Field(description="The prompt, and the response after it.")]
    return {
        "user": user_id,
        "score": score | _closed("Scores", rows=(_list(score), some)),
        "compare": compare | _closed("Compares", rows=(_list(compare), some)),
        "get_reward": _open(
            "GetReward", query=(_list(query), some), labels=(_list(label), some),
            prompts=(list[Annotated[str, Field(min_length=1, pattern=r"\S")]], some),
        ),
        "add_pairs": _closed("AddPairs", pairs=(_list(pair), some), about=(spoken | said, None)),
        "add_feedback": _closed("AddFeedback", feedback=(_list(_feedback(prompt, spoken)), some)),
        "put_words": said,
        "correct_persona": Change,
    }  # fmt: skip


def _feedback(prompt: Any, spoken: Any) -> Any:
    """What a user said of responses beside choices; see `synthesizeme.feedback`."""
    shared: dict[str, Any] = {
        "prompt": (prompt, ...), "feedback_id": (Annotated[str, Field(min_length=1)] | None, None),
        "user_id": (str, Field(None, description="That of the path, if given.")),
        "split": (Literal["train", "validation"] | None, None), "created_at": (datetime | None, None),
        "reason": (spoken | None, None), "metadata": (dict[str, Any], None), "instead_of": (list[str], None),
    }  # fmt: skip
    tie = _closed(
        "Tie", **shared, kind=(Literal["tie"], ...), responses=(_list(spoken, 2, 2), ...),
        both=(Literal["good", "bad"] | None, None),
    )  # fmt: skip
    ranking = _closed(
        "Ranking", **shared, kind=(Literal["ranking"], ...), responses=(_list(spoken, 3), ...),
        ranks=(list[Annotated[int, Field(ge=1)]], Field(None, description="From 1, without gaps, in order.")),
    )  # fmt: skip
    rating = _closed(
        "Rating", **shared, kind=(Literal["rating"], ...), response=(spoken, ...), value=(_Number, ...),
        scale=(Scale, ...), aspect=(spoken | None, None),
    )  # fmt: skip
    edit = _closed(
        "Edit", **shared, kind=(Literal["edit"], ...), original=(spoken, ...), edited=(spoken, ...)
    )
    trait = _closed(
        "Trait", **{name: it for name, it in shared.items() if name != "prompt"},
        kind=(Literal["trait"], ...), feature=(Literal[*FEATURE], ...),
        answer=(Literal["yes", "no", "no matter"], ...),
    )  # fmt: skip
    return tie | ranking | rating | edit | trait


def _words(spoken: Any, text: Any, most: Any) -> Any:
    """What a user said beside choices; see `synthesizeme.feedback.UserWords`."""
    question = Annotated[text, Field(min_length=1)]
    answer = _closed(
        "OwnAnswer", question=(question, ...), text=(spoken, ...),
        answered_at=(datetime | float | None, None),
    )  # fmt: skip

    def listed(kind: Any) -> Any:
        return Annotated[kind, most] | None

    return _closed(
        "Words", {"minProperties": 1, "description": "What the user said beside choices."},
        user_id=(str | None, Field(None, description="That of the path, if given.")),
        about=(spoken | None, Field(None, description="How the user describes themself.")),
        wishes=(listed(list[spoken]), None), answers=(listed(_list(answer)), None),
        own_answers=(
            listed(dict[str, spoken]), Field(None, description="Answers by question, in place of `answers`."),
        ),
        demographics=(listed(dict[str, text | float | bool | None]), None),
    )  # fmt: skip


def _list(of: Any, least: int | None = None, most: int | None = None) -> Any:
    """A list of at least and at most so many things of a type, which may be made at run time."""
    listed: Any = list.__class_getitem__(of)
    return Annotated[listed, Field(min_length=least, max_length=most)]


def _open(name: str, **fields: Any) -> Any:
    return create_model(name, **fields)


def _closed(name: str, more: Schema | None = None, **fields: Any) -> Any:
    """A model that forbids other fields; its JSON schema says `more`."""
    return create_model(name, __config__=ConfigDict(extra="forbid", json_schema_extra=more), **fields)


def _content(kind: Any, media: str = "application/json") -> Schema:
    return {media: {"schema": _schema(kind)}}


def _schema(kind: Any) -> Schema:
    """The JSON schema of a type, without references, names of models and defaults."""
    whole = TypeAdapter(kind).json_schema(mode="serialization")
    models = whole.pop("$defs", {})

    def plain(found: Any) -> Any:
        if isinstance(found, list):
            return [plain(it) for it in found]
        if not isinstance(found, dict):
            return found
        if "$ref" in found:
            return plain(models[found["$ref"].rpartition("/")[2]])
        named = {name: it for name, it in found.items() if not (name == "title" and isinstance(it, str))}
        return {name: plain(it) for name, it in named.items() if name != "default"}

    schema: Schema = plain(whole)
    return schema

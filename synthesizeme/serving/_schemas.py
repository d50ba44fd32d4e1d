"""What the OpenAPI page says about each route; the routes themselves read and check their bodies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from synthesizeme.serving._requests import Limits
from synthesizeme.serving.access import Scope
from synthesizeme.serving.rows import MOST_PESSIMISM, PESSIMISM
from synthesizeme.serving.stripping import KINDS

ABOUT = (
    'Scalar rewards of a personalized reward model. A body is one row, or {"rows": [...]} of them. Every row '
    "comes back with a status: ok is the user's own reward, population the population's for an unknown user. "
    "unknown_user, too_long and error have no value, or the population's in its place. scored: 1 for ok "
    "only. value is taste + floor, unless it is cautious or normalised; floor is 0 for what answers its "
    "prompt, and far below for what does not."
)
Schema = dict[str, Any]
_NUMBER: Schema = {"type": ["number", "null"]}
_FLOOR: Schema = {
    "type": ["number", "null"], "maximum": 0,
    "description": "What it costs that a response is no answer to its prompt, in the model's own unit.",
}  # fmt: skip
_TASTE: Schema = {**_NUMBER, "description": "What is learned from choices, in the model's own unit."}
_PESSIMISM: Schema = {
    "type": ["number", "null"], "minimum": 0, "maximum": MOST_PESSIMISM,
    "description": "Standard errors to be taken off the reward, in place of the server's own number of them.",
}  # fmt: skip
_STATUS: Schema = {
    "status": {"enum": ["ok", "population", "unknown_user", "too_long", "error"]},
    "scored": {"enum": [0, 1]},
}
_ERRORS = {
    400: "Not JSON", 401: "No token, or an unknown one", 403: "The token's scope is too small",
    404: "Nothing is known of this user, or the path is wrong",
    408: "The body came too slowly", 409: "The user's earlier pairs are not here, or users cannot be changed",
    413: "Too large", 415: "Not declared as JSON", 421: "Called by a name that is not this machine's",
    422: "Wrong; says what and where", 429: "Too many rows wait; Retry-After says how long",
    500: "A fault of the server", 503: "Not ready, or the store of users cannot be reached; try again",
    504: "The deadline passed",
}  # fmt: skip
_ANSWERED = (401, 403, 421, 500)
_ASKED = (*_ANSWERED, 400, 408, 413, 415, 422, 429, 503, 504)
_OF_A_USER = (*_ANSWERED, 404, 422, 429, 503, 504)


@dataclass(frozen=True)
class Docs:
    """What is said about one route."""

    summary: str
    extra: Schema
    responses: dict[int | str, Schema]


class Pages:
    """What is said about the routes of one server.

    Args:
        limits: Its sizes.
        tokens: Whether it asks for tokens.
    """

    def __init__(self, limits: Limits, *, tokens: bool) -> None:
        self._limits, self._tokens = limits, tokens

    def of(self, route: str, scope: Scope | None) -> Docs:
        """What is said about a route, by the name of its endpoint."""
        summary, codes = _ROUTES[route]
        extra: Schema = {}
        if (body := self._body(route)) is not None:
            extra["requestBody"] = {"required": True, "content": {"application/json": {"schema": body}}}
        if codes[: len(_OF_A_USER)] == _OF_A_USER:
            extra["parameters"] = [{"name": "user_id", "in": "path", "required": True, "schema": self._id()}]
        if route in ("add_pairs", "put_words"):
            replace = {"type": "boolean", "default": False}
            extra["parameters"].append({"name": "replace", "in": "query", "schema": replace})
        if self._tokens and scope is not None:
            extra["security"] = [{"token": []}]
            extra["description"] = f"Needs a token of scope {scope}, or a higher one."
        responses: dict[int | str, Schema] = {
            code: {"description": _ERRORS[code], "content": {"application/json": {"schema": _ERROR}}}
            for code in sorted(codes)
        }
        kind = "text/plain" if route == "metrics" else "application/json"
        schema = _RESULTS.get(route, {"type": "object"})
        responses[200] = {"description": "The answer", "content": {kind: {"schema": schema}}}
        return Docs(summary, extra, responses)

    def _body(self, route: str) -> Schema | None:
        texts = {"user_id": self._user(), "prompt": self._prompt()}
        if route == "score":
            row = _object({**texts, "response": self._text()}, closed=True)
            row["properties"][PESSIMISM] = _PESSIMISM
            return self._or_rows(row)
        if route == "compare":
            both = {"first": self._text(), "second": self._text()}
            return self._or_rows(_object({**texts, **both}, closed=True))
        if route == "add_pairs":
            found = _object({"pairs": self._list(self._pair())}, closed=True)
            found["properties"]["about"] = {"anyOf": [self._words(blank=False), self._said()]}
            return found
        if route == "put_words":
            return self._said()
        if route == "get_reward":
            label = {"anyOf": [self._user(), _object({"user_id": self._user()})]}
            query = {"type": "string", "description": "The prompt, and the response after it."}
            prompt = {"type": "string", "minLength": 1, "pattern": r"\S"}
            return _object(
                {"query": self._list(query), "prompts": self._list(prompt), "labels": self._list(label)}
            )
        return None

    def _list(self, items: Schema) -> Schema:
        return {"type": "array", "items": items, "minItems": 1, "maxItems": self._limits.rows}

    def _or_rows(self, row: Schema) -> Schema:
        return {"anyOf": [row, _object({"rows": self._list(row)}, closed=True)]}

    def _id(self) -> Schema:
        return {
            "type": "string",
            "minLength": 1,
            "maxLength": self._limits.user_id,
            "pattern": r"^[^\u0000]*[^\s\u0000][^\u0000]*$",
        }

    def _user(self) -> Schema:
        digits = {"type": "integer", "minimum": -(2**63), "maximum": 2**64 - 1}
        return {"anyOf": [self._id(), digits], "description": "Text; a whole number is its digits."}

    def _words(self, *, blank: bool) -> Schema:
        found: Schema = {"type": "string", "maxLength": self._limits.text}
        return found if blank else {**found, "minLength": 1, "pattern": r"\S"}

    def _message(self, *roles: str, blank: bool) -> Schema:
        return _object({"role": {"enum": list(roles)}, "content": self._words(blank=blank)})

    def _text(self, *, blank: bool = True) -> Schema:
        message = self._message("assistant", blank=blank)
        one = {"type": "array", "items": message, "minItems": 1, "maxItems": 1}
        return {"anyOf": [self._words(blank=blank), one], "description": "Text, or one message."}

    def _prompt(self) -> Schema:
        message = self._message("user", "system", "assistant", blank=False)
        return {
            "anyOf": [self._words(blank=False), {"type": "array", "items": message, "minItems": 1}],
            "description": "Text, or messages of which the last is the user's.",
        }

    def _said(self) -> Schema:
        text = self._words(blank=False)
        question = {"type": "string", "minLength": 1, "maxLength": self._limits.text}
        answer = _object({"question": question, "text": text}, closed=True)
        moment = {"type": "string", "format": "date-time"}
        answer["properties"]["answered_at"] = {"anyOf": [moment, {"type": ["number", "null"]}]}
        value = {"type": ["string", "number", "boolean", "null"], "maxLength": self._limits.text}
        most = self._limits.rows
        found = _object({}, closed=True)
        found["properties"] = {
            "user_id": {"type": ["string", "null"], "description": "That of the path, if given."},
            "about": {"anyOf": [text, {"type": "null"}], "description": "How the user describes themself."},
            "wishes": {"type": ["array", "null"], "items": text, "maxItems": most},
            "answers": {"type": ["array", "null"], "items": answer, "maxItems": most},
            "own_answers": {
                "type": ["object", "null"], "additionalProperties": text, "maxProperties": most,
                "description": "Answers by question, in place of `answers`.",
            },
            "demographics": {
                "type": ["object", "null"], "additionalProperties": value, "maxProperties": most,
            },
        }  # fmt: skip
        return {**found, "minProperties": 1, "description": "What the user said beside choices."}

    def _pair(self) -> Schema:
        found = _object(
            {
                "prompt": self._prompt(),
                "chosen": self._text(blank=False),
                "rejected": self._text(blank=False),
            },
            closed=True,
        )
        found["properties"] |= {
            "pair_id": {"type": "string", "minLength": 1},
            "user_id": {"type": "string", "description": "That of the path, if given."},
            "split": {"enum": ["train", "validation", None]},
            "created_at": {"type": "string", "format": "date-time"},
            "metadata": {"type": "object"},
        }
        return found


def version() -> str:
    """Version of this project."""
    from synthesizeme.version import __version__

    return __version__


def _object(required: Schema, *, closed: bool = False) -> Schema:
    found = {"type": "object", "required": list(required), "properties": dict(required)}
    return {**found, "additionalProperties": False} if closed else found


def _or_results(result: Schema) -> Schema:
    return {"anyOf": [result, _object({"results": {"type": "array", "items": result}})]}


_ERROR = _object({"error": {"type": "string"}})
_COUNT: Schema = {"type": "integer", "minimum": 0}
_NUMBERS: Schema = {"type": "array", "items": _NUMBER}
_JUDGED: Schema = {"type": ["boolean", "null"]}
_STRIPPED: Schema = {
    "type": "array", "items": {"enum": list(KINDS)},
    "description": "What the row had beside prompt and answer, which is not scored.",
}  # fmt: skip
_SCORE = _object(
    {"value": _NUMBER, "taste": _TASTE, "floor": _FLOOR, "probability": _NUMBER, "standard_error": _NUMBER,
     "judged": _JUDGED, "stripped": _STRIPPED, **_STATUS}
)  # fmt: skip
_FLOORS: Schema = {**_object({"first": _FLOOR, "second": _FLOOR}), "type": ["object", "null"]}
_MARGIN = _object({"margin": _NUMBER, "floors": _FLOORS, "probability": _NUMBER, "standard_error": _NUMBER,
                   "preference": {"enum": ["first", "second", "tie", None]}, "judged": _JUDGED,
                   "stripped": _STRIPPED,
                   **_STATUS})  # fmt: skip
_RESULTS: dict[str, Schema] = {
    "score": _or_results(_SCORE),
    "compare": _or_results(_MARGIN),
    "get_reward": _object({"rewards": _NUMBERS, "scores": _NUMBERS,
                           "extra_logs": {"type": "object", "additionalProperties": _NUMBERS}}),
    "add_pairs": _object({"user_id": {"type": "string"}, "added": _COUNT, "pairs": _COUNT}),
    "put_words": _object({"user_id": {"type": "string"}, "pairs": _COUNT, "read": {"type": "boolean"}}),
    "export_user": _object({"user_id": {"type": "string"}, "known_to_model": {"type": "boolean"},
                            "pairs": {"type": "array"}, "words": {"type": ["object", "null"]},
                            "learned": {"type": "array"}}),
    "delete_user": _object({"user_id": {"type": "string"},
                            "deleted": _object({"pairs": _COUNT, "words": {"type": "boolean"},
                                                "state": {"type": "boolean"}})}),
    "metrics": {"type": "string"},
    "healthz": _object({"status": {"const": "ok"}}),
    "readyz": _object({"status": {"const": "ready"}, "model": {"type": "string"}, "users": _COUNT}),
}  # fmt: skip
_ROUTES: dict[str, tuple[str, tuple[int, ...]]] = {
    "score": ("Rewards of responses", _ASKED),
    "compare": ("Margins of one response over another", _ASKED),
    "get_reward": ("Rewards in OpenRLHF's protocol; labels hold the user ids", _ASKED),
    "add_pairs": ("Add choices of a user, who is refitted at once", (*_OF_A_USER, 400, 408, 409, 413, 415)),
    "put_words": (
        "Take what a user said in place of what was known of it; read says whether the model makes use of it",
        (*_OF_A_USER, 400, 408, 409, 413, 415),
    ),
    "export_user": ("Everything that is known of a user", _OF_A_USER),
    "delete_user": ("Forget a user: pairs, words and state", (*_OF_A_USER, 409)),
    "metrics": ("Counters for Prometheus", _ANSWERED),
    "healthz": ("Whether the process is alive", ()),
    "readyz": ("Whether it takes requests", (503,)),
}

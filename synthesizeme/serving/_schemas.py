"""What the OpenAPI page says about each route; the routes themselves read and check their bodies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

ABOUT = (
    'Scalar rewards of a personalized reward model. A body is one row, or {"rows": [...]} of them. Every row '
    "comes back with a status: ok is the user's own reward, population the population's for an unknown user. "
    "unknown_user, too_long and error have no value, or the population's in its place. scored: 1 for ok only."
)
_NUMBER = {"type": ["number", "null"]}
_ID = {"type": "string", "minLength": 1, "maxLength": 256}
_MESSAGE = {
    "type": "object",
    "required": ["role", "content"],
    "properties": {
        "role": {"enum": ["system", "user", "assistant"]},
        "content": {"type": "string", "minLength": 1},
    },
}
_TEXT = {"anyOf": [{"type": "string"}, {"type": "array", "items": _MESSAGE, "minItems": 1, "maxItems": 1}]}
_PROMPT = {"anyOf": [{"type": "string"}, {"type": "array", "items": _MESSAGE, "minItems": 1}]}
_STATUS = {
    "status": {"enum": ["ok", "population", "unknown_user", "too_long", "error"]},
    "scored": {"enum": [0, 1]},
}
_PAIR = {
    "type": "object",
    "required": ["prompt", "chosen", "rejected"],
    "properties": {
        "prompt": _PROMPT, "chosen": _TEXT, "rejected": _TEXT, "pair_id": {"type": "string"},
        "created_at": {"type": "string"}, "metadata": {"type": "object"},
    },
}  # fmt: skip


@dataclass(frozen=True)
class Docs:
    """What is said about one route."""

    summary: str
    extra: dict[str, Any]
    responses: dict[int | str, dict[str, Any]]


def of(route: str) -> Docs:
    """What is said about a route, by the name of its endpoint."""
    summary, body, result, codes, with_id = _ROUTES[route]
    extra: dict[str, Any] = {}
    if body is not None:
        extra["requestBody"] = {"required": True, "content": {"application/json": {"schema": body}}}
    parameters = [{"name": "user_id", "in": "path", "required": True, "schema": _ID}] if with_id else []
    if route == "add_pairs":
        replace = {"type": "boolean", "default": False}
        parameters.append({"name": "replace", "in": "query", "required": False, "schema": replace})
    if parameters:
        extra["parameters"] = parameters
    responses: dict[int | str, dict[str, Any]] = {
        code: {"description": text, "content": {"application/json": {"schema": _ERROR}}}
        for code, text in _ERRORS.items()
        if code in codes
    }
    kind = "text/plain" if route == "metrics" else "application/json"
    responses[200] = {"description": "The answer", "content": {kind: {"schema": result}}}
    return Docs(summary, extra, responses)


def version() -> str:
    """Version of this project."""
    from synthesizeme import __version__

    return __version__


def _object(required: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "required": list(required), "properties": required}


def _or_rows(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "anyOf": [row, _object({"rows": {"type": "array", "items": row, "minItems": 1, "maxItems": 256}})]
    }


def _or_results(result: dict[str, Any]) -> dict[str, Any]:
    return {"anyOf": [result, _object({"results": {"type": "array", "items": result}})]}


_SCORE = _object({"value": _NUMBER, "probability": _NUMBER, "standard_error": _NUMBER, **_STATUS})
_MARGIN = _object({"margin": _NUMBER, "probability": _NUMBER, "standard_error": _NUMBER,
                   "preference": {"enum": ["first", "second", "tie", None]}, **_STATUS})  # fmt: skip
_LIST = {"type": "array", "minItems": 1, "maxItems": 256}
_QUERIES = _object({
    "query": {**_LIST, "items": {"type": "string"}}, "prompts": {**_LIST, "items": {"type": "string"}},
    "labels": {**_LIST, "items": {"anyOf": [{"type": "string"}, _object({"user_id": _ID})]}},
})  # fmt: skip
_REWARDS = _object({
    "rewards": {"type": "array", "items": _NUMBER}, "scores": {"type": "array", "items": _NUMBER},
    "extra_logs": {"type": "object"},
})  # fmt: skip
_ERROR = _object({"error": {"type": "string"}})
_ERRORS = {
    400: "Not JSON", 401: "No token", 403: "The token's scope is too small", 404: "Not there",
    409: "The user's earlier pairs are not here", 413: "Too large", 415: "Not declared as JSON",
    422: "Wrong; says what and where", 429: "Too many rows wait; Retry-After says how long",
    500: "A fault of the server", 503: "Not ready, or the store cannot be reached", 504: "The deadline passed",
}  # fmt: skip
_POSTED = (400, 401, 403, 413, 415, 422, 429, 500, 503, 504)
_PLAIN = (401, 403, 404, 409, 422, 429, 500, 503, 504)
_ANY: dict[str, Any] = {"type": "object"}
_ROUTES: dict[str, tuple[str, dict[str, Any] | None, dict[str, Any], tuple[int, ...], bool]] = {
    "score": ("Rewards of responses",
              _or_rows(_object({"user_id": _ID, "prompt": _PROMPT, "response": _TEXT})),
              _or_results(_SCORE), _POSTED, False),
    "compare": ("Margins of one response over another",
                _or_rows(_object({"user_id": _ID, "prompt": _PROMPT, "first": _TEXT, "second": _TEXT})),
                _or_results(_MARGIN), _POSTED, False),
    "get_reward": ("Rewards in OpenRLHF's protocol; labels hold the user ids", _QUERIES, _REWARDS, _POSTED,
                   False),
    "add_pairs": ("Add choices of a user, who is refitted at once",
                  _object({"pairs": {**_LIST, "items": _PAIR}}), _ANY, (*_POSTED, 404, 409), True),
    "export_user": ("Everything that is known of a user", None, _ANY, _PLAIN, True),
    "delete_user": ("Forget a user: pairs and state", None, _ANY, _PLAIN, True),
    "metrics": ("Counters for Prometheus", None, {"type": "string"}, (401, 403, 500), False),
    "healthz": ("Whether the process is alive", None, _ANY, (), False),
    "readyz": ("Whether it takes requests", None, _ANY, (503,), False),
}  # fmt: skip

"""The reward server's application: routes, their scopes, one way to answer an error, and its page to read."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from html import escape
from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.types import Receive, Send
from starlette.types import Scope as ASGIScope
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from synthesizeme.errors import DataError, StoreUnavailableError
from synthesizeme.profiles.store import UserStore
from synthesizeme.serving._endpoints import ROUTES, Endpoints
from synthesizeme.serving.access import SCOPES, Access, Scope, called_locally
from synthesizeme.serving.metrics import Metrics, SharedPages
from synthesizeme.serving.queue import BusyError, LateError, ModelQueue
from synthesizeme.serving.requests import Limits, Refused, answer
from synthesizeme.serving.rewards import ScalarRewards
from synthesizeme.serving.schemas import ABOUT, Route, described
from synthesizeme.serving.stores import Changes, MemoryUsers
from synthesizeme.serving.users import Users
from synthesizeme.version import __version__

_NO_ROUTE = {
    404: "there is nothing at this address; /docs and /openapi.json list what there is",
    405: "this address is not asked with this method; /docs and /openapi.json list what there is",
}
_STORE_AWAY = "the store of users cannot be reached; try again"
_STORE_FULL = "the store of users cannot be used, and nothing was changed; try again when that is mended"
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ServerSettings:
    """How much a server takes on, and for how long."""

    limits: Limits = field(default_factory=Limits)
    most_waiting: int = 2048
    """Rows that may wait; a request with more is answered 429."""
    most_rows: int = 256
    """Rows of a batch."""
    deadline: float = 10.0
    """Seconds from a request to its answer, or to 504."""
    local_names_only: bool = False
    """Whether a request must call the server by a name of this machine: without tokens, a web page that gave
    its own name the address 127.0.0.1 could otherwise read what a browser on this machine may read."""
    read_only: bool = False
    """Whether pairs are neither added nor deleted, as where several processes share no store."""


def build_app(
    rewards: ScalarRewards,
    *,
    store: UserStore | None = None,
    access: Access | None = None,
    settings: ServerSettings | None = None,
    changes: Changes | None = None,
    pages: SharedPages | None = None,
) -> FastAPI:
    """The application that serves a model.

    Args:
        rewards: The scalar path; its settings are the server's.
        store: Pairs of users; by default an empty one in memory. Users in it are fitted here.
        access: Tokens; without them everybody may do everything.
        settings: Sizes and times.
        changes: How this process and others that share the store tell one another of changed users.
        pages: Where they keep their counters, so that ``/metrics`` of any of them tells those of all.

    Returns:
        The application; ``app.state.endpoints`` holds its queue.
    """
    settings = settings or ServerSettings()
    users = Users(rewards.model, store or MemoryUsers(), changes=changes)
    users.fit_stored()
    queue = ModelQueue(
        rewards, users=users, most_rows=settings.most_rows, most_waiting=settings.most_waiting,
        deadline=settings.deadline,
    )  # fmt: skip
    metrics = Metrics(queue, pages)
    endpoints = Endpoints(queue, metrics, users, settings.limits, settings.read_only)

    app = Application(title="Personalized rewards", version=__version__, description=ABOUT,
                      lifespan=_life(endpoints, metrics, changes))  # fmt: skip
    app.state.endpoints = endpoints
    docs = described(ROUTES, settings.limits, tokens=access is not None)
    for name, route in ROUTES.items():
        enter = _entrance(route.scope, access, settings.local_names_only)
        app.add(route, _guarded(getattr(endpoints, name), enter, metrics), operation_id=name, **docs[name])
    app.add_exception_handler(HTTPException, _no_route)
    return app


def _life(
    endpoints: Endpoints, metrics: Metrics, changes: Changes | None
) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    """What an application does from its first request to its last answer."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        keeping = asyncio.create_task(metrics.keep())
        yield
        endpoints.closing = True
        await endpoints.queue.close()
        keeping.cancel()
        await asyncio.wait([keeping])
        if changes is not None:
            changes.close()

    return lifespan


def _guarded(endpoint: Endpoint, enter: Callable[[Request], None], metrics: Metrics) -> Endpoint:
    """The endpoint behind its entrance, its errors as answers, every answer counted."""
    route = endpoint.__name__

    async def handle(request: Request) -> Response:
        started = time.perf_counter()
        try:
            enter(request)
            response = await endpoint(request)
        except Refused as error:
            response = answer(error.body, error.status, error.headers)
        except BusyError as error:
            response = answer({"error": str(error)}, 429, {"Retry-After": str(error.seconds)})
        except LateError:
            response = answer(
                {"error": "the deadline passed before the answer; send fewer rows, or later"}, 504
            )
        except StoreUnavailableError:
            _log.warning("%s: the store of users cannot be reached", route)
            response = answer({"error": _STORE_AWAY}, 503, {"Retry-After": "1"})
        except DataError as error:  # what is wrong with a request is `Refused`
            _log.error("%s: the store of users cannot be used: %s", route, error)
            response = answer({"error": _STORE_FULL}, 503, {"Retry-After": "10"})
        except Exception as error:
            _log.error("%s failed: %s", route, type(error).__name__)
            _log.debug("%s failed", route, exc_info=error)
            response = answer({"error": f"a fault of the server: {type(error).__name__}"}, 500)
        metrics.answered(route, response.status_code, time.perf_counter() - started)
        return response

    return handle


def _entrance(
    scope: Scope | None, access: Access | None, local_names_only: bool
) -> Callable[[Request], None]:
    """What raises `Refused` for a request that may not come in."""

    def enter(request: Request) -> None:
        if scope is None:
            return
        if access is None:
            if local_names_only and not called_locally(request.headers.get("host", "")):
                problem = "this server answers to names of its own machine; start it with --token-file"
                raise Refused(421, problem)
            return
        level, needed = access.level(request.headers.get("authorization")), SCOPES.index(scope)
        if level < 0:
            bearer = {"WWW-Authenticate": "Bearer"}
            raise Refused(401, "a token is needed: Authorization: Bearer TOKEN", bearer)
        if level < needed:
            raise Refused(403, f"the token's scope is {SCOPES[level]}; this needs {SCOPES[needed]}")

    return enter


async def _no_route(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    reason = _NO_ROUTE.get(error.status_code, str(error.detail))
    return answer({"error": reason}, error.status_code, dict(error.headers or {}))


Endpoint = Callable[[Request], Awaitable[Response]]


class LeanRoute(APIRoute):
    """A route whose endpoint reads the request and writes the response itself; a user's id may hold lines."""

    def __init__(self, *given: Any, **settings: Any) -> None:
        super().__init__(*given, **settings)
        self.path_regex = re.compile(self.path_regex.pattern, re.DOTALL)

    def get_route_handler(self) -> Callable[[Request], Any]:
        """The endpoint."""
        endpoint: Callable[[Request], Any] = self.endpoint
        return endpoint


class Application(FastAPI):
    """FastAPI with endpoints that raise nothing, so that those in `direct` need no layer around them."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(docs_url=None, redoc_url=None, **settings)
        self.add_route("/docs", self._read, include_in_schema=False)
        self.router.route_class = LeanRoute
        self.direct: dict[tuple[str, str], Endpoint] = {}
        """Endpoints by method and whole path; FastAPI finds all others, and says what all of them are."""

    def add(self, route: Route, endpoint: Endpoint, **docs: Any) -> None:
        """Answer a route with an endpoint, of which the page says `docs`."""
        if "{" not in route.path:
            self.direct[route.method, route.path] = endpoint
        self.add_api_route(route.path, endpoint, methods=[route.method], response_model=None, **docs)

    def openapi(self) -> dict[str, Any]:
        """The OpenAPI document, with the kind of token that routes ask for."""
        document = super().openapi()
        token = {"type": "http", "scheme": "bearer"}
        document.setdefault("components", {})["securitySchemes"] = {"token": token}
        return document

    async def _read(self, request: Request) -> Response:
        return HTMLResponse(page(self.openapi(), str(request.base_url)))

    async def __call__(self, scope: ASGIScope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "http":
            endpoint = self.direct.get((scope["method"], scope["path"]))
            if endpoint is not None:
                response = await endpoint(Request(scope, receive))
                await response(scope, receive, send)
                return
        await super().__call__(scope, receive, send)


_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:50rem;margin:2rem auto;padding:0 1rem;color:#222}"
    "h2{font:600 1.1rem ui-monospace,monospace;margin-top:2.5rem;border-top:1px solid #ccc;padding-top:1rem}"
    "pre{background:#f4f4f4;padding:.8rem;overflow-x:auto;font-size:.85rem}"
    "td{padding:.1rem 1rem .1rem 0;vertical-align:top}summary{cursor:pointer}"
)
_PROMPT, _ONE, _OTHER = (
    "How do I undo a commit?",
    "Run git reset --soft HEAD~1.",
    "Oh no, that happens to us all!",
)
_EXAMPLES: dict[str, Any] = {
    "score": {"user_id": "ann", "prompt": _PROMPT, "response": _ONE},
    "compare": {"user_id": "ann", "prompt": _PROMPT, "first": _ONE, "second": _OTHER},
    "get_reward": {"query": [f"{_PROMPT} {_ONE}"], "prompts": [_PROMPT], "labels": ["ann"]},
    "put_words": {"about": "I am a nurse on night shifts.", "wishes": ["Be brief."]},
    "add_feedback": {
        "feedback": [
            {
                "kind": "rating",
                "prompt": _PROMPT,
                "response": _ONE,
                "value": 1,
                "scale": {"lowest": 0, "highest": 1, "levels": 2},
                "reason": "Short and right.",
            }
        ],
    },
    "correct_persona": {"change": "add", "text": "I want the answer first."},
    "add_pairs": {"pairs": [{"prompt": _PROMPT, "chosen": _ONE, "rejected": _OTHER}]},
}


def page(document: dict[str, Any], address: str) -> str:
    """The document in HTML, with examples that ask the server at this address."""
    info = document["info"]
    operations = [
        _operation(method.upper(), address.rstrip("/") + path, path, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]
    title = escape(f"{info['title']} {info['version']}")
    return (
        f'<!DOCTYPE html><html lang="en"><meta charset="utf-8"><title>{title}</title><style>{_STYLE}</style>'
        f"<h1>{title}</h1><p>{escape(info['description'])}</p>"
        '<p>For programs: <a href="openapi.json">openapi.json</a>.</p>'
        f"{''.join(operations)}</html>"
    )


def _operation(method: str, address: str, path: str, operation: dict[str, Any]) -> str:
    parts = [f"<h2>{method} {escape(path)}</h2><p>{escape(operation['summary'])}."]
    if "description" in operation:
        parts.append(f" {escape(operation['description'])}")
    parts.append("</p>")
    if (example := _EXAMPLES.get(operation["operationId"])) is not None:
        how = "" if method == "POST" else f"-X {method} "
        asked = f"curl {how}-H 'Content-Type: application/json' -d '{json.dumps(example)}' \\\n"
        words = f"{asked}  {address.replace('{user_id}', 'ann')}"
        parts.append(f"<pre>{escape(words)}</pre>")
    for name, schema in _schemas_of(operation):
        shown = escape(json.dumps(schema, indent=2))
        parts.append(f"<details><summary>{escape(name)}</summary><pre>{shown}</pre></details>")
    rows = (
        f"<tr><td>{escape(code)}</td><td>{escape(answer['description'])}</td></tr>"
        for code, answer in sorted(operation["responses"].items())
    )
    return "".join(parts) + f"<table>{''.join(rows)}</table>"


def _schemas_of(operation: dict[str, Any]) -> list[tuple[str, Any]]:
    found = []
    if operation.get("parameters"):
        found.append(("Parameters", operation["parameters"]))
    if "requestBody" in operation:
        found.append(("Body", operation["requestBody"]["content"]["application/json"]["schema"]))
    answer = next(iter(operation["responses"]["200"]["content"].values()))
    found.append(("Answer", answer["schema"]))
    return found


LONGEST_HEAD = 64 * 1024
"""Bytes of a request's address and headers, give or take what is read at a time."""


class BoundedHead(HttpToolsProtocol):
    """Refuses a request whose address and headers do not end; uvicorn would keep all of them."""

    _in_head = _began = False
    _size = 0

    def data_received(self, data: bytes) -> None:
        """Read on; the bytes in which a request begins are not counted."""
        self._began = False
        super().data_received(data)
        if self._in_head and not self._began:
            self._size += len(data)
            if self._size > LONGEST_HEAD and not self.transport.is_closing():
                self.send_400_response("The headers are too large.")

    def on_message_begin(self) -> None:
        """A request begins."""
        super().on_message_begin()
        self._in_head, self._began, self._size = True, True, 0

    def on_headers_complete(self) -> None:
        """Its headers have ended."""
        self._in_head = False
        super().on_headers_complete()

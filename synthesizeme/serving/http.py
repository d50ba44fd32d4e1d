"""The reward server's application: routes, their scopes, and one way to answer an error."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from synthesizeme.errors import DataError, StoreUnavailableError
from synthesizeme.serving import _schemas
from synthesizeme.serving._changes import Changes
from synthesizeme.serving._endpoints import Endpoints
from synthesizeme.serving._front import Application, Endpoint
from synthesizeme.serving._metrics import Metrics
from synthesizeme.serving._pages import SharedPages
from synthesizeme.serving._queue import BusyError, LateError, ModelQueue
from synthesizeme.serving._requests import Limits, Refused, answer
from synthesizeme.serving.access import SCOPES, Access, Scope, is_loopback
from synthesizeme.serving.protocol import ScalarRewards
from synthesizeme.serving.users import MemoryUsers, Users, UserStore

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
    patience: float = 0.0
    """Seconds an idle server waits for company before it scores a batch."""
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
        patience=settings.patience, deadline=settings.deadline,
    )  # fmt: skip
    metrics = Metrics(queue, pages)
    endpoints = Endpoints(queue, metrics, users, settings.limits, settings.read_only)

    app = Application(title="Personalized rewards", version=_schemas.version(), description=_schemas.ABOUT,
                      lifespan=_life(endpoints, metrics, changes))  # fmt: skip
    app.state.endpoints = endpoints
    described = _schemas.Pages(settings.limits, tokens=access is not None)

    def add(method: str, path: str, endpoint: Endpoint, scope: Scope | None = "score") -> None:
        enter = _entrance(scope, access, settings.local_names_only)
        docs = described.of(endpoint.__name__, scope)
        app.add(method, path, _guarded(endpoint, enter, metrics), docs, name=endpoint.__name__)

    add("POST", "/v1/score", endpoints.score)
    add("POST", "/v1/compare", endpoints.compare)
    add("POST", "/get_reward", endpoints.get_reward)
    add("POST", "/v1/users/{user_id:path}/pairs", endpoints.add_pairs, "write")
    add("PUT", "/v1/users/{user_id:path}/words", endpoints.put_words, "write")
    add("GET", "/v1/users/{user_id:path}", endpoints.export_user, "admin")
    add("DELETE", "/v1/users/{user_id:path}", endpoints.delete_user, "admin")
    add("GET", "/metrics", endpoints.metrics)
    add("GET", "/healthz", endpoints.healthz, None)
    add("GET", "/readyz", endpoints.readyz, None)
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

    def with_token(request: Request) -> None:
        assert access is not None
        assert scope is not None
        level, needed = access.level(request.headers.get("authorization")), SCOPES.index(scope)
        if level < 0:
            raise Refused(
                401, "a token is needed: Authorization: Bearer TOKEN", {"WWW-Authenticate": "Bearer"}
            )
        if level < needed:
            raise Refused(403, f"the token's scope is {SCOPES[level]}; this needs {SCOPES[needed]}")

    def by_local_name(request: Request) -> None:
        host = request.headers.get("host", "")
        if not is_loopback(host if host.endswith("]") else host.rpartition(":")[0] or host):
            raise Refused(421, "this server answers to names of its own machine; start it with --token-file")

    if scope is not None and access is not None:
        return with_token
    return by_local_name if scope is not None and local_names_only else lambda request: None


async def _no_route(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    reason = _NO_ROUTE.get(error.status_code, str(error.detail))
    return answer({"error": reason}, error.status_code, dict(error.headers or {}))

"""The application: FastAPI, with a straight way to the routes that are asked thousands of times a second."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.types import Receive, Scope, Send

from synthesizeme.serving._reading import page
from synthesizeme.serving._schemas import Docs

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

    def add(self, method: str, path: str, endpoint: Endpoint, docs: Docs, *, name: str) -> None:
        """Answer a method and path with an endpoint, of which the page says `docs` under this name."""
        if "{" not in path:
            self.direct[method, path] = endpoint
        self.add_api_route(
            path,
            endpoint,
            methods=[method],
            response_model=None,
            summary=docs.summary,
            openapi_extra=docs.extra,
            responses=docs.responses,
            operation_id=name,
        )

    def openapi(self) -> dict[str, Any]:
        """The OpenAPI document, with the kind of token that routes ask for."""
        document = super().openapi()
        token = {"type": "http", "scheme": "bearer"}
        document.setdefault("components", {})["securitySchemes"] = {"token": token}
        return document

    async def _read(self, request: Request) -> Response:
        return HTMLResponse(page(self.openapi(), str(request.base_url)))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "http":
            endpoint = self.direct.get((scope["method"], scope["path"]))
            if endpoint is not None:
                response = await endpoint(Request(scope, receive))
                await response(scope, receive, send)
                return
        await super().__call__(scope, receive, send)

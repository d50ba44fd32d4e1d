"""The page's application: routes, who may take them, the headers of all answers, one way to show an error."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, Response

from synthesizeme.errors import DataError, StoreConflictError, StoreError, SynthesizeMeError
from synthesizeme.page import choosing, own_data, persona_pages, team_pages
from synthesizeme.page.site import Handler, Page, see
from synthesizeme.page.visits import Role, Visit
from synthesizeme.serving.queue import BusyError, LateError
from synthesizeme.serving.requests import Refused

STATIC_FILES = Path(__file__).parent / "static"
HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",  # without any, a browser calls the origin of a form "null"
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
"""Of every answer: nothing is loaded from elsewhere, no page holds a script or stands in another."""
STATIC = {"page.css": "text/css", "page.js": "text/javascript", "icon.svg": "image/svg+xml"}
_log = logging.getLogger(__name__)


def build_page(page: Page) -> FastAPI:
    """The application of a page; ``app.state.page`` is that page."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        page.writer.start()
        reading = asyncio.create_task(page.read_ahead())
        yield
        reading.cancel()
        await asyncio.wait([reading])
        await page.queue.close()
        page.close()

    app = FastAPI(title="Feedback", docs_url=None, redoc_url=None, openapi_url=None, lifespan=lifespan)
    app.state.page = page
    for routes in (choosing.ROUTES, persona_pages.ROUTES, own_data.ROUTES, team_pages.ROUTES):
        for method, path, handler, role in routes:
            app.add_route(path, _guarded(page, handler, role), methods=[method], include_in_schema=False)
    app.add_route("/static/{name}", _static, include_in_schema=False)
    app.add_exception_handler(HTTPException, _no_route(page))
    return app


def _guarded(page: Page, handler: Handler, role: Role | None) -> Callable[[Request], Awaitable[Response]]:
    """The handler behind the door, its errors as pages, its answer with the headers of all."""

    async def handle(request: Request) -> Response:
        visit = Visit(request, "", False, "", {})
        try:
            visit = await page.door.enter(request, role)
            if role == "agreed" and not await page.agreed(visit):
                response = _welcome(request)
            else:
                response = await handler(page, visit)
        except Refused as error:
            response = _problem(page, visit, error.status, str(error))
        except BusyError as error:
            response = _problem(page, visit, 429, str(error))
        except LateError:
            response = _problem(page, visit, 504, "This took too long. Go back and try again.")
        except StoreConflictError:
            said = "Somebody changed this at the same moment, perhaps you in another window. Look again."
            response = _problem(page, visit, 409, said)
        except StoreError:
            _log.warning("%s: the store cannot be used", handler.__name__)
            response = _problem(page, visit, 503, "What you say cannot be kept just now. Try again soon.")
        except DataError as error:
            cure = f". You may {error.cure.rstrip('.')}." if error.cure else "."
            response = _problem(page, visit, 422, f"{error.problem}{cure}")
        except SynthesizeMeError as error:
            _log.warning("%s: %s", handler.__name__, type(error).__name__)
            response = _problem(page, visit, 502, " ".join(str(error).split())[:300])
        except Exception as error:
            _log.error("%s failed: %s", handler.__name__, type(error).__name__)
            _log.debug("%s failed", handler.__name__, exc_info=error)
            response = _problem(page, visit, 500, f"A fault of this page: {type(error).__name__}.")
        response.headers.update(HEADERS)
        response.headers.setdefault("Cache-Control", "no-store")
        return response

    return handle


def _welcome(request: Request) -> Response:
    """Where a person is led who has not agreed to anything.

    Raises:
        Refused: something was sent.
    """
    if request.method != "GET":
        raise Refused(403, "read first what happens with your answers, on the first page, and agree to it")
    return see("/")


def _problem(page: Page, visit: Visit, status: int, said: str) -> Response:
    return page.html(visit, "problem.html", status, said=said[:1].upper() + said[1:], number=status)


async def _static(request: Request) -> Response:
    name = request.path_params["name"]
    if name not in STATIC:
        return Response("nothing is here", 404, HEADERS, "text/plain")
    headers = {**HEADERS, "Cache-Control": "max-age=600"}
    return FileResponse(STATIC_FILES / name, headers=headers, media_type=STATIC[name])


def _no_route(page: Page) -> Callable[[Request, Exception], Awaitable[Response]]:
    async def handle(request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 500
        stranger = Visit(request, "", False, "", {})
        response = _problem(page, stranger, status, "There is nothing at this address.")
        response.headers.update(HEADERS)
        return response

    return handle

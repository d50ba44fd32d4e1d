"""The page's application: routes, who may take them, the headers of all answers, one way to show an error."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from fastapi import FastAPI
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, RedirectResponse, Response

from synthesizeme.errors import DataError, StoreConflictError, StoreError, SynthesizeMeError
from synthesizeme.page.beliefs import Beliefs
from synthesizeme.page.next_turn import Order
from synthesizeme.page.pool import Item
from synthesizeme.page.project import Invitations, Project, terms_id
from synthesizeme.page.safe_text import shown, visible
from synthesizeme.page.turns import History
from synthesizeme.page.visits import Door, Role, Visit
from synthesizeme.page.written_answers import AnswerWriter
from synthesizeme.plain_text import count
from synthesizeme.profiles import ProfileStore
from synthesizeme.serving.access import Access
from synthesizeme.serving.queue import BusyError, LateError, ModelQueue
from synthesizeme.serving.requests import Limits, Refused
from synthesizeme.serving.rewards import ScalarRewards
from synthesizeme.serving.users import Users

_HERE = Path(__file__).parent
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
FORM_LIMITS = Limits(body=256 * 1024, seconds=10.0)
STATIC = {"page.css": "text/css", "page.js": "text/javascript", "icon.svg": "image/svg+xml"}
_WAIT_S = 3.0
"""How long a person waits for a profile before being told that it is being written."""
_log = logging.getLogger(__name__)
_Result = TypeVar("_Result")
Handler = Callable[["Page", Visit], Awaitable[Response]]


@dataclass(frozen=True)
class PageSettings:
    """What a page is told beside what it shows."""

    user_id: str = "me"
    """Who the person on this machine is."""
    order: Order = "telling"
    """How questions are chosen."""
    kept_in: str = "memory"
    """Where choices are kept, in words for people."""
    reader: str | None = None
    """A language model elsewhere that reads choices, by its name; None where none does."""
    writes: bool = False
    """Whether the model can write answers."""
    limits: Limits = field(default_factory=lambda: FORM_LIMITS)
    """Sizes of forms."""


class Page:
    """What all routes share.

    Args:
        settings: See there.
        rewards: The reward model, as the reward server asks it.
        store: Where everything said is kept.
        beliefs: Profiles of people.
        items: What is asked.
        project: On which terms.
        invitations: Annotators with a link.
        access: Tokens, if any are needed.
    """

    def __init__(
        self,
        settings: PageSettings,
        rewards: ScalarRewards,
        store: ProfileStore,
        beliefs: Beliefs,
        items: list[Item],
        project: Project,
        invitations: Invitations,
        access: Access | None,
    ) -> None:
        self.settings, self.store, self.beliefs, self.project = settings, store, beliefs, project
        self.invitations, self.items = invitations, {item.key: item for item in items}
        self.users = Users(rewards.model, store)
        self.users.fit_stored()
        self.queue = ModelQueue(rewards, users=self.users, most_rows=256, most_waiting=2048, deadline=20.0)
        self.door = Door(settings.user_id, access, invitations, settings.limits)
        self.terms = project.terms(settings.kept_in, settings.reader)
        self.terms_id = terms_id(self.terms)
        self.skipped: dict[str, list[str]] = {}
        """By user the ids of answers that were passed over since the page was started."""
        self.writing: dict[str, Future[Any]] = {}
        """By user the profile that is being made."""
        self.aside = ThreadPoolExecutor(max_workers=4, thread_name_prefix="aside")
        self.writer = AnswerWriter(
            beliefs.session, [it for it in items if not it.responses] if settings.writes else [], self._ready
        )
        self._templates = Environment(
            loader=FileSystemLoader(_HERE / "templates"), autoescape=True, undefined=StrictUndefined,
            trim_blocks=True, lstrip_blocks=True,
        )  # fmt: skip
        self._templates.filters.update(shown=shown, visible=visible, count=count)

    def html(self, visit: Visit, template: str, status: int = 200, **values: Any) -> Response:
        """A page for this visit."""
        text = self._templates.get_template(template).render(
            page=self, visit=visit, project=self.project, secret=visit.secret, **values
        )
        response = HTMLResponse(text, status)
        self.door.remember(visit, response)
        return response

    async def beside(self, work: Callable[[], _Result]) -> _Result:
        """What `work` returns, done beside the reward model: it may wait for a language model."""
        return await asyncio.get_running_loop().run_in_executor(self.aside, work)

    def history(self, user_id: str) -> History:
        """What a person has said so far."""
        return History(self.store.pairs(user_id), self.store.feedback(user_id))

    def agreed(self, visit: Visit, history: History) -> bool:
        """Whether a person agreed to what the page says now, in this browser or with the latest answer."""
        last = history.last
        by_answer = last is not None and last.metadata.get("agreed") == self.terms_id
        return by_answer or self.door.agreed(visit.request) == self.terms_id

    async def write_profile(self, user_id: str) -> None:
        """Have a person's profile made, and wait a moment for it."""
        running = self.writing.get(user_id)
        if running is None or running.done():
            running = self.writing[user_id] = self.aside.submit(self.beliefs.write, user_id)
        await asyncio.wait([asyncio.wrap_future(running)], timeout=_WAIT_S)

    def _ready(self, item: Item) -> None:
        self.items[item.key] = item

    def close(self) -> None:
        """End what runs beside."""
        self.writer.end()
        self.aside.shutdown(wait=False, cancel_futures=True)


def see(path: str) -> Response:
    """Go on to another page, which is looked at: a reload then sends nothing again."""
    return RedirectResponse(path, 303)


def build_page(page: Page) -> FastAPI:
    """The application of a page; ``app.state.page`` is that page."""
    from synthesizeme.page import choosing, own_data, persona_pages, team_pages

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        page.writer.start()
        yield
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


def _problem(page: Page, visit: Visit, status: int, said: str) -> Response:
    return page.html(visit, "problem.html", status, said=said[:1].upper() + said[1:], number=status)


async def _static(request: Request) -> Response:
    name = request.path_params["name"]
    if name not in STATIC:
        return Response("nothing is here", 404, HEADERS, "text/plain")
    headers = {**HEADERS, "Cache-Control": "max-age=600"}
    return FileResponse(_HERE / "static" / name, headers=headers, media_type=STATIC[name])


def _no_route(page: Page) -> Callable[[Request, Exception], Awaitable[Response]]:
    async def handle(request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 500
        stranger = Visit(request, "", False, "", {})
        response = _problem(page, stranger, status, "There is nothing at this address.")
        response.headers.update(HEADERS)
        return response

    return handle

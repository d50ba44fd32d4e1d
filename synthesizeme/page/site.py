"""What all routes of a page share: its store, its model, its people, and how a page is shown."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import HTMLResponse, RedirectResponse, Response

from synthesizeme.page.beliefs import Beliefs
from synthesizeme.page.next_turn import Order
from synthesizeme.page.pool import Item
from synthesizeme.page.project import Invitations, Project, terms_id
from synthesizeme.page.safe_text import shown, visible
from synthesizeme.page.turns import AGREED, History, Turn
from synthesizeme.page.visits import Door, Visit
from synthesizeme.page.written_answers import AnswerWriter
from synthesizeme.plain_text import count
from synthesizeme.profiles import ProfileStore
from synthesizeme.serving.access import Access
from synthesizeme.serving.queue import BusyError, LateError, ModelQueue
from synthesizeme.serving.requests import Limits
from synthesizeme.serving.rewards import ScalarRewards
from synthesizeme.serving.users import Users

TEMPLATES = Path(__file__).parent / "templates"
FORM_LIMITS = Limits(body=256 * 1024, seconds=10.0)
_WAIT_S = 3.0
"""How long a person waits for a profile before being told that it is being written."""
_READ_AHEAD, _AT_ONCE = 1_000, 4
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
            loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined,
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

    async def agreed(self, visit: Visit) -> bool:
        """Whether a person agreed to what the page says now, in this browser or with the latest answer."""
        if self.door.agreed(visit.request) == self.terms_id:
            return True
        last = (await self.beside(lambda: self.history(visit.user_id))).last
        return last is not None and last.metadata.get(AGREED) == self.terms_id

    async def write_profile(self, user_id: str) -> None:
        """Have a person's profile made, and wait a moment for it."""
        running = self.writing.get(user_id)
        if running is None or running.done():
            running = self.writing[user_id] = self.aside.submit(self.beliefs.write, user_id)
        await asyncio.wait([asyncio.wrap_future(running)], timeout=_WAIT_S)

    async def read_ahead(self) -> None:
        """Let the model read the first answers of the pool, a few at a time, before anybody waits for it."""
        asked = [
            Turn(it, "").comparison for it in list(self.items.values())[:_READ_AHEAD] if it.kind == "pair"
        ]
        for start in range(0, len(asked), _AT_ONCE):
            some = asked[start : start + _AT_ONCE]
            with suppress(BusyError, LateError):
                await self.queue.run(partial(self.queue.rewards.margins, some))

    def _ready(self, item: Item) -> None:
        self.items[item.key] = item

    def close(self) -> None:
        """End what runs beside."""
        self.writer.end()
        self.aside.shutdown(wait=False, cancel_futures=True)


def see(path: str) -> Response:
    """Go on to another page, which is looked at: a reload then sends nothing again."""
    return RedirectResponse(path, 303)

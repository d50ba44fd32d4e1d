"""The pages of the team that asks: who has said how much, invitations, the export; the way in by a link."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from starlette.responses import Response

from synthesizeme.feedback import Given
from synthesizeme.page.own_data import file_of, rows
from synthesizeme.page.site import Handler, Page, see
from synthesizeme.page.turns import ASKED, Consistency
from synthesizeme.page.visits import Role, Visit
from synthesizeme.profiles.views import every_user
from synthesizeme.serving.requests import Refused, answer


@dataclass(frozen=True)
class Annotator:
    """How much one person has said."""

    name: str
    choices: int
    """Pairs that were chosen between."""
    others: int
    """Ties, ratings and rankings."""
    consistency: Consistency
    """Answers that were alike when asked again."""
    gold: tuple[int, int]
    """Questions with a known answer: answered as known, and answered at all."""
    invited: bool
    """Whether there is a link."""


async def team(page: Page, visit: Visit) -> Response:
    """Who has said how much."""
    found = await page.beside(lambda: annotators(page))
    return _team(page, visit, found)


async def counts(page: Page, visit: Visit) -> Response:
    """The same in numbers, for a page that is open."""
    found = await page.beside(lambda: annotators(page))
    return answer({"answers": sum(it.choices + it.others for it in found), "annotators": len(found)})


async def invite(page: Page, visit: Visit) -> Response:
    """Make a link for an annotator, which is shown once."""
    name = visit.form.get("name", "").strip()
    token = await page.beside(lambda: page.invitations.invite(name))
    found = await page.beside(lambda: annotators(page))
    link = f"{str(visit.request.base_url).rstrip('/')}/join/{token}"
    return _team(page, visit, found, link=link, invited=name)


async def revoke(page: Page, visit: Visit) -> Response:
    """Let an annotator in no more."""
    await page.beside(lambda: page.invitations.revoke(visit.form.get("name", "")))
    return see("/team")


async def export(page: Page, visit: Visit) -> Response:
    """Everything that was said, as TRL rows and rows of other feedback, each of its kind."""

    def work() -> bytes:
        given: list[Given] = []
        for user in every_user(page.store):
            given += page.history(user.user_id).given
        return rows(given, page.project.licence)

    return file_of("feedback.jsonl", await page.beside(work), "application/x-ndjson")


async def join(page: Page, visit: Visit) -> Response:
    """Come in by the link of an invitation."""
    token = visit.request.path_params["token"]
    if not page.door.opens(token):
        raise Refused(401, "this link opens nothing, or no more; ask for a new one")
    response = see("/")
    page.door.admit(visit.request, response, token)
    return response


async def entrance(page: Page, visit: Visit) -> Response:
    """Where a token is given."""
    return page.html(visit, "enter.html", wrong=False)


async def enter(page: Page, visit: Visit) -> Response:
    """Come in with a token."""
    token = visit.form.get("token", "").strip()
    if not page.door.opens(token):
        return page.html(visit, "enter.html", 401, wrong=True)
    response = see("/")
    page.door.admit(visit.request, response, token)
    return response


def annotators(page: Page) -> list[Annotator]:
    """Everybody who said something or is invited."""
    found = {}
    for user in every_user(page.store):
        history = page.history(user.user_id)
        told = [it for it in history.given if "gold" in it.metadata and ASKED in it.metadata]
        right = sum(bool(it.metadata["gold"]) for it in told)
        found[user.user_id] = Annotator(
            user.user_id, user.pairs, user.feedback, history.consistency, (right, len(told)),
            user.user_id in page.invitations.names,
        )  # fmt: skip
    for name in page.invitations.names:
        found.setdefault(name, Annotator(name, 0, 0, Consistency(0, 0), (0, 0), True))
    return sorted(found.values(), key=lambda it: -(it.choices + it.others))


def _team(
    page: Page, visit: Visit, found: Sequence[Annotator], link: str = "", invited: str = ""
) -> Response:
    items = [it for it in page.items.values() if it.responses]
    return page.html(
        visit, "team.html", annotators=found, link=link, invited=invited, items=len(items),
        unwritten=len(page.items) - len(items), gold=sum(it.gold is not None for it in items),
        answers=sum(it.choices + it.others for it in found),
    )  # fmt: skip


ROUTES: Sequence[tuple[str, str, Handler, Role | None]] = (
    ("GET", "/team", team, "team"),
    ("GET", "/team/counts", counts, "team"),
    ("POST", "/team/invite", invite, "team"),
    ("POST", "/team/revoke", revoke, "team"),
    ("GET", "/team/feedback.jsonl", export, "team"),
    ("GET", "/join/{token}", join, None),
    ("GET", "/enter", entrance, None),
    ("POST", "/enter", enter, None),
)

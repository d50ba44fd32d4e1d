"""The pages of the team that asks: who has said how much, invitations, the export; the way in by a link."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from starlette.responses import Response

from synthesizeme.evaluation.agreement import Agreement, agreement
from synthesizeme.feedback import Given
from synthesizeme.page.own_data import file_of, rows
from synthesizeme.page.site import Handler, Page, see
from synthesizeme.page.turns import ASKED, Consistency
from synthesizeme.page.visits import Role, Visit
from synthesizeme.profiles.views import every_user
from synthesizeme.serving.requests import Refused, answer


@dataclass(frozen=True)
class Team:
    """Everybody who said something or is invited, and how far they agree."""

    annotators: list[Annotator]
    agreement: Agreement


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
    agrees: float | None
    """Share of the others who said the same of the pairs that others judged too, in [0, 1]."""
    invited: bool
    """Whether there is a link."""


async def team(page: Page, visit: Visit) -> Response:
    """Who has said how much."""
    return _team(page, visit, await page.beside(lambda: team_of(page)))


async def counts(page: Page, visit: Visit) -> Response:
    """The same in numbers, for a page that is open."""
    users = await page.beside(lambda: list(every_user(page.store)))
    names = {it.user_id for it in users} | set(page.invitations.names)
    return answer({"answers": sum(it.pairs + it.feedback for it in users), "annotators": len(names)})


async def invite(page: Page, visit: Visit) -> Response:
    """Make a link for an annotator, which is shown once."""
    name = visit.form.get("name", "").strip()
    token = await page.beside(lambda: page.invitations.invite(name))
    found = await page.beside(lambda: team_of(page))
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


def team_of(page: Page) -> Team:
    """Everybody who said something or is invited."""
    users = {user.user_id: user for user in every_user(page.store)}
    histories = {name: page.history(name) for name in users}
    told = agreement(said for it in histories.values() for said in it.given)
    agrees = {it.name: it.agrees for it in told.annotators}
    found = {}
    for name, history in histories.items():
        known = [it for it in history.given if "gold" in it.metadata and ASKED in it.metadata]
        right = sum(bool(it.metadata["gold"]) for it in known)
        found[name] = Annotator(
            name, users[name].pairs, users[name].feedback, history.consistency, (right, len(known)),
            agrees.get(name), name in page.invitations.names,
        )  # fmt: skip
    for name in page.invitations.names:
        found.setdefault(name, Annotator(name, 0, 0, Consistency(0, 0), (0, 0), None, True))
    return Team(sorted(found.values(), key=lambda it: -(it.choices + it.others)), told)


def _team(page: Page, visit: Visit, found: Team, link: str = "", invited: str = "") -> Response:
    items = [it for it in page.items.values() if it.responses]
    return page.html(
        visit, "team.html", annotators=found.annotators, alpha=found.agreement.nominal,
        shared=len(found.agreement.compared), link=link, invited=invited, items=len(items),
        unwritten=len(page.items) - len(items), gold=sum(it.gold is not None for it in items),
        answers=sum(it.choices + it.others for it in found.annotators),
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

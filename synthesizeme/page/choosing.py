"""The pages of whoever chooses: what is agreed to, the next question, an answer, and taking one back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from starlette.responses import Response

from synthesizeme.feedback import Given
from synthesizeme.page.beliefs import FEWEST
from synthesizeme.page.next_turn import next_turn
from synthesizeme.page.pool import Item
from synthesizeme.page.site import Handler, Page, see
from synthesizeme.page.turns import (
    AGREED,
    AGREED_TO,
    ASKED,
    EXPECTED,
    History,
    Turn,
    chosen_side,
    read_answer,
    said_id,
)
from synthesizeme.page.visits import Role, Visit
from synthesizeme.serving.requests import Refused
from synthesizeme.types import PreferencePair

NOBODY = ""
"""An id that no user has: asked with it, the model answers for anybody."""


@dataclass(frozen=True)
class Progress:
    """How far a person has come."""

    done: int
    """Items answered."""
    of: int
    """Items there are."""
    choices: int
    """Everything that was said."""


async def start(page: Page, visit: Visit) -> Response:
    """What is asked and agreed to; to whom agreed, the next question."""
    history, turn = await page.queue.run(lambda: _next(page, visit.user_id))
    if not await page.agreed(visit):
        return page.html(visit, "welcome.html", history=history)
    if turn is None:
        return page.html(visit, "done.html", history=history, progress=_progress(page, history))
    return see(turn.path)


async def agree(page: Page, visit: Visit) -> Response:
    """Note what was agreed to."""
    response = see("/")
    page.door.agree(visit.request, response, page.terms_id)
    return response


async def question(page: Page, visit: Visit) -> Response:
    """One question, and the answer that it was given already, if it was."""
    turn = _turn(page, visit)
    history = await page.beside(lambda: page.history(visit.user_id))
    return _shown(page, visit, turn, history)


async def answer(page: Page, visit: Visit) -> Response:
    """Keep an answer. The same answer again changes nothing; another one takes its place."""
    turn = _turn(page, visit)
    await page.queue.run(lambda: _keep(page, visit, turn))
    return see("/")


async def undo(page: Page, visit: Visit) -> Response:
    """Take an answer back, and show its question again."""
    said = visit.form.get("said", "")

    def work() -> str:
        history = page.history(visit.user_id)
        given = history.by_id.get(said)
        if given is None:
            return "/"
        page.users.add(visit.user_id, (), taken_back=[said])
        name = given.metadata.get(ASKED)
        found = [it for it in page.items.values() if it.item_id == name]
        again = bool(given.metadata.get("again"))
        return Turn(found[0], visit.user_id, again=again).path if found else "/"

    return see(await page.queue.run(work))


async def skip(page: Page, visit: Visit) -> Response:
    """Leave a question for later."""
    turn = _turn(page, visit)
    passed = page.skipped.setdefault(visit.user_id, [])
    if turn.said_id not in passed:
        passed.append(turn.said_id)
    return see("/")


def _next(page: Page, user_id: str) -> tuple[History, Turn | None]:
    history = page.history(user_id)
    turn = next_turn(
        list(page.items.values()), user_id, history, page.skipped.get(user_id, ()), page.users.model,
        page.settings.order,
    )  # fmt: skip
    return history, turn


def _keep(page: Page, visit: Visit, turn: Turn) -> None:
    """Store an answer and learn from it.

    Raises:
        DataError: the form gives no answer.
    """
    history = page.history(visit.user_id)
    before = history.answer(turn)
    told: dict[str, Any] = {AGREED: page.terms_id}
    others = (it.metadata for it in history.given if said_id(it) != turn.said_id)
    if not any(it.get(AGREED) == page.terms_id and AGREED_TO in it for it in others):
        told[AGREED_TO] = page.terms
    if turn.item.kind == "pair":
        told[EXPECTED] = before.metadata.get(EXPECTED) if before else _expected(page, turn)
    said = read_answer(turn, visit.form, told)
    if turn.item.gold is not None:
        right = isinstance(said, PreferencePair) and said.chosen_text == turn.item.gold
        said = said.model_copy(update={"metadata": {**said.metadata, "gold": right}})
    if before is not None and _same(before, said):
        return
    pairs, feedback = ([said], []) if isinstance(said, PreferencePair) else ([], [said])
    page.users.add(visit.user_id, pairs, None, feedback, taken_back=[said_id(before)] if before else ())
    passed = page.skipped.get(visit.user_id, [])
    if turn.said_id in passed:
        passed.remove(turn.said_id)


def _expected(page: Page, turn: Turn) -> dict[str, float] | None:
    """With which probability the model expects the response shown first, of this person and of anybody."""
    asked = [turn.comparison, turn.comparison.model_copy(update={"user_id": NOBODY})]
    own, anybody = page.queue.rewards.margins(asked)
    if own.probability is None or anybody.probability is None:
        return None
    return {"own": round(own.probability, 4), "anybody": round(anybody.probability, 4)}


def _same(before: Given, said: Given) -> bool:
    """Whether an answer says what was said already; a reason that is left out stays."""
    dropped = {"created_at", "metadata", "reason"}
    same = before.model_dump(exclude=dropped) == said.model_dump(exclude=dropped)
    return same and type(before) is type(said) and said.reason in (None, before.reason)


def _turn(page: Page, visit: Visit) -> Turn:
    """The question of an address.

    Raises:
        Refused: there is none.
    """
    item: Item | None = page.items.get(visit.request.path_params["key"])
    again = visit.request.url.path.startswith("/again/")
    if item is None or not item.responses or (again and item.kind != "pair"):
        raise Refused(404, "this question is not asked here any more")
    return Turn(item, visit.user_id, again=again)


def _shown(page: Page, visit: Visit, turn: Turn, history: History) -> Response:
    given = history.answer(turn)
    last = history.last
    return page.html(
        visit, "question.html", turn=turn, given=given, history=history,
        side=chosen_side(turn, given) if given else "",
        last=last if last is not None and last is not given else None,
        progress=_progress(page, history), fewest=FEWEST,
    )  # fmt: skip


def _progress(page: Page, history: History) -> Progress:
    items = [it for it in page.items.values() if it.responses]
    return Progress(history.of_pool(items), len(items), len(history.given))


ROUTES: Sequence[tuple[str, str, Handler, Role | None]] = (
    ("GET", "/", start, "person"),
    ("POST", "/agree", agree, "person"),
    ("POST", "/undo", undo, "person"),
    *(
        (method, f"/{what}/{{key}}{rest}", handler, "agreed")
        for what in ("question", "again")
        for method, rest, handler in (("GET", "", question), ("POST", "", answer), ("POST", "/skip", skip))
    ),
)

"""The pages of what is believed: the persona with its record, what corrections change, and a trial."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from starlette.responses import Response

from synthesizeme.errors import DataError
from synthesizeme.page.beliefs import FEWEST, Changed, Point, Spoken, expected_so_far
from synthesizeme.page.choosing import NOBODY
from synthesizeme.page.drawing import over_time, weights
from synthesizeme.page.site import Handler, Page, see
from synthesizeme.page.turns import History
from synthesizeme.page.visits import Role, Visit
from synthesizeme.page.written_answers import write_answers
from synthesizeme.profile import OwnTaste, PersonaSentence, UserProfile
from synthesizeme.profiles.store import ProfileVersion
from synthesizeme.profiles.views import rewrite_stored
from synthesizeme.serving.loaded import own_taste
from synthesizeme.serving.requests import read_change
from synthesizeme.types import Comparison, Message

LONGEST_TRIED = 20_000
"""Characters of a question or answer that is tried."""


@dataclass(frozen=True)
class Look:
    """A profile as its owner sees it."""

    version: int
    profile: UserProfile
    history: History
    changed: Sequence[Changed] | None = None
    """What the latest corrections changed, where that was asked for."""
    since: int = 0
    """The version that they are compared with."""

    @property
    def own(self) -> list[tuple[int, PersonaSentence]]:
        """What sets the person apart, with numbers."""
        return list(enumerate(self.profile.persona.sentences, 1)) if self.profile.persona else []

    @property
    def common(self) -> list[tuple[int, PersonaSentence]]:
        """What holds of most people as well, with numbers."""
        persona = self.profile.persona
        return list(enumerate(persona.common, 1 + len(persona.sentences))) if persona else []

    @property
    def new_pairs(self) -> int:
        """Choices that came since the profile was made."""
        made = self.profile.provenance
        return sum(pair.pair_id not in made.splits for pair in self.history.pairs) if made else 0


async def persona(page: Page, visit: Visit) -> Response:
    """What is believed, with its record; with ``since`` also what was changed since that version."""
    since = visit.query.get("since", "")
    look = await page.beside(lambda: _look(page, visit.user_id, int(since) if since.isdigit() else None))
    taste = await page.queue.run(lambda: _taste(page, visit.user_id))
    running = page.writing.get(visit.user_id)
    failed = ""
    if running is not None and running.done() and (error := running.exception()) is not None:
        failed = " ".join(str(error).split())[:300] if str(error) else type(error).__name__
    record = None if failed else await page.beside(lambda: page.store.induction(visit.user_id))
    if record is not None and record.state == "failed":
        failed = record.error
    points = expected_so_far(look.history)
    return page.html(
        visit, "persona.html", look=look, taste=taste, points=points, drawn=over_time(points),
        weights=weights(taste) if taste else "", fewest=FEWEST, failed=failed,
        writing=running is not None and not running.done(), last=points[-1] if points else Point(0, 0, 0),
    )  # fmt: skip


async def write(page: Page, visit: Visit) -> Response:
    """Have the persona written, or written anew."""
    await page.write_profile(visit.user_id)
    return see("/persona")


async def correct(page: Page, visit: Visit) -> Response:
    """Add, edit, pin or strike a sentence; the next page says what that changes."""
    body: dict[str, Any] = {"change": visit.form.get("change", "")}
    if "text" in visit.form and body["change"] in ("add", "edit"):
        body["text"] = " ".join(visit.form["text"].split())
    for name in ("number", "version"):
        if (value := visit.form.get(name, "")).isdigit() and (name == "version" or body["change"] != "add"):
            body[name] = int(value)
    if body["change"] == "pin" and visit.form.get("off") == "yes":
        body["off"] = True
    change = read_change(body)
    made: Callable[[UserProfile], UserProfile] = change.made
    if visit.form.get("do") == "preview":
        return await _preview(page, visit, made, body)
    version = change.version or 0
    await page.beside(lambda: rewrite_stored(page.store, visit.user_id, made, change.version))
    return see(f"/persona?since={version}#changed")


async def _preview(
    page: Page, visit: Visit, made: Callable[[UserProfile], UserProfile], body: dict[str, Any]
) -> Response:
    """What a change would change, before it is made."""

    def work() -> tuple[Look, UserProfile, list[Changed]]:
        before = _look(page, visit.user_id, None)
        pairs = before.history.pairs
        after = page.beliefs.as_of_now(made(before.profile), pairs)
        return before, after, page.beliefs.changes(before.profile, after, pairs)

    before, after, changed = await page.beside(work)
    known = {it.text for it in (before.profile.persona.statements if before.profile.persona else ())}
    statements = after.persona.statements if after.persona else ()
    new = next((it for it in statements if it.text not in known), None)
    return page.html(
        visit, "preview.html", look=before, changed=changed, new=new, body=body,
        recent=min(len(before.history.pairs), 10),
    )  # fmt: skip


async def trial(page: Page, visit: Visit) -> Response:
    """Try it: an empty form."""
    return page.html(visit, "try.html", asked=("", "", ""), found=None)


async def tried(page: Page, visit: Visit) -> Response:
    """Try it: which of two answers the person is expected to like better, and why."""
    question, first, second = (visit.form.get(name, "").strip() for name in ("question", "first", "second"))
    if max(map(len, (question, first, second))) > LONGEST_TRIED:
        raise DataError(f"a text has more than {LONGEST_TRIED:,} characters", cure="shorten it")
    if not question:
        raise DataError("the question is empty", field="question", cure="type a question")
    prompt = (Message(role="user", content=question),)
    if visit.form.get("do") == "write" and page.settings.writes:
        first, second = await page.beside(lambda: write_answers(page.beliefs.session, prompt))
        return page.html(visit, "try.html", asked=(question, first, second), found=None)
    if not first or not second or first == second:
        raise DataError("two different answers are needed", field="first", cure="type two")
    asked = Comparison(pair_id="tried", user_id=visit.user_id, prompt=prompt, first=first, second=second)
    margins = await page.queue.run(
        lambda: page.queue.rewards.margins([asked, asked.model_copy(update={"user_id": NOBODY})])
    )

    def words() -> tuple[Any, list[Spoken]]:
        found = page.store.profile(visit.user_id)
        if found is None or found.profile.persona is None:
            return None, []
        return page.beliefs.judged(found.profile, asked), page.beliefs.speaking(found.profile, asked)

    judged, spoken = await page.beside(words)
    found = {"own": margins[0], "anybody": margins[1], "judged": judged, "spoken": spoken}
    return page.html(visit, "try.html", asked=(question, first, second), found=found)


def _look(page: Page, user_id: str, since: int | None) -> Look:
    latest, history = page.store.profile(user_id), page.history(user_id)
    profile, version = _known(latest, user_id)
    now = page.beliefs.as_of_now(profile, history.pairs)
    if since is None or since >= version:
        return Look(version, now, history)
    before, _ = _known(page.store.profile(user_id, since) if since else None, user_id)
    changed = page.beliefs.changes(before, profile, history.pairs)
    return Look(version, now, history, changed, since)


def _known(found: ProfileVersion | None, user_id: str) -> tuple[UserProfile, int]:
    return (UserProfile(user_id=user_id), 0) if found is None else (found.profile, found.version)


def _taste(page: Page, user_id: str) -> OwnTaste | None:
    """In what the person differs from most, where the model can say so and there are enough choices."""
    model = page.users.model
    if not callable(getattr(model, "own_taste", None)) or user_id not in model.users_:
        return None
    if len(page.store.pairs(user_id)) < FEWEST:
        return None
    try:
        return own_taste(model, user_id)
    except DataError:  # the checkpoint does not keep what was predicted of anybody
        return None


ROUTES: Sequence[tuple[str, str, Handler, Role | None]] = (
    ("GET", "/persona", persona, "agreed"),
    ("POST", "/persona/write", write, "agreed"),
    ("POST", "/persona", correct, "agreed"),
    ("GET", "/try", trial, "agreed"),
    ("POST", "/try", tried, "agreed"),
)

"""What a person takes along, and has deleted."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from starlette.responses import Response

from synthesizeme.datasets.jsonl import lines_of
from synthesizeme.feedback import Given
from synthesizeme.page.site import Handler, Page
from synthesizeme.page.visits import Role, Visit
from synthesizeme.personas.documents import profile_documents
from synthesizeme.profile import UserProfile
from synthesizeme.serving.requests import Refused

JUDGE_PROMPT = "judge/default"
SURE = "delete"
"""The word that is typed to delete everything."""


async def take(page: Page, visit: Visit) -> Response:
    """What there is to take along."""
    held = await page.queue.run(lambda: _held(page, visit.user_id))
    return page.html(visit, "take.html", held=held, sure=SURE, deleted=None, wrong=False)


async def download(page: Page, visit: Visit) -> Response:
    """One file of what is known of the person."""
    name = visit.request.path_params["name"]
    if name == "everything.json":
        found = await page.queue.run(lambda: page.users.export(visit.user_id))
        content = {"licence": page.project.licence, **(found or {"user_id": visit.user_id})}
        text = json.dumps(content, ensure_ascii=False, indent=2) + "\n"
        return file_of(name, text.encode(), "application/json")
    if name == "choices.jsonl":
        history = await page.beside(lambda: page.history(visit.user_id))
        return file_of(name, rows(history.given, page.project.licence), "application/x-ndjson")
    documents = await page.beside(lambda: _documents(page, visit.user_id))
    if name not in documents:
        raise Refused(404, "there is no such file")
    kind = "text/markdown" if name.endswith(".md") else "application/json"
    return file_of(name, documents[name].encode(), kind)


async def delete(page: Page, visit: Visit) -> Response:
    """Delete everything of the person, and say what there was."""
    if visit.form.get("sure", "").strip().lower() != SURE:
        held = await page.queue.run(lambda: _held(page, visit.user_id))
        return page.html(visit, "take.html", 422, held=held, sure=SURE, deleted=None, wrong=True)
    running = page.writing.get(visit.user_id)
    if running is not None and not running.done():  # what it finds would be stored after all was deleted
        raise Refused(409, "your choices are being read just now; delete everything in a moment")
    page.writing.pop(visit.user_id, None)
    gone = await page.queue.run(lambda: page.users.delete(visit.user_id))
    page.skipped.pop(visit.user_id, None)
    page.beliefs.forget(visit.user_id)
    nothing = {"pairs": 0, "feedback": 0, "words": False, "versions": 0, "state": False}
    return page.html(visit, "take.html", held=None, sure=SURE, deleted=gone or nothing, wrong=False)


def rows(given: Sequence[Given], licence: str | None) -> bytes:
    """Choices as TRL rows and other feedback by its kind, each with the licence in its metadata."""
    told = [
        it if licence is None else it.model_copy(update={"metadata": {**it.metadata, "licence": licence}})
        for it in given
    ]
    return lines_of(told)


def file_of(name: str, content: bytes, kind: str) -> Response:
    """A file that a browser keeps instead of showing it."""
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(content, 200, headers, f"{kind}; charset=utf-8")


def _held(page: Page, user_id: str) -> dict[str, Any]:
    return {
        "pairs": len(page.store.pairs(user_id)),
        "feedback": len(page.store.feedback(user_id)),
        "versions": len(page.store.versions(user_id)),
    }


def _documents(page: Page, user_id: str) -> dict[str, str]:
    found = page.store.profile(user_id)
    profile = UserProfile(user_id=user_id) if found is None else found.profile
    return {"profile.json": profile.to_json(), **profile_documents(profile, JUDGE_PROMPT)}


ROUTES: Sequence[tuple[str, str, Handler, Role | None]] = (
    ("GET", "/take", take, "person"),
    ("GET", "/take/{name}", download, "person"),
    ("POST", "/take/delete", delete, "person"),
)

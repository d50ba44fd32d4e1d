"""Who asks, and whether the request may be answered: tokens, a form's own token, names of this machine.

A form is believed when it carries the value of a cookie that this page has set (double submit), and when the
browser names no other origin. Cookies are named by the port, since a machine's ports share them.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal
from urllib.parse import parse_qsl, urlsplit

from starlette.requests import Request
from starlette.responses import Response

from synthesizeme.page.project import Invitations
from synthesizeme.serving.access import SCOPES, Access, called_locally
from synthesizeme.serving.requests import Limits, Refused, read_body

MOST_FIELDS = 64
"""Most fields of a form."""
FORM_KIND = b"application/x-www-form-urlencoded"
Role = Literal["person", "agreed", "team"]
"""Somebody who may be here; who also agreed to what the page does; who is of the team that asks."""


@dataclass(frozen=True)
class Visit:
    """One request of somebody who may be here."""

    request: Request
    user_id: str
    """Whose choices it is about."""
    team: bool
    """Whether what concerns all annotators may be seen."""
    secret: str
    """What a form must carry."""
    form: Mapping[str, str]
    """Fields of the form that was sent; empty for a page that is only looked at."""

    @property
    def query(self) -> Mapping[str, str]:
        """What follows the question mark."""
        return self.request.query_params


class Door:
    """Lets requests in.

    Args:
        user_id: Who the person on this machine is.
        access: Tokens; without them only this machine is answered.
        invitations: Annotators with a link.
        limits: Sizes of forms.
    """

    def __init__(self, user_id: str, access: Access | None, invitations: Invitations, limits: Limits) -> None:
        self.user_id, self.access, self.invitations, self.limits = user_id, access, invitations, limits

    async def enter(self, request: Request, role: Role | None) -> Visit:
        """The visit of a request.

        Args:
            request: The request.
            role: What it takes; None for what everybody may see.

        Raises:
            Refused: it may not come in (401, 403, 421), or its form is none (400, 403, 413, 415).
        """
        if self.access is None and not called_locally(request.headers.get("host", "")):
            raise Refused(421, "this page answers to names of its own machine; start it with --token-file")
        user_id, team = self._who(request)
        if role is not None and user_id is None:
            raise Refused(401, "open the link of your invitation, or give your token")
        if role == "team" and not team:
            raise Refused(403, "this is for the team that asks")
        secret = request.cookies.get(self._named(request, "form"), "")
        secret = secret if len(secret) >= 24 else secrets.token_urlsafe(24)
        form = await self._form(request) if request.method == "POST" else {}
        return Visit(request, user_id or "", team, secret, form)

    def remember(self, visit: Visit, response: Response) -> None:
        """Let the browser keep what its next form must carry."""
        known = visit.request.cookies.get(self._named(visit.request, "form"))
        if visit.secret and known != visit.secret:
            self._keep(visit.request, response, "form", visit.secret)

    def admit(self, request: Request, response: Response, token: str) -> None:
        """Let the browser keep a token."""
        self._keep(request, response, "token", token)

    def agree(self, request: Request, response: Response, terms: str) -> None:
        """Let the browser keep what was agreed to, until the first answer does."""
        self._keep(request, response, "agreed", terms)

    def agreed(self, request: Request) -> str | None:
        """What was agreed to in this browser."""
        return request.cookies.get(self._named(request, "agreed"))

    def opens(self, token: str) -> bool:
        """Whether a token lets anybody in."""
        return self._of_token(token) is not None

    def _who(self, request: Request) -> tuple[str | None, bool]:
        """Whose visit it is, None of a stranger, and whether it is one of the team."""
        token = request.cookies.get(self._named(request, "token"))
        if token is not None and (found := self._of_token(token)) is not None:
            return found
        if self.access is None:
            return self.user_id, True
        level = self.access.level(request.headers.get("authorization"))
        return self._of_level(level) or (None, False)

    def _of_token(self, token: str) -> tuple[str, bool] | None:
        name = self.invitations.name_of(token)
        if name is not None:
            return name, False
        return None if self.access is None else self._of_level(self.access.level(f"Bearer {token}"))

    def _of_level(self, level: int) -> tuple[str, bool] | None:
        """Who adds pairs may choose here; who may export and delete is of the team."""
        if level < SCOPES.index("write"):
            return None
        return self.user_id, level >= SCOPES.index("admin")

    async def _form(self, request: Request) -> dict[str, str]:
        headers = dict(request.scope["headers"])
        if headers.get(b"content-type", b"").partition(b";")[0].strip().lower() != FORM_KIND:
            raise Refused(415, "expected a form")
        origin = request.headers.get("origin")
        if origin is not None and urlsplit(origin).netloc != request.headers.get("host"):
            raise Refused(403, "this form was sent from another page")
        if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
            raise Refused(403, "this form was sent from another page")
        raw = await read_body(request, self.limits)
        try:
            fields = parse_qsl(
                raw.decode("ascii"), keep_blank_values=True, max_num_fields=MOST_FIELDS, errors="strict"
            )
        except ValueError:
            raise Refused(400, "the form cannot be read") from None
        form = dict(fields)
        kept = request.cookies.get(self._named(request, "form"), "")
        if len(kept) < 24 or not hmac.compare_digest(kept.encode(), form.get("secret", "").encode()):
            raise Refused(403, "this form is too old, or your browser keeps no cookies; go back and reload")
        return form

    def _keep(self, request: Request, response: Response, name: str, value: str) -> None:
        response.set_cookie(
            self._named(request, name), value, max_age=365 * 24 * 3600, httponly=True, samesite="lax",
            secure=request.url.scheme == "https",
        )  # fmt: skip

    def _named(self, request: Request, name: str) -> str:
        return f"synthesizeme_{name}_{request.url.port or 0}"

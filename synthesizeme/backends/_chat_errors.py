"""What servers say instead of a reply, in DSPy's terms: errors of any shape, and when to come back."""

from __future__ import annotations

import html
import json
import math
import re
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from synthesizeme.backends._chat_bodies import is_page

if TYPE_CHECKING:
    from dspy.lm15 import LM15Error

KEY_VARIABLE = "SYNTHESIZEME_API_KEY"
"""Environment variable with the key for a server that wants one. Providers' own keys are never sent."""

_TOO_LONG = re.compile(
    r"context.?(?:length|window|size)|prompt is too long|too many (?:input )?tokens|request too large|"
    r"inputs?\W{1,3}tokens|"
    r"(?:longer|greater) than the (?:maximum|model)",
    re.IGNORECASE,
)
_CODES = {
    "insufficient_quota": "BillingError",
    "context_length_exceeded": "ContextLengthError",
    "exceed_context_size_error": "ContextLengthError",
    "model_not_found": "UnsupportedModelError",
    "invalid_api_key": "AuthError",
}
_STATUSES = {
    401: "AuthError", 402: "BillingError", 403: "AuthError", 404: "UnsupportedModelError",
    408: "TimeoutError", 413: "ContextLengthError", 429: "RateLimitError", 504: "TimeoutError",
}  # fmt: skip


_WORDS = ("error", "message", "detail", "error_msg", "errors", "msg")
"""Where the words of an error stand, outermost."""


def read_error(status: int, headers: Mapping[str, str], payload: bytes) -> LM15Error:
    """The canonical error for an HTTP status other than 200.

    Codes and words of the server decide before the status does: a context that is too long comes as 400, 413
    or 422, an empty account as 429.
    """
    from dspy import lm15

    message, code = _error_words(payload)
    if status < 400:
        target = headers.get("Location", "elsewhere")
        return lm15.ConfigurationError(f"the server redirects to {target} (HTTP {status}); use that address")
    name = _CODES.get(code or "") or _STATUSES.get(status)
    if name is None:
        name = "ServerError" if status >= 500 else "InvalidRequestError"
    if name == "InvalidRequestError" and _TOO_LONG.search(message):
        name = "ContextLengthError"
    extra = {"env_keys": (KEY_VARIABLE,)} if name == "AuthError" else {}
    kind = getattr(lm15, name)
    error: LM15Error = kind(
        message or "no explanation given",
        status=status,
        provider_code=code,
        retry_after=retry_after(headers),
        **extra,
    )
    return error


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that the ``Retry-After`` header asks for: a number, or an HTTP date.

    A date is compared with the server's own ``Date``, so that the clock here may be wrong, or jump.
    """
    value = headers.get("Retry-After", "").strip()
    try:
        seconds = float(value)
        return max(seconds, 0.0) if math.isfinite(seconds) else None
    except ValueError:
        pass
    then = _seconds(value)
    if then is None:
        return None
    now = _seconds(headers.get("Date", ""))
    return max(then - (time.time() if now is None else now), 0.0)


def _seconds(date: str) -> float | None:
    """An HTTP date as seconds since 1970, or None."""
    try:
        return parsedate_to_datetime(date).timestamp()
    except (TypeError, ValueError, OverflowError):
        return None


def _error_words(payload: bytes) -> tuple[str, str | None]:
    """Message and code of an error body: OpenAI's shape, older and foreign ones, or the bare text."""
    try:
        body = json.loads(payload)
    except ValueError:
        return _plain(payload), None
    if isinstance(body, list) and body and isinstance(body[0], dict):
        body = body[0]  # Google's gateways
    if not isinstance(body, dict):
        return str(body)[:300], None
    error = next((body[name] for name in _WORDS if body.get(name)), body)
    if isinstance(error, list):
        return "; ".join(map(_complaint, error)), None
    if not isinstance(error, dict):
        return str(error), None
    code = next((error[name] for name in ("code", "type") if isinstance(error.get(name), str)), None)
    metadata, message = error.get("metadata"), str(error.get("message") or error)
    behind = metadata.get("raw") if isinstance(metadata, dict) else None
    named = error.get("param")
    for more in (behind, named):
        if isinstance(more, str) and more and more not in message:
            message += f" ({more[:300]})"
    return message, code


def _complaint(found: Any) -> str:
    """One of a list of complaints, as pydantic writes them, with the field it is about."""
    if not isinstance(found, dict):
        return str(found)
    place, words = found.get("loc"), found.get("msg") or found.get("message") or found
    field = ".".join(map(str, place)) if isinstance(place, list) else ""
    kind, given = found.get("type"), found.get("input")
    aside = ", ".join(it for it in (kind, given) if isinstance(it, str) and len(it) < 40)
    return (f"{field}: " if field else "") + str(words) + (f" ({aside})" if aside else "")


def _plain(payload: bytes) -> str:
    """The words of an error that is no JSON; of a web page its title."""
    text = payload.decode("utf-8", "replace").strip()
    if not is_page(payload):
        return text[:300]
    title = re.search(r"<title[^>]*>(.*?)</title>|<h1[^>]*>(.*?)</h1>", text, re.IGNORECASE | re.DOTALL)
    said = html.unescape(" ".join((title[1] or title[2] or "").split()))[:200] if title else ""
    return f"a web page: {said}" if said else "a web page"

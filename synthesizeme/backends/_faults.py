"""What an exception from a model means, and what is done about it: try again, try without, count, or stop."""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import Awaitable, Callable, Iterable, Sequence, Set
from dataclasses import dataclass, replace

from synthesizeme.backends._base import Model
from synthesizeme.backends._endpoint import Endpoint, Feature, objection, to_leave_out
from synthesizeme.backends._reply import Answer
from synthesizeme.errors import BackendError, ConfigError, CredentialError
from synthesizeme.types import Failure

_DETAIL = 300
_BUGS = (AssertionError, AttributeError, NameError, TypeError)
"""What a fault of a program raises; no endpoint is to blame where the engine is code of this process."""
_CANNOT_CONNECT = frozenset(
    {
        "ConnectionRefusedError", "gaierror", "ConnectError", "ClientConnectorError",
        "ConnectionTimeoutError", "NotAnApiError",
    }
)  # fmt: skip
"""Names of exceptions, of the standard library, of HTTP clients and ours: no such service answers there."""
_FOREIGN = "ForeignReplyError"

_WITHHELD = re.compile(
    r"content[ _-]?filter|content[ _-]?polic|content management|moderation|flagged|"
    r"usage (?:policies|guidelines)|safety|guardrail|prohibited content|inappropriate|responsible ai",
    re.IGNORECASE,
)
"""The request itself was refused for what stands in it."""
_FLAGGED = re.compile("moderation|flagged", re.IGNORECASE)
_NOBODY_SERVES_IT = re.compile(r"no endpoints|no (?:allowed )?providers|data policy", re.IGNORECASE)
"""A gateway has nobody for this one request."""
_ABOUT_THE_KEY = re.compile(
    r"\bkeys?\b|api.?key|token|auth|credential|permission|sign.?in|log.?in|account|billing|subscription|"
    r"organi[sz]ation|access|not allowed to use",
    re.IGNORECASE,
)
_MOST_REPLY = re.compile(r"max_(?:completion_|new_|output_)?tokens", re.IGNORECASE)
_OVER_A_LIMIT = re.compile(
    r"too (?:large|high|big|many)|exceed|at most|less than|greater than|larger than|maximum|up to|<=|"
    r"\brange\b|must be|supports",
    re.IGNORECASE,
)
_UNKNOWN = re.compile(r"not supported|unsupported|unrecogni[sz]ed|unknown|instead", re.IGNORECASE)
_CONTEXT = re.compile(r"(?:context (?:length|window|size)(?: is| of|:)?|<=)\D{0,20}(\d{3,})", re.IGNORECASE)
_PROMPT = re.compile(r"input|prompt|messages|context", re.IGNORECASE)


@dataclass(frozen=True)
class Fault:
    """One attempt that gave no answer."""

    failure: Failure
    """How it counts if nothing more is tried."""
    transient: bool = False
    """Whether another attempt may succeed."""
    retry_after: float | None = None
    """Seconds the endpoint asked us to wait."""
    fatal: BackendError | None = None
    """Set when no call can succeed: the run must stop."""
    denied: BackendError | None = None
    """Set when this call was denied in words that do not tell why: fatal if no call ever succeeds."""
    objects_to: Feature | None = None
    """What of the request the endpoint objects to, where its words name it."""
    unexplained: bool = False
    """Whether the request was refused in words that do not tell what of it is."""
    unreachable: bool = False
    """Whether nothing that is such an endpoint answers at the address."""
    most_retries: int | None = None
    """Retries after such a fault that are worth making, where that is fewer than the policy has."""

    @classmethod
    def empty_reply(cls, answer: Answer, thoughts: str, called: Sequence[str]) -> Fault:
        """A reply without text: worth another attempt, never a verdict.

        Args:
            answer: What came.
            thoughts: What the model thought before, where that is told apart.
            called: Names of the tools that it called.
        """
        aside = f"; the model thought in {len(thoughts):,} characters apart from it" if thoughts else ""
        if answer.cut_off:
            detail = (
                f"the reply was cut off at max_tokens before any text{aside}; give more with --max-tokens"
            )
        elif called:
            detail = f"the model called a tool ({', '.join(called)[:100]}) and said nothing{aside}"
        else:
            detail = f"the reply is empty{aside}"
        return cls(Failure(kind="parse", detail=detail), transient=not answer.cut_off, most_retries=1)


def classify(error: Exception, model: Model, sent: Iterable[Feature] = ()) -> Fault:
    """Sort an exception raised by a `dspy.LM` call.

    Args:
        error: What was raised.
        model: The model that was asked.
        sent: What the request held that an endpoint may object to.

    Raises:
        Exception: what an engine in this process raised by a fault of its program, as it was raised.
    """
    from dspy.utils import exceptions as dspy_errors

    raised = error.__cause__ if isinstance(error, dspy_errors.LMUnexpectedError) else error
    if isinstance(raised, _BUGS) and _runs_here(model):
        raise raised from None
    detail = _short(error)
    if isinstance(error, dspy_errors.LMInvalidRequestError) and (stop := _over_limit(error, model)):
        return Fault(_transport(detail), fatal=stop)
    if (feature := _objection(error, sent)) is not None:
        return Fault(_transport(detail), objects_to=feature)
    if isinstance(error, dspy_errors.ContextWindowExceededError):
        return Fault(Failure(kind="too_long", detail=detail))
    if (refused := _refused(error, detail, model)) is not None:
        return refused
    behind = _names_behind(error)
    if not behind.isdisjoint(_CANNOT_CONNECT):
        return Fault(_transport(detail), transient=True, unreachable=True)
    if _FOREIGN in behind:
        cure = "Cure: give the address of an OpenAI-compatible API, e.g. http://127.0.0.1:8000/v1"
        foreign = BackendError(f"{model.full_name} does not answer as such an API does: {detail} {cure}")
        return Fault(_transport(detail), transient=True, most_retries=1, denied=foreign)
    if isinstance(error, TimeoutError | dspy_errors.LMTimeoutError):
        if getattr(error, "status", None) is None:
            detail = f"no reply within {model.settings.timeout_s:g} s"
        return Fault(_transport(detail), transient=True)
    if isinstance(error, dspy_errors.LMConfigurationError):
        return Fault(_transport(detail), fatal=BackendError(f"{model.full_name} is not set up: {detail}"))
    if isinstance(error, dspy_errors.LMError):
        return Fault(
            _transport(detail),
            transient=dspy_errors.is_retryable_lm_error(error),
            retry_after=getattr(error, "retry_after", None),
        )
    return Fault(_transport(f"{type(error).__name__}: {detail}"), transient=isinstance(error, OSError))


def _objection(error: Exception, sent: Iterable[Feature]) -> Feature | None:
    """What of the request an error objects to, in its own words."""
    from dspy.utils import exceptions as dspy_errors

    other = dspy_errors.ContextWindowExceededError | dspy_errors.LMUnsupportedModelError
    if isinstance(error, dspy_errors.LMServerError):
        return objection(_said(error), sent, server_error=True)
    about = dspy_errors.LMUnsupportedFeatureError | dspy_errors.LMInvalidRequestError
    return (
        objection(_said(error), sent) if isinstance(error, about) and not isinstance(error, other) else None
    )


def _refused(error: Exception, detail: str, model: Model) -> Fault | None:
    """A request that was refused: for what stands in it, for the key, or for good; None for other errors.

    A 403 is about the key only where it says so; a 404 is about the model, unless nobody serves this call.
    """
    from dspy.utils import exceptions as dspy_errors

    refusal = Failure(kind="refusal", detail=detail)
    said = f"{getattr(error, 'provider_code', None)} {_said(error)}"
    if isinstance(error, dspy_errors.LMAuthError | dspy_errors.LMNotConfiguredError):
        keys = " or ".join(getattr(error, "env_keys", None) or ()) or "the provider's key variable"
        message = f"{model.full_name} rejected or lacks a key: {detail} Cure: set {keys}"
        rejected = CredentialError(message)
        if getattr(error, "status", None) == 403:
            about_key = _ABOUT_THE_KEY.search(said)
            if _FLAGGED.search(said) or (_WITHHELD.search(said) and not about_key):
                return Fault(refusal)
            if not about_key:
                return Fault(refusal, denied=rejected)
        return Fault(_transport(detail), fatal=rejected)
    if isinstance(error, dspy_errors.LMBillingError | dspy_errors.LMUnsupportedModelError):
        message = f"{model.full_name} cannot serve any call: {detail} "
        hopeless = BackendError(message + "Cure: check the model's name, the address and the account")
        unserved = isinstance(error, dspy_errors.LMUnsupportedModelError) and _NOBODY_SERVES_IT.search(said)
        return Fault(refusal, denied=hopeless) if unserved else Fault(_transport(detail), fatal=hopeless)
    if isinstance(error, dspy_errors.LMInvalidRequestError | dspy_errors.LMUnsupportedFeatureError):
        if _WITHHELD.search(said):
            return Fault(refusal)
        cure = (
            "Cure: change what it objects to (--model, --max-tokens, --temperature, --structure words, "
            "--extra-body), or ask another model"
        )
        refused = BackendError(f"{model.full_name} refuses what it is asked: {detail} {cure}")
        return Fault(_transport(detail), denied=refused, unexplained=True)
    return None


def _over_limit(error: Exception, model: Model) -> BackendError | None:
    """What to say when no reply may be as long as was asked for; None where the error is another."""
    detail = _said(error)
    if not (_MOST_REPLY.search(detail) and _OVER_A_LIMIT.search(detail)) or _UNKNOWN.search(detail):
        return None
    most = model.settings.max_tokens
    room = _CONTEXT.search(detail)
    if room is None and _PROMPT.search(_MOST_REPLY.sub("", detail)):
        return None
    if room is not None and most < int(room[1]):
        return None
    limits = [number for text in re.findall(r"\d+", detail) if 0 < (number := int(text)) < most]
    fewer = f"--max-tokens {max(limits)} or fewer" if limits and room is None else "a smaller --max-tokens"
    return BackendError(
        f"{model.full_name} gives no replies of up to {most} tokens: {detail} Cure: give {fewer}"
    )


def _runs_here(model: Model) -> bool:
    return not isinstance(model.lm.engine, str) and model.settings.api_base is None


def _transport(detail: str) -> Failure:
    return Failure(kind="transport", detail=detail)


def _names_behind(error: BaseException) -> set[str]:
    """Names of the kinds of an error, and of all that it came of."""
    names: set[str] = set()
    link: BaseException | None = error
    while link is not None:
        names.update(kind.__name__ for kind in type(link).__mro__)
        link = link.__cause__ or link.__context__
    return names


def _said(error: Exception) -> str:
    """The endpoint's own words on one line, without the general advice that DSPy appends."""
    return " ".join(str(error).partition("To fix:")[0].split()) or type(error).__name__


def _short(error: Exception) -> str:
    """As much of the endpoint's own words as fits a message."""
    text = _said(error)
    return text if len(text) <= _DETAIL else text[: _DETAIL - 1] + "…"


MAX_DELAY_S = 120.0
FIRST_CONTACT_RETRIES = 2
"""Retries when no connection can be made and none ever was in this session."""


@dataclass(frozen=True)
class RetryPolicy:
    """What to do about transient faults (429, 5xx, resets, time-outs, empty replies)."""

    retries: int = 5
    """Attempts after the first one."""
    backoff_s: float = 1.0
    """Delay before the first retry in seconds; doubles each time, with jitter; Retry-After wins."""
    give_up_after: int = 16
    """Calls in a row that fail for good before the endpoint counts as unreachable."""

    def __post_init__(self) -> None:
        problems = [
            f"{name} is {getattr(self, name)}; expected {least} or more"
            for name, least in (("retries", 0), ("backoff_s", 0), ("give_up_after", 1))
            if getattr(self, name) < least
        ]
        if problems:
            raise ConfigError(problems)

    def delay(self, attempt: int, retry_after: float | None, rng: random.Random) -> float:
        """Seconds to wait before retry number `attempt` (0-based)."""
        if retry_after is not None:
            return min(max(retry_after, 0.0), MAX_DELAY_S)
        return min(self.backoff_s * 2.0**attempt * (0.5 + rng.random() / 2), MAX_DELAY_S)

    def most_retries(self, fault: Fault, *, reached: bool) -> int:
        """Retries that a fault is worth; `reached`: whether the endpoint ever answered."""
        if not fault.transient:
            return 0
        limit = FIRST_CONTACT_RETRIES if fault.unreachable and not reached else fault.most_retries
        return self.retries if limit is None else min(limit, self.retries)


class Experiment:
    """Made once in a session at most, on its first call that is refused without a word why.

    Only an answer costs anything, and with the first one it ends. The endpoint remembers what was found.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._made = False
        self._lock: asyncio.Lock | None = None

    def end(self) -> None:
        """Forget the loop that it was made in."""
        self._lock = None

    async def make(
        self, fault: Fault, sent: Set[Feature], attempt: Callable[[Endpoint], Awaitable[Answer | Fault]]
    ) -> Answer | Fault:
        """The answer to the call without what is refused, or the fault as it was.

        Args:
            fault: How the call was refused.
            sent: What it held.
            attempt: Makes the call as to an endpoint of which so much is known.
        """
        self._lock = self._lock or asyncio.Lock()
        async with self._lock:
            if not sent.isdisjoint(self._endpoint.refused):  # found out while this call waited
                return await attempt(self._endpoint)
            if self._made:
                return fault
            self._made = True
            for left_out in to_leave_out(sent):
                known = self._endpoint.refused | set(left_out)
                outcome = await attempt(replace(self._endpoint, refused=known))
                if isinstance(outcome, Answer):
                    for feature in left_out:
                        self._endpoint.refuse(feature, fault.failure.detail)
                    return outcome
                if not outcome.unexplained and outcome.objects_to is None:
                    break
        return fault

"""What an exception from a model means: try again, count a failure, or stop the run with a cure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from synthesizeme.errors import BackendError, CredentialError
from synthesizeme.types import Failure

if TYPE_CHECKING:
    from synthesizeme.backends._base import Model
    from synthesizeme.backends._calls import Answer

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
    about_logprobs: bool = False
    """Whether the model only objects to giving token probabilities."""
    unreachable: bool = False
    """Whether nothing that is such an endpoint answers at the address."""
    most_retries: int | None = None
    """Retries that are worth making, where that is fewer than the policy has."""

    @classmethod
    def empty_reply(cls, answer: Answer) -> Fault:
        """A reply without text: worth another attempt, never a verdict."""
        detail = (
            "the reply was cut off at max_tokens before any text" if answer.cut_off else "the reply is empty"
        )
        return cls(Failure(kind="parse", detail=detail), transient=not answer.cut_off, most_retries=1)


def classify(error: Exception, model: Model) -> Fault:
    """Sort an exception raised by a `dspy.LM` call.

    Raises:
        Exception: what an engine in this process raised by a fault of its program, as it was raised.
    """
    from dspy.utils import exceptions as dspy_errors

    raised = error.__cause__ if isinstance(error, dspy_errors.LMUnexpectedError) else error
    if isinstance(raised, _BUGS) and _runs_here(model):
        raise raised from None
    detail = _short(error)
    where = f" at {model.settings.api_base}" if model.settings.api_base else ""
    if isinstance(error, dspy_errors.LMAuthError | dspy_errors.LMNotConfiguredError):
        keys = " or ".join(getattr(error, "env_keys", None) or ()) or "the provider's key variable"
        message = f"{model.name}{where} rejected or lacks a key: {detail} Cure: set {keys}"
        return Fault(_transport(detail), fatal=CredentialError(message))
    if isinstance(error, dspy_errors.LMBillingError | dspy_errors.LMUnsupportedModelError):
        message = f"{model.name}{where} cannot serve any call: {detail} "
        cure = "Cure: check the model's name, the address and the account"
        return Fault(_transport(detail), fatal=BackendError(message + cure))
    if isinstance(error, dspy_errors.ContextWindowExceededError):
        return Fault(Failure(kind="too_long", detail=detail))
    if "logprob" in detail.lower() and isinstance(
        error, dspy_errors.LMUnsupportedFeatureError | dspy_errors.LMInvalidRequestError
    ):
        return Fault(_transport(detail), about_logprobs=True)
    if _unreachable(error):
        return Fault(_transport(detail), transient=True, unreachable=True)
    if isinstance(error, TimeoutError | dspy_errors.LMTimeoutError):
        if getattr(error, "status", None) is None:
            detail = f"no reply within {model.settings.timeout_s:g} s"
        return Fault(_transport(detail), transient=True)
    if isinstance(error, dspy_errors.LMInvalidRequestError) and _withheld(error):
        return Fault(Failure(kind="refusal", detail=detail))
    if isinstance(error, dspy_errors.LMConfigurationError):
        return Fault(_transport(detail), fatal=BackendError(f"{model.name}{where} is not set up: {detail}"))
    if isinstance(error, dspy_errors.LMError):
        return Fault(
            _transport(detail),
            transient=dspy_errors.is_retryable_lm_error(error),
            retry_after=getattr(error, "retry_after", None),
        )
    return Fault(_transport(f"{type(error).__name__}: {detail}"), transient=isinstance(error, OSError))


def _runs_here(model: Model) -> bool:
    return not isinstance(model.lm.engine, str) and model.settings.api_base is None


def _transport(detail: str) -> Failure:
    return Failure(kind="transport", detail=detail)


def _unreachable(error: BaseException) -> bool:
    names: set[str] = set()
    link: BaseException | None = error
    while link is not None:
        names.update(kind.__name__ for kind in type(link).__mro__)
        link = link.__cause__ or link.__context__
    return not names.isdisjoint(_CANNOT_CONNECT)


def _withheld(error: Exception) -> bool:
    """Whether a content filter refused the request; providers give it a code or say it in the message."""
    said = f"{getattr(error, 'provider_code', None)} {error}".lower()
    return any(words in said for words in ("content_filter", "content_policy", "content management policy"))


def _short(error: Exception) -> str:
    """The endpoint's own words on one line, without the general advice that DSPy appends."""
    said = str(error).partition("To fix:")[0]
    text = " ".join(said.split()) or type(error).__name__
    return text if len(text) <= _DETAIL else text[: _DETAIL - 1] + "…"

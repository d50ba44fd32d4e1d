"""From plain settings to a session of a model, with cache, limits and budget; prices of tokens."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from synthesizeme.backends._base import Model, ModelSettings, find_backend, open_model
from synthesizeme.backends._calls import CallCache
from synthesizeme.backends._faults import RetryPolicy
from synthesizeme.backends._ledger import Budget, Caps
from synthesizeme.backends._session import Session
from synthesizeme.progress import OnProgress

_MILLION = 1_000_000


def token_price(model: str, *, api_base: str | None) -> Callable[[int, int], float] | None:
    """The most that so many prompt and completion tokens cost in US dollars.

    A model in this process costs nothing; None where the price is not known, as on a server of one's own.

    Raises:
        UnknownNameError: no backend serves the model.
    """
    backend = find_backend(model, api_base=api_base).__name__.rpartition(".")[2]
    if backend not in ("hosted", "local_server"):
        return lambda prompt, completion: 0.0
    if backend == "local_server":
        return None
    sent, received = _listed(model, _MILLION, 0), _listed(model, 0, _MILLION)
    if sent is None or received is None:
        return None
    return lambda prompt, completion: (prompt * sent + completion * received) / _MILLION


def model_budget(model: Model, caps: Caps) -> Budget:
    """The budget of one session of a model.

    Raises:
        ConfigError: the cost is capped and the price is not known.
    """
    price = None
    if caps.cost_usd is not None:
        price = token_price(model.name, api_base=model.settings.api_base)
    return Budget(caps, max_tokens=model.settings.max_tokens, price=price)


def _listed(model: str, prompt_tokens: int, completion_tokens: int) -> float | None:
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    from dspy import lm15
    from dspy.clients.costs import estimate_cost

    provider, _, name = model.partition("/")
    usage = lm15.Usage(input_tokens=prompt_tokens, output_tokens=completion_tokens)
    message = lm15.Message.assistant("")
    reply = lm15.Response(id=None, model=name, message=message, finish_reason="stop", usage=usage)
    cost, _ = estimate_cost(reply, provider=provider, requested_model=name)
    return None if cost is None else float(cost)


@dataclass(frozen=True, kw_only=True)
class SessionSettings:
    """Which model is asked, and how: plain values, to be handed to any process."""

    model: str = "builtin"
    """The model's name; see `open_model`."""
    model_settings: ModelSettings = field(default_factory=ModelSettings)
    """How to reach it and what to ask of it."""
    cache_dir: Path | None = None
    """Folder of finished calls; None keeps none."""
    concurrency: int = 8
    """Most calls in flight."""
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    """What to do about transient faults."""
    caps: Caps = field(default_factory=Caps)
    """Most that the calls may take."""

    @contextmanager
    def open_session(self, progress: OnProgress | None = None) -> Iterator[Session]:
        """A session with these settings, closed at the end.

        Args:
            progress: See `Session`.

        Raises:
            UnknownNameError: no backend serves the model.
            CredentialError: its key is missing.
            ConfigError: the cache cannot be used, or the cost is capped and the price is not known.
        """
        model = open_model(self.model, self.model_settings)
        with ExitStack() as stack:
            cache = stack.enter_context(CallCache(self.cache_dir)) if self.cache_dir else None
            session = Session(
                model, cache=cache, concurrency=self.concurrency, retry=self.retry, progress=progress,
                budget=model_budget(model, self.caps),
            )  # fmt: skip
            yield stack.enter_context(session)

"""From plain settings to a session of a model, with its cache, its limits and its budget."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from synthesizeme.backends._base import ModelSettings, open_model
from synthesizeme.backends._calls import CallCache
from synthesizeme.backends._faults import RetryPolicy
from synthesizeme.backends._ledger import Caps
from synthesizeme.backends._prices import model_budget
from synthesizeme.backends._session import Session
from synthesizeme.progress import OnProgress


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

"""From the model flags to a session."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from synthesizeme.cli._options import ModelOptions
from synthesizeme.errors import ConfigError, CredentialError

if TYPE_CHECKING:
    from synthesizeme.backends import Model, Progress, Session


def check_model(options: ModelOptions) -> None:
    """Refuse a model that no backend serves, without loading any.

    Raises:
        UnknownNameError: the name has an unknown prefix.
    """
    from synthesizeme.backends._base import find_backend

    find_backend(options.model, api_base=options.api_base)


def model_of(options: ModelOptions) -> Model:
    """The model that the flags name.

    Raises:
        ConfigError: a flag has an impossible value.
        CredentialError: the key is missing.
    """
    from synthesizeme.backends import ModelSettings, open_model

    settings = ModelSettings(
        api_base=options.api_base,
        api_key=_key(options.api_key_env),
        temperature=options.temperature,
        max_tokens=options.max_tokens,
        timeout_s=options.timeout,
    )
    logging.getLogger("dspy").setLevel(logging.ERROR)  # what it warns of is counted and shown here
    return open_model(options.model, settings)


@contextmanager
def open_session(options: ModelOptions, progress: Callable[[Progress], None] | None) -> Iterator[Session]:
    """The session that the flags ask for, closed at the end.

    Raises:
        ConfigError: a flag has an impossible value, or the cache cannot be used.
        CredentialError: the key is missing.
    """
    from synthesizeme.backends import CallCache, RetryPolicy, Session, default_cache_dir

    if options.no_cache and options.cache_dir is not None:
        raise ConfigError("--no-cache and --cache-dir exclude each other")
    model = model_of(options)
    with ExitStack() as stack:
        cache = None
        if not options.no_cache:
            cache = stack.enter_context(CallCache(options.cache_dir or default_cache_dir()))
        session = Session(
            model,
            cache=cache,
            concurrency=options.concurrency,
            retry=RetryPolicy(retries=options.retries),
            progress=progress,
        )
        yield stack.enter_context(session)


def _key(variable: str | None) -> str | None:
    if variable is None:
        return None
    if not (key := os.environ.get(variable)):
        raise CredentialError(
            f"the environment variable {variable} (--api-key-env) is not set. Cure: set it to the key"
        )
    return key

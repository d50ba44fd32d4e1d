"""From the model flags to a session."""

from __future__ import annotations

import json
import logging
import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synthesizeme.cli._options import ModelOptions
from synthesizeme.errors import ConfigError, CredentialError
from synthesizeme.plain_text import printable

if TYPE_CHECKING:
    from synthesizeme.backends import Caps, Model, ModelSettings, Session
    from synthesizeme.progress import Progress

_VARIABLE = re.compile(r"\$(?:([A-Za-z_]\w*)|\{([A-Za-z_]\w*)\})")
"""A variable of the environment in the value of a header."""


def check_model(options: ModelOptions) -> None:
    """Refuse a model that no backend serves, without loading any.

    Raises:
        UnknownNameError: the name has an unknown prefix.
    """
    from synthesizeme.backends import find_backend

    find_backend(options.model, api_base=options.api_base)


def model_of(options: ModelOptions) -> Model:
    """The model that the flags name.

    Raises:
        ConfigError: a flag has an impossible value.
        CredentialError: the key is missing.
    """
    from synthesizeme.backends import open_model

    settings = settings_of(options)
    logging.getLogger("dspy").setLevel(logging.ERROR)  # what it warns of is counted and shown here
    return open_model(options.model, settings)


def settings_of(options: ModelOptions) -> ModelSettings:
    """How to reach the model and what to ask of it.

    Raises:
        ConfigError: a flag has an impossible value.
        CredentialError: the variable that should hold the key is not set.
    """
    from synthesizeme.backends import ModelSettings

    return ModelSettings(
        api_base=options.api_base,
        api_key=_key(options.api_key_env),
        temperature=options.temperature,
        max_tokens=options.max_tokens,
        timeout_s=options.timeout,
        structure=options.structure,
        extra_body=_body_fields(options.extra_body or ()),
        headers=_headers(options.header or ()),
    )


def cache_place(options: ModelOptions) -> Path | None:
    """Folder of finished calls; None where none are kept.

    Raises:
        ConfigError: the flags contradict each other.
    """
    from synthesizeme.backends import default_cache_dir

    if options.no_cache and options.cache_dir is not None:
        raise ConfigError("--no-cache and --cache-dir exclude each other")
    return None if options.no_cache else options.cache_dir or default_cache_dir()


@contextmanager
def open_session(
    options: ModelOptions, progress: Callable[[Progress], None] | None, caps: Caps | None = None
) -> Iterator[Session]:
    """The session that the flags ask for, closed at the end; its calls keep to the caps, if there are any.

    Raises:
        ConfigError: a flag has an impossible value, or the cache cannot be used.
        CredentialError: the key is missing.
    """
    from synthesizeme.backends import CallCache, RetryPolicy, Session

    place = cache_place(options)
    model = model_of(options)
    budget = None
    if caps is not None and caps.any:
        from synthesizeme.induction.job import model_budget

        budget = model_budget(model, caps)
    with ExitStack() as stack:
        cache = None if place is None else stack.enter_context(CallCache(place))
        session = Session(
            model,
            cache=cache,
            concurrency=options.concurrency,
            retry=RetryPolicy(retries=options.retries),
            progress=progress,
            budget=budget,
        )
        yield stack.enter_context(session)


def _body_fields(given: Sequence[str]) -> dict[str, Any]:
    """Fields of a request: what is no JSON is a text.

    Raises:
        ConfigError: one has no name, or is what the program sets itself.
    """
    fields: dict[str, Any] = {}
    for assignment in given:
        name, there, text = assignment.partition("=")
        if not there or not name.strip():
            raise ConfigError(f"--extra-body {printable(assignment, 60)}: expected KEY=VALUE, e.g. top_k=1")
        if name.strip() in ("model", "messages", "stream", "n"):
            raise ConfigError(f"--extra-body {name.strip()}: is set by the program; leave it out")
        try:
            fields[name.strip()] = json.loads(text)
        except ValueError:
            fields[name.strip()] = text
    return fields


def _headers(given: Sequence[str]) -> dict[str, str]:
    """Headers by name. They may hold keys: no value is shown.

    Raises:
        ConfigError: one has no name, or what no header may hold.
        CredentialError: a variable of the environment that one names is not set.
    """
    headers: dict[str, str] = {}
    for assignment in given:
        name, there, text = assignment.partition("=")
        value = os.path.expandvars(text).strip()
        if not there or not re.fullmatch(r"[\w!#$%&'*+.^`|~-]+", name.strip()):
            raise ConfigError("--header: expected NAME=VALUE, where NAME is that of an HTTP header")
        if not value or not value.isprintable():
            raise ConfigError(
                f"--header {name.strip()}: is empty or holds control characters; expected text on one line"
            )
        for variable in (found[1] or found[2] for found in _VARIABLE.finditer(text)):
            if variable not in os.environ:
                raise CredentialError(
                    f"the environment variable {variable} (--header {name.strip()}) is not set. Cure: set it"
                )
        headers[name.strip()] = value
    return headers


def _key(variable: str | None) -> str | None:
    if variable is None:
        return None
    if not (key := os.environ.get(variable, "").strip()):
        raise CredentialError(
            f"the environment variable {variable} (--api-key-env) is not set. Cure: set it to the key"
        )
    return key

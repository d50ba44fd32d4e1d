"""The flags that say which language model is asked, and how profiles are induced; from them to a session."""

from __future__ import annotations

import json
import logging
import os
import re
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import typer

from synthesizeme.cli._command import option
from synthesizeme.cli._options import FURTHER, JUDGE_PROMPT, SEED, THETA
from synthesizeme.errors import ConfigError, CredentialError
from synthesizeme.plain_text import printable

if TYPE_CHECKING:
    from synthesizeme.backends import Caps, Model, Session, SessionSettings
    from synthesizeme.induction import InductionSettings
    from synthesizeme.judges.names import RetrievalSettings
    from synthesizeme.progress import Progress
    from synthesizeme.retrieval import Encode


MODEL_PANEL = "Model"
CACHE_PANEL = "Cache"
_VARIABLE = re.compile(r"\$(?:([A-Za-z_]\w*)|\{([A-Za-z_]\w*)\})")
"""A variable of the environment in the value of a header."""


def _remember_cache(context: typer.Context, value: bool) -> bool:
    if isinstance(context.obj, dict):
        context.obj["calls_kept"] = not value
    return value


@dataclass(frozen=True)
class ModelOptions:
    """Flags of every verb that asks a model."""

    model: str = option(
        "builtin",
        "Language model to ask, or builtin, a rule-based reader, not a language model. builtin needs no "
        "download and no key; openai/…, anthropic/…, gemini/… and other providers; hf:PATH_OR_NAME for a "
        "transformers model in this process; or the name that the server at --api-base knows.",
        "NAME",
    )
    api_base: str | None = option(
        None, "OpenAI-compatible server: vLLM, SGLang, llama.cpp, Ollama, transformers serve.", "URL"
    )
    api_key_env: str | None = option(
        None, "Environment variable that holds the key, if not the provider's own.", "NAME", panel=MODEL_PANEL
    )
    temperature: float | None = option(
        None,
        "Sampling temperature, sent exactly as given; by default 0, with --effort high 0.7.",
        "T",
        panel=MODEL_PANEL,
        min=0,
        max=2,
    )
    max_tokens: int = option(1024, "Most tokens of one reply.", "N", panel=MODEL_PANEL, min=1)
    structure: Literal["auto", "json", "words", "continue"] = option(
        "auto",
        "How a judge's replies are held to their form: words (by the prompt alone), json (by a schema "
        "that the endpoint enforces), continue (the model's own turn is begun and its next word "
        "read), auto (in words, and in another way where that cannot be read; learned once for each "
        "endpoint).",
        panel=MODEL_PANEL,
    )
    extra_body: list[str] | None = option(
        None,
        "Further field of every request to an endpoint, in JSON: top_k=1, "
        'chat_template_kwargs={"enable_thinking": false}. May be repeated.',
        "KEY=VALUE",
        panel=MODEL_PANEL,
    )
    header: list[str] | None = option(
        None,
        "Further header of every request to the server at --api-base; $NAME in it is read from the "
        "environment. May be repeated.",
        "NAME=VALUE",
        panel=MODEL_PANEL,
    )
    timeout: float = option(60.0, "Seconds one attempt may take.", "S", panel=MODEL_PANEL)
    retries: int = option(
        5, "Further attempts after a transient fault, with back-off.", "N", panel=MODEL_PANEL, min=0
    )
    concurrency: int = option(
        8, "Most calls in flight; the results do not depend on it.", "N", panel=MODEL_PANEL, min=1
    )
    cache_dir: Path | None = option(
        None,
        "Folder of finished calls; by default $SYNTHESIZEME_CACHE_DIR or the user's cache folder.",
        "DIR",
        panel=CACHE_PANEL,
    )
    no_cache: bool = option(
        False, "Neither read nor keep finished calls.", panel=CACHE_PANEL, callback=_remember_cache
    )


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

    asked = session_settings(options)
    return open_model(asked.model, asked.model_settings)


def session_settings(options: ModelOptions, caps: Caps | None = None) -> SessionSettings:
    """How the flags say that the model is asked.

    Raises:
        ConfigError: a flag has an impossible value, or two contradict each other.
        CredentialError: the variable that should hold the key is not set.
    """
    from synthesizeme.backends import Caps, ModelSettings, RetryPolicy, SessionSettings, default_cache_dir

    if options.no_cache and options.cache_dir is not None:
        raise ConfigError("--no-cache and --cache-dir exclude each other")
    logging.getLogger("dspy").setLevel(logging.ERROR)  # what it warns of is counted and shown here
    return SessionSettings(
        model=options.model,
        model_settings=ModelSettings(
            api_base=options.api_base,
            api_key=_key(options.api_key_env),
            temperature=options.temperature,
            max_tokens=options.max_tokens,
            timeout_s=options.timeout,
            structure=options.structure,
            extra_body=_body_fields(options.extra_body or ()),
            headers=_headers(options.header or ()),
        ),
        cache_dir=None if options.no_cache else options.cache_dir or default_cache_dir(),
        concurrency=options.concurrency,
        retry=RetryPolicy(retries=options.retries),
        caps=caps or Caps(),
    )


def open_session(
    options: ModelOptions, progress: Callable[[Progress], None] | None, caps: Caps | None = None
) -> AbstractContextManager[Session]:
    """The session that the flags ask for, closed at the end; its calls keep to the caps, if there are any.

    Raises:
        ConfigError: a flag has an impossible value, or the cache cannot be used.
        CredentialError: the key is missing.
    """
    return session_settings(options, caps).open_session(progress)


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


RETRIEVAL_PANEL = "Retrieval"


@dataclass(frozen=True)
class RetrievalOptions:
    """How many past items a retrieval-augmented judge is shown, and which encoder ``dense`` uses."""

    retrieved: int = option(
        4,
        "Past items that a retrieval-augmented judge is shown with each question, at most.",
        "K",
        panel=RETRIEVAL_PANEL,
        min=1,
    )
    prompt_tokens: int = option(
        8192,
        "Words and marks of a whole prompt with retrieved items; items are cut and dropped to fit, "
        "the question never is.",
        "N",
        panel=RETRIEVAL_PANEL,
        min=1,
    )
    encoder: str = option(
        "",
        "Encoder of the dense retriever: static, minilm, a folder or hub name of "
        "sentence-transformers, lm:NAME:mean, several joined by +, or the folder of a distilled one; "
        "the best one here if none is given (see doctor).",
        "NAME",
        panel=RETRIEVAL_PANEL,
    )

    def settings(self) -> RetrievalSettings:
        """The same for the library."""
        from synthesizeme.judges.names import RetrievalSettings

        return RetrievalSettings(
            k=self.retrieved,
            max_tokens=self.prompt_tokens,
            encoder=self.encoder,
            open_encoder=self._open_encoder,
        )

    def _open_encoder(self) -> Encode:
        from reward_models.dense_retrieval import open_encoder

        return open_encoder(self.encoder)


@dataclass(frozen=True)
class InductionOptions:
    """How profiles are induced."""

    effort: Literal["low", "medium", "high"] = option(
        "medium",
        "Calls to spend on a user: at most 60, 100, 160 for 10, 20, 40 pairs; low half, high twice, "
        "with replies that are sampled, and averaged where validation pairs speak for it.",
    )
    search: Literal["economical", "paper"] = option(
        "economical", "The economical search, or the plain one of the SynthesizeMe paper.", panel=FURTHER
    )
    seed: int = SEED()
    judge_prompt: str = JUDGE_PROMPT()
    theta: str = THETA()

    def asking(self, model: ModelOptions) -> ModelOptions:
        """The model's flags at this effort: the highest samples, unless a temperature is given."""
        if self.effort != "high" or model.temperature is not None:
            return model
        from synthesizeme.backends import SAMPLING_TEMPERATURE

        return replace(model, temperature=SAMPLING_TEMPERATURE)

    def settings(self, *, evaluate: bool = True, baselines: bool = False) -> InductionSettings:
        """The same for the library."""
        from synthesizeme.induction import InductionSettings

        return InductionSettings(
            effort=self.effort,
            search=self.search,
            seed=self.seed,
            judge_prompt=self.judge_prompt,
            theta=self.theta,
            evaluate=evaluate,
            baselines=baselines,
        )

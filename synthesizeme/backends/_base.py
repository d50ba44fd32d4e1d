"""What a backend is: a module whose `open_lm` turns a model name into a `dspy.LM`, plus plain words about it.

A backend module has

- ``PREFIXES``: model names it serves (``"builtin"`` exactly, or a prefix that ends in ``/`` or ``:``);
- ``KIND``: what such a model is, in plain words, for profiles and help;
- ``open_lm(name, settings) -> dspy.LM``: the language model. Its errors are those of ``dspy.lm15``;
- ``ASYNCHRONOUS``: whether calls wait for something (network, batches) and should overlap.

The file is the registration: nothing else lists backends.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from types import ModuleType
from typing import TYPE_CHECKING

from synthesizeme import discovery
from synthesizeme.errors import ConfigError, UnknownNameError

if TYPE_CHECKING:
    import dspy

LOCAL_SERVER = "local-server"


@dataclass(frozen=True)
class ModelSettings:
    """How to reach a model and what to ask of it. None means: the provider's own default."""

    api_base: str | None = None
    """Address of an OpenAI-compatible server, e.g. ``http://127.0.0.1:8000/v1``."""
    api_key: str | None = field(default=None, repr=False)
    """Key; None reads the provider's environment variable."""
    temperature: float | None = None
    """Sampling temperature in [0, 2]; sent exactly as given, never changed."""
    max_tokens: int = 1024
    """Most tokens a reply may have."""
    timeout_s: float = 60.0
    """Seconds one attempt may take."""
    logprobs: bool = True
    """Ask for token probabilities where the model gives them."""
    batch_size: int = 8
    """Most prompts an in-process model reads at once."""
    device: str = "auto"
    """Where an in-process model runs: ``auto``, ``cpu``, ``cuda``, ``cuda:1`` ..."""

    def __post_init__(self) -> None:
        problems = []
        if self.temperature is not None and not 0 <= self.temperature <= 2:
            problems.append(f"temperature is {self.temperature}; expected 0 to 2")
        if self.max_tokens < 1:
            problems.append(f"max_tokens is {self.max_tokens}; expected 1 or more")
        if not self.timeout_s > 0:
            problems.append(f"timeout is {self.timeout_s} s; expected more than 0")
        if self.batch_size < 1:
            problems.append(f"batch_size is {self.batch_size}; expected 1 or more")
        if problems:
            raise ConfigError(problems)


@dataclass(frozen=True)
class Model:
    """An opened language model with what a caller must know about it."""

    lm: dspy.LM
    name: str
    """The name it was opened under; goes into profiles and cache keys."""
    kind: str
    """What it is, in plain words."""
    asynchronous: bool
    """Whether its calls should overlap."""
    settings: ModelSettings = ModelSettings()


def backends() -> Iterator[ModuleType]:
    """All backend modules, by name."""
    for name in discovery.names("synthesizeme.backends"):
        yield discovery.load("synthesizeme.backends", name, kind="backend")


def _serves(prefix: str, name: str) -> bool:
    return name.startswith(prefix) and len(name) > len(prefix) if prefix[-1] in "/:" else name == prefix


def find_backend(name: str, *, api_base: str | None) -> ModuleType:
    """The backend that serves model `name`; with `api_base`, the OpenAI-compatible server there.

    Raises:
        UnknownNameError: no backend serves such a name; lists the prefixes there are.
    """
    if api_base is not None:
        return discovery.load("synthesizeme.backends", LOCAL_SERVER, kind="backend")
    modules = list(backends())
    for module in modules:
        if any(_serves(prefix, name) for prefix in module.PREFIXES):
            return module
    known = [
        prefix + ("NAME" if prefix[-1] in "/:" else "") for module in modules for prefix in module.PREFIXES
    ]
    raise UnknownNameError("model", name, known)


def open_model(name: str = "builtin", settings: ModelSettings | None = None) -> Model:
    """Open a language model by name.

    Args:
        name: ``builtin`` (a rule-based reader, no download), ``openai/gpt-4o`` and the other providers,
            ``hf:PATH_OR_NAME`` for a transformers model in this process, or the model name that an
            OpenAI-compatible server at ``settings.api_base`` knows.
        settings: How to reach it; defaults of `ModelSettings`.

    Raises:
        UnknownNameError: no backend serves the name.
        CredentialError: the provider's key is missing.
        MissingExtraError: the backend's libraries are not installed.
    """
    settings = settings or ModelSettings()
    module = find_backend(name, api_base=settings.api_base)
    return Model(module.open_lm(name, settings), name, module.KIND, module.ASYNCHRONOUS, settings)

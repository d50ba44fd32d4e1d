"""What a backend is: a module whose `open_lm` turns a model name into a `dspy.LM`, plus plain words about it.

A backend module has

- ``PREFIXES``: model names it serves (``"builtin"`` exactly, or a prefix that ends in ``/`` or ``:``);
- ``KIND``: what such a model is, in plain words, for profiles and help;
- ``open_lm(name, settings) -> dspy.LM``: the language model. Its errors are those of ``dspy.lm15``;
- ``ASYNCHRONOUS``: whether calls wait for something (network, batches) and should overlap;
- ``SAMPLES``: whether replies are drawn at a temperature above 0, so that a further sample may differ;
- ``WAYS``: what can be done beside asking in words: ``json`` (a schema may be sent), ``continue`` (the
  model's own turn may be begun), ``choose`` (between words, by their exact probabilities), ``mend`` (a reply
  may be asked about);
- ``TAKES``: the fields of `ModelSettings` that only some backends take, and this one does: ``extra_body``,
  ``headers``.

The file is the registration: nothing else lists backends.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import ModuleType
from typing import TYPE_CHECKING, Any

from synthesizeme import discovery
from synthesizeme.backends._reply import STRUCTURES, Structure
from synthesizeme.errors import ConfigError, UnknownNameError

if TYPE_CHECKING:
    import dspy

LOCAL_SERVER = "local-server"
SAMPLING_TEMPERATURE = 0.7
"""At which a further sample of the same answer is drawn, unless a temperature is given."""


@dataclass(frozen=True)
class ModelSettings:
    """How to reach a model and what to ask of it."""

    api_base: str | None = None
    """Address of an OpenAI-compatible server, e.g. ``http://127.0.0.1:8000/v1``."""
    api_key: str | None = field(default=None, repr=False)
    """Key; None reads the provider's environment variable. White space around it is no part of it."""
    temperature: float | None = None
    """Sampling temperature in [0, 2], sent exactly as given; None sends 0, and `SAMPLING_TEMPERATURE` for
    further samples of the same answer."""
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
    structure: Structure = "auto"
    """How replies are held to their form; see `synthesizeme.backends._reply.Structure`."""
    extra_body: Mapping[str, Any] = field(default_factory=dict, hash=False)
    """Further fields of the request's JSON body, by name."""
    headers: Mapping[str, str] = field(default_factory=dict, hash=False, repr=False)
    """Further headers of a request to the server at `api_base`. They may hold secrets and are never shown."""

    def __post_init__(self) -> None:
        problems = []
        if self.structure not in STRUCTURES:
            problems.append(f"structure is {self.structure!r}; expected {', '.join(STRUCTURES)}")
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
        object.__setattr__(self, "api_key", (self.api_key or "").strip() or None)

    def facts(self) -> dict[str, Any]:
        """What of it may change answers, as plain values; never a key or a header."""
        return {
            "api_base": self.api_base,
            "temperature": self.temperature_of(0),
            "max_tokens": self.max_tokens,
            "logprobs": self.logprobs,
            "structure": self.structure,
            "extra_body": dict(self.extra_body),
        }

    def temperature_of(self, sample_index: int) -> float:
        """The temperature that is sent for a sample of an answer."""
        if self.temperature is not None:
            return self.temperature
        return SAMPLING_TEMPERATURE if sample_index else 0.0


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
    ways: frozenset[str] = frozenset()
    """What can be done beside asking in words; `WAYS` of its backend."""
    draws: bool = True
    """Whether its replies are drawn at a temperature above 0; `SAMPLES` of its backend."""

    @property
    def samples(self) -> bool:
        """Whether a further sample of an answer may differ from the first."""
        return self.draws and self.settings.temperature_of(1) > 0

    @property
    def full_name(self) -> str:
        """Its name and, where one is set, the address at which it is asked; for messages."""
        return f"{self.name} at {self.settings.api_base}" if self.settings.api_base else self.name


def backends() -> Iterator[ModuleType]:
    """All backend modules, by name."""
    for name in discovery.names("synthesizeme.backends"):
        yield discovery.load("synthesizeme.backends", name, kind="backend")


def most_follow_ups(name: str, *, api_base: str | None) -> int:
    """Requests beside the first that one question may take, where no reply to it can be read.

    Raises:
        UnknownNameError: no backend serves such a name.
    """
    return len({"json", "continue", "mend"} & set(find_backend(name, api_base=api_base).WAYS))


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
    _check_settings(name, module, settings)
    lm = module.open_lm(name, settings)
    return Model(lm, name, module.KIND, module.ASYNCHRONOUS, settings, frozenset(module.WAYS), module.SAMPLES)


def _check_settings(name: str, module: ModuleType, settings: ModelSettings) -> None:
    """Refuse what the backend of a model cannot do.

    Raises:
        ConfigError: it takes no such structure, no fields of a request, or no headers.
    """
    problems = []
    can = [it for it in STRUCTURES if it in ("auto", "words", *module.WAYS)]
    if settings.structure not in can:
        problems.append(f"structure is {settings.structure!r}; {name} takes {' or '.join(can)}")
    if settings.extra_body and "extra_body" not in module.TAKES:
        problems.append(f"extra_body is given, but {name} is asked in this process; leave it out")
    if settings.headers and "headers" not in module.TAKES:
        problems.append(
            f"headers are given, but {name} is not asked at an api_base; leave them out, or give one"
        )
    if problems:
        raise ConfigError(problems)

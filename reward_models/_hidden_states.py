"""Hidden states of frozen language models as features of a response in its conversation."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch.nn.utils.rnn import pad_sequence
from transformers import AutoModel, AutoTokenizer

from reward_models._backbone import quiet
from reward_models._pretrained import digest, locate
from reward_models._rendering import Located, Renderer
from reward_models._threads import alone
from reward_models._types import Matrix, Prompt, Unit
from synthesizeme.errors import DataError
from synthesizeme.types import Message

ROWS_AT_ONCE = 32
"""Rows per forward pass on an accelerator; on a CPU each is read alone."""
LONGEST = 4096
"""Tokens of the window where the model names no limit or a larger one."""


class HiddenStates:
    """Last hidden states of a transformer that reads the whole conversation: ``last`` and ``mean``.

    ``last`` is the state at the last token, where the turn has ended; ``mean`` is the mean over the
    response's tokens, without what the chat template puts behind them. Of a prompt, ``last`` is that of the
    conversation with an empty response, and ``mean`` is over all of its tokens. One forward pass gives both.
    Conversations beyond the model's window are cut as in `Renderer`, the same way on both sides of a pair. On
    a CPU a vector is bit-identical in any company (see `alone`); on an accelerator rows are read together,
    sorted by length and padded on the right, and agree to rounding.

    Args:
        model: A transformer without head, e.g. of `transformers.AutoModel`.
        tokenizer: Its tokenizer.
    """

    def __init__(self, model: Any, tokenizer: Any) -> None:
        self._model = model.eval()
        config = model.config.get_text_config()
        limits = [getattr(config, "max_position_embeddings", None), tokenizer.model_max_length, LONGEST]
        window = min(limit for limit in limits if limit and limit > 0)
        self._render = Renderer(tokenizer, window)
        width = int(config.hidden_size)
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
            return alone(lambda some: self.read(some, 1), readings)
        return self.read(readings, ROWS_AT_ONCE)

    def _reading(self, unit: Unit) -> Located:
        prompt = [Message(role=role, content=content) for role, content in json.loads(unit[0])]
        if len(unit) == 1:
            ids = self._render(prompt, "").ids
            return Located(ids, 0, len(ids))
        return self._render.located(prompt, unit[1])

    def read(self, readings: Sequence[Located], rows_at_once: int) -> Matrix:
        """Vectors of token sequences, (n, dim), `rows_at_once` of similar length in one forward pass."""
        found = np.empty((len(readings), self.dim), dtype=np.float32)
        order = sorted(range(len(readings)), key=lambda i: len(readings[i].ids))
        for start in range(0, len(order), rows_at_once):
            rows = order[start : start + rows_at_once]
            found[rows] = self._pooled([readings[i] for i in rows])
        return found

    def _pooled(self, readings: Sequence[Located]) -> Any:
        """Vectors (b, dim) of one forward pass."""
        device = self._model.device
        ids = pad_sequence([torch.tensor(reading.ids) for reading in readings], batch_first=True).to(device)
        bounds = [(reading.begin, reading.end, len(reading.ids)) for reading in readings]
        begins, ends, lengths = torch.tensor(bounds, device=device).T
        places = torch.arange(ids.shape[1], device=device)
        with torch.inference_mode():
            mask = (places < lengths[:, None]).long()
            states = self._model(input_ids=ids, attention_mask=mask).last_hidden_state.float()
            counted = ((begins[:, None] <= places) & (places < ends[:, None]))[:, :, None]
            means = torch.where(counted, states, 0).sum(dim=1) / (ends - begins)[:, None]
            last = states[torch.arange(len(ids), device=device), lengths - 1]
            return torch.cat([last, means], dim=1).cpu().numpy()


@lru_cache(maxsize=2)
def open_hidden_states(name: str, dtype: str = "auto") -> HiddenStates:
    """The hidden states of a language model, opened once.

    Args:
        name: A folder or a hub name.
        dtype: ``auto`` (float32 on a CPU, elsewhere the format of the files) or ``bfloat16``.

    Raises:
        DataError: there is no such model, or the hub is out of reach.
    """
    place = locate(name)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    if dtype == "auto" and device == "cpu":
        dtype = "float32"
    with quiet():
        try:
            tokenizer = AutoTokenizer.from_pretrained(place)
            model = AutoModel.from_pretrained(place, dtype=dtype)
        except (OSError, ValueError, KeyError) as error:
            reason = (str(error) or type(error).__name__).strip().splitlines()[0]
            raise DataError(
                f"no language model can be read here ({reason})",
                source=place,
                cure="name a folder written by save_pretrained, or another hub name.",
            ) from error
    return HiddenStates(model.to(device), tokenizer)

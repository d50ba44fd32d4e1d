"""How likely a language model finds responses: after their prompt, without it, in parts, and their end.

The tokens of a response stand behind those that open the assistant's turn, by the chat template where there
is one. They are read in stretches of `STRETCH` tokens, each right behind the prompt and behind the last
`OVERLAP` tokens of the stretch before. Of a response of more than `LONGEST` tokens the first and the last
half of that are read, so that the end of turn is always read behind the true end of the text.
"""

from __future__ import annotations

import copy
import inspect
import json
from collections.abc import Sequence
from functools import cached_property, lru_cache
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import AutoModelForCausalLM, DynamicCache

from reward_models._pretrained import digest
from reward_models._rendering import Renderer
from reward_models._transformers import open_transformer, single_threaded
from synthesizeme.errors import DataError
from synthesizeme.types import Message, last_user_turn

Floats = NDArray[np.float64]
STRETCH = 256
"""Tokens of a response that are read at once."""
OVERLAP = 32
"""Tokens of the stretch before that are read again, uncounted, in front of a stretch."""
LONGEST = 512
"""Tokens of a response that are read at most."""
OPENING = 128
"""Tokens of a response that are also read without its prompt."""
WINDOW = 24
"""Tokens of a stretch in which junk is looked for."""
ASKED_NOTHING = (Message(role="user", content="Tell me something."),)
"""The prompt of a response that is read without its own."""
_FURTHEST = 1024
"""Tokens of the longest prompt; of a longer one the middle is left out."""
_MARK = "\u2042"


class Likelihoods(NamedTuple):
    """Log-likelihoods of n responses in nats a token, each of shape (n,)."""

    given: Floats
    """Mean of the response's tokens after its prompt."""
    gain: Floats
    """How much likelier the first `OPENING` tokens are on average than after a prompt that asks nothing."""
    worst: Floats
    """Lowest mean of about `WINDOW` tokens in a row, after the prompt."""
    end: Floats
    """Of the end of the turn behind the last token; nan where the chat template ends no turn."""
    tokens: Floats
    """Tokens that were read of the response."""
    prompt: Floats
    """Mean of the last user turn's tokens, which says how well the model knows its language."""


class LanguageModel:
    """A causal language model that reads responses one by one, without a gradient.

    Args:
        model: A causal language model of transformers.
        tokenizer: Its tokenizer; gets a plain chat template if it has none.

    Raises:
        DataError: its window is too small to read a prompt and a stretch of a response.
    """

    def __init__(self, model: Any, tokenizer: Any) -> None:
        self._model, self._tokenizer = model.eval(), tokenizer
        limits = [
            getattr(model.config.get_text_config(), "max_position_embeddings", None),
            tokenizer.model_max_length,
        ]
        window = min([2 * _FURTHEST, *(limit for limit in limits if limit and limit > 0)])
        # Half of the renderer's window is the prompt's.
        self._stretch = min(STRETCH, window // 2 - OVERLAP - 1)
        if self._stretch < 2 * WINDOW:
            raise DataError(
                f"its window of {window} tokens is too small to read a response behind a prompt",
                source=str(model.name_or_path),
                cure=f"name a model with a window of at least {2 * (2 * WINDOW + OVERLAP + 1)} tokens.",
            )
        self._render = Renderer(tokenizer, window)
        parameters = inspect.signature(model.forward).parameters
        self._cache = "cache" if "cache" in parameters else "past_key_values"  # renamed in transformers 5
        self._end = self._end_of_turn()
        self._closing = len(self._behind("user", add_generation_prompt=True))

    @cached_property
    def identity(self) -> str:
        """Digest of weights, vocabulary and chat template."""
        vocabulary = sorted(self._tokenizer.get_vocab().items())
        return digest(
            self._model.state_dict().items(), self._tokenizer.chat_template, self._stretch, vocabulary
        )

    def read(self, prompts: Sequence[Sequence[Message]], responses: Sequence[str]) -> Likelihoods:
        """Log-likelihoods of responses to their prompts; white space around a response is not read.

        A response gets the same numbers in any company and on any number of cores.

        Raises:
            DataError: the chat template refuses a conversation.
        """
        rows = [
            (json.dumps([[turn.role, turn.content] for turn in prompt]), self._ids(response))
            for prompt, response in zip(prompts, responses, strict=True)
        ]
        # Responses to one prompt stand together, so that it is read once.
        order = sorted(range(len(rows)), key=lambda i: rows[i][0])
        found = np.empty((len(rows), len(Likelihoods._fields)))
        if rows:
            found[order] = single_threaded(self._rows, [rows[i] for i in order])
        return Likelihoods(*found.T)

    @torch.inference_mode()  # type: ignore[untyped-decorator]
    def _rows(self, rows: Sequence[tuple[str, list[int]]]) -> NDArray[np.float32]:
        nothing, asked, last = _Opened(self, ASKED_NOTHING), None, ""
        found = np.zeros((len(rows), len(Likelihoods._fields)), dtype=np.float32)
        for row, (turns, ids) in zip(found, rows, strict=True):
            if asked is None or turns != last:
                asked = _Opened(
                    self, [Message(role=role, content=content) for role, content in json.loads(turns)]
                )
                last = turns
            row[:] = self._row(asked, nothing, ids)
        return found

    def _row(self, asked: _Opened, nothing: _Opened, ids: list[int]) -> list[float]:
        if not ids:
            return [0.0, 0.0, 0.0, asked.end, 0.0, asked.mean]
        parts, end = asked.stretches(ids)
        without = np.concatenate(nothing.stretches(ids[:OPENING])[0])
        given = np.concatenate(parts)
        gain = given[: len(without)] - without
        worst = min(float(means.min()) for means in map(_moving, parts))
        return [float(given.mean()), float(gain.mean()), worst, end, len(given), asked.mean]

    def _ids(self, text: str) -> list[int]:
        # A token takes at least a byte of a text, and the tokenizer should not see a megabyte.
        text = text.strip().encode(errors="replace").decode()
        if len(text) > 32 * LONGEST:
            text = text[: 16 * LONGEST] + text[-16 * LONGEST :]
        ids = list(self._tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"])
        return ids if len(ids) <= LONGEST else [*ids[: LONGEST // 2], *ids[-(LONGEST // 2) :]]

    def _end_of_turn(self) -> int | None:
        """The token behind an assistant's turn, if there is one."""
        behind = self._behind("user", "assistant")
        end = behind[0] if behind else self._tokenizer.eos_token_id
        return None if end is None else int(end)

    def _behind(self, *roles: str, **options: bool) -> list[int]:
        """Tokens that the chat template puts behind the last of some turns."""
        turns = [{"role": role, "content": _MARK} for role in roles]
        text = self._tokenizer.apply_chat_template(turns, tokenize=False, **options)
        return list(self._tokenizer(text.rpartition(_MARK)[2], add_special_tokens=False)["input_ids"])


class _Opened:
    """A prompt that was read up to where the assistant begins, behind which responses are read."""

    def __init__(self, reader: LanguageModel, prompt: Sequence[Message]) -> None:
        self._reader = reader
        ids = reader._render.opening(prompt)
        self._cache = DynamicCache(config=reader._model.config)
        logits = self._read(ids, self._cache)
        self._last = logits[-1:]
        self.mean = self._known(logits, ids, prompt)
        self.end = self._end_after(self._last)

    def stretches(self, ids: list[int]) -> tuple[list[Floats], float]:
        """Log-likelihood of every token of a response, by stretch, and of the end of the turn behind it."""
        length, found = self._reader._stretch, []
        for start in range(0, len(ids), length):
            begin = max(0, start - OVERLAP)
            logits = self._behind(ids[begin : start + length])
            found.append(_chosen(logits[:-1], ids[begin : start + length])[start - begin :])
        return found, self._end_after(logits[-1:])

    def _behind(self, ids: list[int]) -> Any:
        """Logits (len(ids) + 1, V): in front of every token, and behind the last."""
        return torch.cat([self._last, self._read(ids, copy.deepcopy(self._cache))])

    def _read(self, ids: list[int], cache: DynamicCache) -> Any:
        """Logits (len(ids), V) behind every token; the cache grows by them."""
        model = self._reader._model
        kept = {self._reader._cache: cache}
        return model(input_ids=torch.tensor([ids], device=model.device), use_cache=True, **kept).logits[0]

    def _end_after(self, logits: Any) -> float:
        end = self._reader._end
        return float("nan") if end is None else float(_chosen(logits, [end])[0])

    def _known(self, logits: Any, ids: list[int], prompt: Sequence[Message]) -> float:
        """Mean over the tokens of the last user turn, which stands right before the assistant's opening."""
        last = len(ids) - self._reader._closing
        first = max(1, last - len(self._reader._ids(last_user_turn(prompt))))
        return float(_chosen(logits[first - 1 : last - 1], ids[first:last]).mean()) if first < last else 0.0


def _chosen(logits: Any, ids: list[int]) -> Floats:
    """Log-likelihood of each token under its row of logits (n, V), shape (n,)."""
    rows = logits.float()
    places = torch.tensor(ids, device=rows.device)[:, None]
    found: Floats = (rows.gather(1, places)[:, 0] - rows.logsumexp(dim=1)).double().cpu().numpy()
    return found


def _moving(values: Floats) -> Floats:
    """Means of `WINDOW` neighbours; of all where there are fewer."""
    width = min(WINDOW, len(values))
    sums = np.concatenate([[0.0], np.cumsum(values)])
    found: Floats = (sums[width:] - sums[:-width]) / width
    return found


@lru_cache(maxsize=2)
def open_language_model(name: str, device: str) -> LanguageModel:
    """A language model by folder or hub name, opened once, on a device, in the number format of its files.

    Raises:
        DataError: there is no such model, it is no causal language model, or the hub is out of reach.
    """
    model, tokenizer = open_transformer(AutoModelForCausalLM, name, "causal language model", dtype="auto")
    return LanguageModel(model.to(device), tokenizer)

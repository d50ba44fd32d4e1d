"""Running pretrained transformers: opened in one way, silent, seeded, rows of similar length together."""

from __future__ import annotations

import logging
import os
import random
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

import numpy as np
import torch
from torch.nn.utils.rnn import pad_sequence

from reward_models._pretrained import locate
from reward_models._rendering import Located
from reward_models._types import Matrix
from synthesizeme.errors import DataError

LONGEST = 4096
"""Tokens of a window where the model names no limit or a larger one."""
_Item = TypeVar("_Item")
_setting = threading.Lock()
"""Held while torch's number of threads, a setting of the whole process, is changed."""


def open_transformer(kind: Any, name: str, what: str, **options: Any) -> tuple[Any, Any]:
    """Model and tokenizer by folder or hub name, on the CPU.

    Args:
        kind: One of the classes of transformers that open any architecture, e.g. `AutoModel`.
        name: A folder, or a name on the hub.
        what: What is to be read, for who meets none: "causal language model".
        options: Of ``from_pretrained`` of the model, e.g. its ``dtype``.

    Raises:
        DataError: there is no such model, it is none of this kind, or the hub is out of reach.
    """
    from transformers import AutoTokenizer

    place = locate(name)
    with quiet():
        try:
            tokenizer = AutoTokenizer.from_pretrained(place)
            return kind.from_pretrained(place, **options), tokenizer
        except (OSError, ValueError, KeyError) as error:
            reason = (str(error) or type(error).__name__).strip().splitlines()[0]
            raise DataError(
                f"no {what} can be read here ({reason})",
                source=place,
                cure="name a folder written by save_pretrained, or another hub name.",
            ) from error


def accelerator() -> str:
    """The accelerator of this process, if there is one: under a launcher each process has its own."""
    if not torch.cuda.is_available():
        return "cpu"
    return f"cuda:{int(os.environ.get('LOCAL_RANK', 0)) % torch.cuda.device_count()}"


def window_of(model: Any, tokenizer: Any) -> int:
    """Tokens that a model reads at most; `LONGEST` where it names no limit or a larger one."""
    stated = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    return min(limit for limit in (stated, tokenizer.model_max_length, LONGEST) if limit and limit > 0)


def by_length(lengths: Sequence[int], at_once: int) -> Iterator[list[int]]:
    """Numbers of rows of similar length, `at_once` of them at a time, the shortest first."""
    order = sorted(range(len(lengths)), key=lengths.__getitem__)
    return (order[start : start + at_once] for start in range(0, len(order), at_once))


def padded(rows: Sequence[Sequence[int]], device: Any, *, pad: int = 0, side: str = "right") -> Any:
    """Token ids (B, T) of rows of any length, and a mask (B, T) that is 1 at their own tokens."""
    ids = [torch.tensor(row) for row in rows]
    mask = [torch.ones_like(row) for row in ids]
    return (
        pad_sequence(ids, batch_first=True, padding_value=pad, padding_side=side).to(device),
        pad_sequence(mask, batch_first=True, padding_side=side).to(device),
    )


class Pooling:
    """From hidden states (B, T, D) of rows padded on the right to one vector (B, D) of each, in float32.

    Args:
        readings: The rows, and where the response of each stands.
        device: Where the hidden states are.
    """

    def __init__(self, readings: Sequence[Located], device: Any) -> None:
        bounds = [(reading.begin, reading.end, len(reading.ids)) for reading in readings]
        begins, ends, self._lengths = torch.tensor(bounds, device=device).T[:, :, None]
        places = torch.arange(int(self._lengths.max()), device=device)
        self._inside, self._counts = ((begins <= places) & (places < ends))[:, :, None], ends - begins

    def mean(self, hidden: Any) -> Any:
        """Mean over the response's tokens."""
        return torch.where(self._inside, hidden.float(), 0).sum(dim=1) / self._counts

    def last(self, hidden: Any) -> Any:
        """That of the last token."""
        return hidden[torch.arange(len(hidden), device=hidden.device), self._lengths[:, 0] - 1].float()


def single_threaded(read: Callable[[Sequence[_Item]], Matrix], items: Sequence[_Item]) -> Matrix:
    """Rows of `read`, which reads one item after the other, in as many threads as torch would use.

    Products of matrices that are split between threads differ in the last bits. Here every thread has its
    own items, so that a row is the same on any number of cores, and no core waits for another.
    """
    with _setting:
        cores = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            if cores == 1 or len(items) < 2:
                return read(items)
            workers = min(cores, len(items))
            with ThreadPoolExecutor(workers) as pool:
                parts = list(pool.map(read, [items[i::workers] for i in range(workers)]))
        finally:
            torch.set_num_threads(cores)
    found = np.empty((len(items), parts[0].shape[1]), dtype=np.float32)
    for i, part in enumerate(parts):
        found[i::workers] = part
    return found


@contextmanager
def quiet() -> Iterator[None]:
    """No progress bars, warnings or notes of the training libraries; all restored at the end."""
    from transformers.utils import logging as transformers_logging

    loggers = [logging.getLogger(name) for name in ("accelerate", "trl", "datasets", "peft", "torch")]
    levels = [logger.level for logger in loggers]
    verbosity, bars = transformers_logging.get_verbosity(), transformers_logging.is_progress_bar_enabled()
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
        transformers_logging.set_verbosity(verbosity)
        if bars:
            transformers_logging.enable_progress_bar()


@contextmanager
def own_randomness(seed: int) -> Iterator[None]:
    """Everything inside draws from generators seeded by `seed`; the global ones are put back at the end."""
    plain, arrays = random.getstate(), np.random.get_state()
    try:
        with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
            torch.manual_seed(seed)
            yield
    finally:
        random.setstate(plain)
        np.random.set_state(arrays)

"""A pretrained transformer with one output: opening, reading texts exactly, saving in its own format."""

from __future__ import annotations

import logging
import os
import random
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn.utils.rnn import pad_sequence

from reward_models._pretrained import MINILM, locate
from reward_models._threads import alone
from reward_models._types import Floats
from synthesizeme.errors import DataError

PAD_TOKEN = "<|pad|>"


class RewardNetwork(nn.Module):  # type: ignore[misc]
    """A sequence classifier with one label, read so that padding costs little and changes nothing.

    Rows are sorted by length and read `rows_at_once` at a time, each group padded to its own longest row.
    The loss of TRL's `RewardTrainer` on the result is that of the bare backbone.

    Args:
        backbone: A `*ForSequenceClassification` of transformers with ``num_labels`` 1.
    """

    def __init__(self, backbone: Any) -> None:
        super().__init__()
        self.backbone = backbone
        self.config = backbone.config
        self._no_split_modules = getattr(backbone, "_no_split_modules", None)

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.parameters()).device

    @property
    def rows_at_once(self) -> int:
        """Rows per forward pass: few on a CPU, where padding costs more than small products."""
        return 4 if self.device.type == "cpu" else 32

    def forward(self, input_ids: Any, attention_mask: Any, use_cache: bool = False, **extra: Any) -> Any:
        """Rewards as ``.logits`` of shape (B, 1).

        Args:
            input_ids: Token ids (B, T), padded on the right.
            attention_mask: 1 for tokens, 0 for padding, (B, T).
            use_cache: Accepted because `RewardTrainer` gives it; nothing is cached.
            **extra: Further tensors, for a subclass.
        """
        from transformers.modeling_outputs import SequenceClassifierOutput

        lengths = attention_mask.sum(1)
        order = torch.argsort(lengths, descending=True, stable=True)
        read = self._reader(input_ids, lengths, extra)
        parts = [read(rows) for rows in order.split(self.rows_at_once)]
        logits = torch.cat(parts)[torch.argsort(order, stable=True)]
        return SequenceClassifierOutput(logits=logits.float())

    def _reader(self, input_ids: Any, lengths: Any, extra: dict[str, Any]) -> Any:
        """A function from row numbers (b,) to their logits (b, 1)."""

        def read(rows: Any) -> Any:
            longest = int(lengths[rows].max())
            mask = torch.arange(longest, device=lengths.device) < lengths[rows, None]
            return self.backbone(input_ids=input_ids[rows, :longest], attention_mask=mask.long()).logits

        return read

    def add_model_tags(self, tags: Any) -> None:
        """Nothing: `RewardTrainer` tags what it trains, and the saved backbone is the user's own."""


def read_embeddings(backbone: Any, rows: Sequence[Any]) -> Any:
    """Logits (b, 1) of rows of embeddings, each (its length, width), padded on the right here.

    A decoder given embeddings does not find the padding, so its last attended position is taken here.
    """
    lengths = torch.tensor([len(row) for row in rows], device=rows[0].device)
    embeddings = pad_sequence(list(rows), batch_first=True)
    mask = (torch.arange(embeddings.shape[1], device=lengths.device) < lengths[:, None]).long()
    if not hasattr(backbone, "score"):  # an encoder reads its first position
        return backbone(inputs_embeds=embeddings, attention_mask=mask).logits
    hidden = backbone.base_model(inputs_embeds=embeddings, attention_mask=mask).last_hidden_state
    return backbone.score(hidden[torch.arange(len(rows), device=lengths.device), lengths - 1])


def score(network: RewardNetwork, rows: Sequence[dict[str, Any]]) -> Floats:
    """Rewards (n,) of rows with ``input_ids`` (a list) and further arrays for the network.

    On a CPU every row is read alone and without padding, so its reward is bit-identical in any company; on
    an accelerator rows are read together, sorted by length, and agree to rounding.
    """
    network.eval()
    order = sorted(range(len(rows)), key=lambda i: len(rows[i]["input_ids"]))
    ordered = [rows[i] for i in order]
    on_cpu = network.device.type == "cpu"
    rewards = alone(partial(_read, network, 1), ordered) if on_cpu else _read(network, 64, ordered)
    found = np.empty(len(rows), dtype=np.float64)
    found[order] = rewards[:, 0]
    return found


def _read(network: RewardNetwork, together: int, rows: Sequence[dict[str, Any]]) -> NDArray[np.float32]:
    """Logits (n, 1) of the rows, some of them together."""
    found = np.empty((len(rows), 1), dtype=np.float32)
    with torch.inference_mode():
        for start in range(0, len(rows), together):
            chosen = slice(start, start + together)
            found[chosen] = network(**_batch(rows[chosen], network.device)).logits.cpu().numpy()
    return found


def _batch(rows: Sequence[dict[str, Any]], device: Any) -> dict[str, Any]:
    ids = [torch.tensor(row["input_ids"]) for row in rows]
    mask = [torch.ones_like(row) for row in ids]
    batch = {"input_ids": pad_sequence(ids, batch_first=True),
             "attention_mask": pad_sequence(mask, batch_first=True)}  # fmt: skip
    for name in rows[0]:
        if name != "input_ids":
            batch[name] = pad_sequence([torch.as_tensor(row[name]) for row in rows], batch_first=True)
    return {name: value.to(device) for name, value in batch.items()}


def accelerator() -> str:
    """The accelerator of this process, if there is one: under a launcher each process has its own."""
    if not torch.cuda.is_available():
        return "cpu"
    return f"cuda:{int(os.environ.get('LOCAL_RANK', 0)) % torch.cuda.device_count()}"


def open_backbone(name: str, *, seed: int) -> tuple[Any, Any]:
    """A float32 sequence classifier with one label and its tokenizer, on the accelerator if there is one.

    A padding token of its own is added where there is none or where it is the end token: otherwise the
    reward of a decoder would be read before the end.

    Args:
        name: ``auto`` (MiniLM), a folder or a hub name; see `locate`.
        seed: Of the reward head, where the backbone brings none.

    Raises:
        DataError: there is no such backbone, or it cannot be read.
    """
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    place = locate(MINILM if name == "auto" else name)
    with quiet(), own_randomness(seed):
        try:
            tokenizer = AutoTokenizer.from_pretrained(place)
            model = AutoModelForSequenceClassification.from_pretrained(
                place, num_labels=1, dtype=torch.float32, ignore_mismatched_sizes=True
            )
        except (OSError, ValueError) as error:
            raise DataError(
                f"no backbone can be read here ({str(error).strip().splitlines()[0]})",
                source=place,
                cure="name a folder written by save_pretrained, or a hub name that this machine can reach.",
            ) from error
        if tokenizer.pad_token is None or tokenizer.pad_token == tokenizer.eos_token:
            tokenizer.add_special_tokens({"pad_token": PAD_TOKEN})
            model.resize_token_embeddings(max(len(tokenizer), model.get_input_embeddings().num_embeddings))
    tokenizer.padding_side = "right"
    config = model.config.get_text_config()
    config.pad_token_id = tokenizer.pad_token_id
    model.config.pad_token_id = tokenizer.pad_token_id
    model.config.problem_type = "regression"  # a raw reward: nobody squashes it
    model.config.id2label, model.config.label2id = {0: "reward"}, {"reward": 0}
    return model.to(accelerator()), tokenizer


def save_backbone(model: Any, tokenizer: Any, folder: Path) -> None:
    """Write both in the format of transformers: loads as one-label sequence classification anywhere."""
    with quiet():
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)


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

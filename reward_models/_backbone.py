"""A pretrained transformer with one output, and what methods on one share: training, scoring, checkpoints."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn.utils.rnn import pad_sequence

from reward_models._base import RewardModel
from reward_models._pretrained import MINILM
from reward_models._rendering import Renderer
from reward_models._reward_training import BackboneSchedule, Precision, in_turn, tokenized, train_backbone
from reward_models._settings import POSITIVE
from reward_models._transformers import (
    accelerator,
    by_length,
    open_transformer,
    own_randomness,
    padded,
    quiet,
    single_threaded,
)
from reward_models._types import Asked, Estimates, Floats, Histories, Sayings, UserState, sigmoid
from synthesizeme.types import PreferencePair

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
    if network.device.type == "cpu":
        return single_threaded(partial(_read, network, 1), rows)[:, 0].astype(np.float64)
    return _read(network, 64, rows)[:, 0].astype(np.float64)


def _read(network: RewardNetwork, at_once: int, rows: Sequence[dict[str, Any]]) -> NDArray[np.float32]:
    """Logits (n, 1) of the rows, some of similar length at a time."""
    found = np.empty((len(rows), 1), dtype=np.float32)
    for some in by_length([len(row["input_ids"]) for row in rows], at_once):
        with torch.inference_mode():
            found[some] = network(**_batch([rows[i] for i in some], network.device)).logits.cpu().numpy()
    return found


def _batch(rows: Sequence[dict[str, Any]], device: Any) -> dict[str, Any]:
    ids, mask = padded([row["input_ids"] for row in rows], device)
    more = {
        name: pad_sequence([torch.as_tensor(row[name]) for row in rows], batch_first=True).to(device)
        for name in rows[0] if name != "input_ids"
    }  # fmt: skip
    return {"input_ids": ids, "attention_mask": mask, **more}


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
    from transformers import AutoModelForSequenceClassification

    with quiet(), own_randomness(seed):
        model, tokenizer = open_transformer(
            AutoModelForSequenceClassification,
            MINILM if name == "auto" else name,
            "backbone",
            num_labels=1,
            dtype=torch.float32,
            ignore_mismatched_sizes=True,
        )
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


FOLDER = "backbone"
TYPICAL_RESPONSES = 128
"""Training responses over which the typical reward is taken."""


class BackboneModel(RewardModel):
    """A transformer with one output that reads the conversation and the response.

    Args:
        backbone: ``auto`` (MiniLM: the installed package, else from the hub), or the folder or hub name of
            any encoder or decoder that transformers opens for sequence classification.
        max_length: Window in tokens, cut to what the backbone can read; see `Renderer`.
        epochs: Passes over the pairs.
        batch_size: Pairs per step, over all processes.
        learning_rate: At its peak, after a tenth of the steps.
        precision: Of the training; scores are always computed in float32.
    """

    backbone: str = "auto"
    max_length: int = 256
    epochs: int = 1
    batch_size: int = 16
    learning_rate: float = 0.0001
    precision: Precision = "auto"
    limits: ClassVar = {"epochs": POSITIVE, "batch_size": POSITIVE, "learning_rate": POSITIVE}

    @property
    def parameters(self) -> int:
        """Learned numbers: weights that were trained, and user states.

        Raises:
            NotFittedError: before `fit`.
        """
        states = sum(int(array.size) for state in self._fitted().values() for array in state.values())
        return states + int(self.training_["learned"])

    def _schedule(self) -> BackboneSchedule:
        return BackboneSchedule(self.epochs, self.batch_size, self.learning_rate, self.precision, self.seed)

    def _open(self, place: str) -> Any:
        """Open a backbone, its tokenizer and its renderer; returns the bare backbone."""
        return self._adopt(*open_backbone(place, seed=self.seed))

    def _adopt(self, model: Any, tokenizer: Any) -> Any:
        """Take a backbone that is open; returns it."""
        positions = getattr(model.config.get_text_config(), "max_position_embeddings", self.max_length)
        self.tokenizer_ = tokenizer
        self.renderer_ = Renderer(tokenizer, min(self.max_length, positions - self._reserved()))
        return model

    def _reserved(self) -> int:
        """Positions of the backbone that are taken by something other than tokens."""
        return 0

    def save(self, folder: Path | str) -> None:
        """Write a checkpoint folder; where several processes trained, the first writes and all wait."""
        if not torch.distributed.is_initialized():
            return super().save(folder)
        try:
            if torch.distributed.get_rank() == 0:
                super().save(folder)
        finally:
            torch.distributed.barrier()

    def _save_files(self, folder: Path) -> None:
        save_backbone(self.network_.backbone, self.tokenizer_, folder / FOLDER)

    def _load_files(self, folder: Path) -> None:
        self.network_ = RewardNetwork(self._open(str(folder / FOLDER)))

    def _arrays(self) -> dict[str, NDArray[Any]]:
        return {}

    def _restore(self, arrays: Mapping[str, NDArray[Any]], facts: Mapping[str, Any]) -> None:
        self.typical_: float = facts["typical"]
        self.training_: dict[str, float] = facts["training"]

    def _facts(self) -> dict[str, Any]:
        told = {name: value for name, value in self.training_.items() if name != "seconds"}
        return {"typical": self.typical_, "training": told}

    def _told(self) -> dict[str, float]:
        return {name: self.training_[name] for name in ("loss", "kept", "dropped", "truncated")}

    def _estimates(self, rewards: NDArray[np.float64]) -> Estimates:
        return Estimates(rewards, sigmoid(rewards - self.typical_))

    def _typical_reward(self, pairs: Sequence[PreferencePair]) -> float:
        """Mean reward of a seeded choice of training responses, without the user."""
        texts = list(
            dict.fromkeys((p.prompt, text) for p in pairs for text in (p.chosen_text, p.rejected_text))
        )
        chosen = np.random.default_rng(self.seed).permutation(len(texts))[:TYPICAL_RESPONSES]
        prompts, responses = [texts[i][0] for i in chosen], [texts[i][1] for i in chosen]
        self.typical_ = 0.0
        return float(self._rewards(Asked(prompts, responses, [None] * len(chosen))).value.mean())


class TextModel(BackboneModel):
    """A backbone that knows the user, if at all, by a profile in words before the prompt.

    Args:
        lora_rank: Rank of low-rank adapters, merged into the backbone after training; 0 trains all weights.
    """

    lora_rank: int = 0

    @abstractmethod
    def _profile(self, state: UserState | None) -> str:
        """The words for a user, empty for nobody."""

    @abstractmethod
    def _passes(self, histories: Histories) -> list[list[str]]:
        """A profile for every pair, in the order of `histories`, for each pass, or once for all passes."""

    def _fit(self, histories: Histories, sayings: Sayings) -> dict[str, UserState]:
        schedule = self._schedule()
        network = RewardNetwork(self._open(self.backbone))
        pairs = [pair for history in histories.values() for pair in history]
        passes = [tokenized(pairs, profiles, self.renderer_) for profiles in self._passes(histories)]
        columns, schedule = in_turn(passes, schedule)
        self.network_, done = train_backbone(
            network, self.tokenizer_, columns, schedule, lora_rank=self.lora_rank
        )
        self.training_ = {**done, **passes[0].counts}
        self.typical_ = self._typical_reward(pairs)
        return self._user_states(histories, sayings)

    def _rewards(self, asked: Asked) -> Estimates:
        rows = zip(asked.prompts, asked.responses, map(self._profile, asked.states), strict=True)
        read = [tuple(self.renderer_(*row).ids) for row in rows]
        distinct = list(dict.fromkeys(read))
        found = score(self.network_, [{"input_ids": list(ids)} for ids in distinct])
        number = {ids: row for row, ids in enumerate(distinct)}
        return self._estimates(found[[number[ids] for ids in read]])

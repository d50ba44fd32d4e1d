"""One way to train a reward network: TRL's `RewardTrainer`, silent, seeded, leaving nothing behind."""

from __future__ import annotations

import copy
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeVar

import torch
from torch import nn

from reward_models._rendering import Renderer
from reward_models._transformers import own_randomness, quiet
from synthesizeme.errors import DataError, MissingExtraError
from synthesizeme.types import PreferencePair

Network = TypeVar("Network", bound=nn.Module)
"""A `reward_models._backbone.RewardNetwork`."""
Precision = Literal["auto", "float32", "bfloat16"]


@dataclass(frozen=True)
class BackboneSchedule:
    """How long and how fast to train."""

    epochs: int
    batch_size: int
    """Pairs per step, over all processes."""
    learning_rate: float
    precision: Precision
    seed: int


@dataclass(frozen=True)
class TokenPairs:
    """Pairs as tokens, in the columns that `RewardTrainer` takes, and what became of the pairs."""

    columns: dict[str, list[Any]]
    """``chosen_ids``, ``rejected_ids``, and ``row``: the pair's number in what was rendered."""
    kept: int
    dropped: int
    """Pairs whose two sides are the same tokens within the window: they say nothing."""
    truncated: int
    """Kept pairs of which something was left out, from both sides by the same rule."""

    @property
    def counts(self) -> dict[str, int]:
        """The three numbers by name."""
        return {"kept": self.kept, "dropped": self.dropped, "truncated": self.truncated}


def in_turn(
    passes: Sequence[TokenPairs], schedule: BackboneSchedule
) -> tuple[dict[str, list[Any]], BackboneSchedule]:
    """The rows of passes one after another, as columns, and the schedule that reads each pass once a turn."""
    columns = {name: [value for rows in passes for value in rows.columns[name]] for name in passes[0].columns}
    return columns, replace(schedule, epochs=schedule.epochs // len(passes))


def tokenized(pairs: Sequence[PreferencePair], profiles: Sequence[str], renderer: Renderer) -> TokenPairs:
    """Render both sides of every pair; nothing is filtered by length.

    Raises:
        DataError: no pair differs within the window.
    """
    columns: dict[str, list[Any]] = {"chosen_ids": [], "rejected_ids": [], "row": []}
    truncated = 0
    for row, (pair, profile) in enumerate(zip(pairs, profiles, strict=True)):
        chosen = renderer(pair.prompt, pair.chosen_text, profile)
        rejected = renderer(pair.prompt, pair.rejected_text, profile)
        if chosen.ids == rejected.ids:
            continue
        truncated += chosen.cut or rejected.cut
        columns["chosen_ids"].append(chosen.ids)
        columns["rejected_ids"].append(rejected.ids)
        columns["row"].append(row)
    kept = len(columns["row"])
    if not kept:
        raise DataError(
            f"the two responses of all {len(pairs)} pairs are the same within {renderer.max_length} tokens",
            cure="give a larger max_length.",
        )
    return TokenPairs(columns, kept, len(pairs) - kept, truncated)


def train_backbone(
    network: Network,
    tokenizer: Any,
    columns: dict[str, list[Any]],
    schedule: BackboneSchedule,
    *,
    collator: Any = None,
    lora_rank: int = 0,
) -> tuple[Network, dict[str, float]]:
    """Minimise -log sigma(r(chosen) - r(rejected)) over the rows with TRL's stock `RewardTrainer`.

    AdamW, linear decay after a tenth of warm-up, gradients clipped at norm 1, no dropout. Under
    `accelerate launch` or torchrun every process takes its share of each batch and all end with the same
    weights. With a `lora_rank` the adapters are merged into the backbone at the end.

    Args:
        network: What to train; what must stay frozen has ``requires_grad`` off.
        tokenizer: Of the backbone.
        columns: ``chosen_ids``, ``rejected_ids`` and what `collator` needs.
        schedule: Length, speed and seed.
        collator: From rows to the network's inputs; TRL's own by default.
        lora_rank: Rank of the adapters; 0 trains all weights that are not frozen.

    Returns:
        The trained network, whole also where the training sharded it; and ``seconds``, ``steps``, ``tokens``
        (no padding), ``loss`` (mean over steps and processes), ``bfloat16`` (1 if used) and ``learned``:
        numbers that were trained, with a `lora_rank` those of adapters and head alone.

    Raises:
        MissingExtraError: TRL, or what it needs, is not installed.
    """
    with quiet(), own_randomness(schedule.seed), tempfile.TemporaryDirectory() as scratch:
        try:
            trainer = _trainer(network, tokenizer, columns, schedule, collator, lora_rank, scratch)
        except ImportError as error:
            raise MissingExtraError("training a backbone", "train") from error
        learned = sum(it.numel() for it in network.parameters() if it.requires_grad)
        whole = copy.deepcopy(network) if trainer.is_fsdp_enabled else None
        started = time.perf_counter()
        result, seconds = trainer.train(), time.perf_counter() - started
        loss = trainer.accelerator.reduce(torch.tensor(result.training_loss), reduction="mean")
        if whole is None:
            trainer.accelerator.unwrap_model(trainer.model_wrapped, keep_fp32_wrapper=False)
        else:
            whole.load_state_dict(_gathered(trainer))
            network = whole.to(trainer.args.device)
        if lora_rank:
            network.backbone = network.backbone.merge_and_unload()
        network.eval()
        return network, {
            "seconds": seconds,
            "steps": float(result.global_step),
            "tokens": float(trainer._total_train_tokens),
            "loss": float(loss),
            "bfloat16": float(in_bfloat16(schedule.precision)),
            "learned": float(learned),
        }


def _trainer(
    network: nn.Module,
    tokenizer: Any,
    columns: dict[str, list[Any]],
    schedule: BackboneSchedule,
    collator: Any,
    lora_rank: int,
    scratch: str,
) -> Any:
    """TRL's trainer of the network, which has its adapters by now."""
    from datasets import Dataset
    from transformers import PrinterCallback
    from trl import RewardTrainer

    if lora_rank:
        network.backbone = _adapted(network.backbone, lora_rank)
    trainer = RewardTrainer(
        model=network,
        args=_arguments(schedule, scratch, rows=len(columns["chosen_ids"])),
        train_dataset=Dataset.from_dict(columns),
        processing_class=tokenizer,
        data_collator=collator,
    )
    trainer.remove_callback(PrinterCallback)
    return trainer


def _arguments(schedule: BackboneSchedule, scratch: str, *, rows: int) -> Any:
    from accelerate import PartialState
    from trl import RewardConfig

    processes = PartialState(cpu=not torch.cuda.is_available()).num_processes
    steps = schedule.epochs * -(-rows // schedule.batch_size)
    return RewardConfig(
        output_dir=scratch,
        num_train_epochs=schedule.epochs,
        per_device_train_batch_size=max(1, schedule.batch_size // processes),
        learning_rate=schedule.learning_rate,
        warmup_steps=steps // 10,
        weight_decay=0.01,
        bf16=in_bfloat16(schedule.precision),
        use_cpu=not torch.cuda.is_available(),
        max_length=None,
        gradient_checkpointing=False,
        remove_unused_columns=False,
        disable_dropout=True,
        seed=schedule.seed,
        report_to="none",
        logging_strategy="no",
        save_strategy="no",
        disable_tqdm=True,
        log_level="error",
        log_level_replica="error",
        dataloader_pin_memory=torch.cuda.is_available(),
    )


def in_bfloat16(precision: Precision) -> bool:
    """Whether to train in bfloat16: ``auto`` does where the hardware multiplies in it."""
    if precision != "auto":
        return precision == "bfloat16"
    if torch.cuda.is_available():
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    able: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    return bool(able.get("avx512_bf16") or able.get("amx_bf16"))


def _adapted(backbone: Any, rank: int) -> Any:
    """The backbone with low-rank adapters on its linear layers; its reward head is trained whole."""
    from peft import LoraConfig, get_peft_model

    head = "score" if hasattr(backbone, "score") else "classifier"
    config = LoraConfig(
        task_type="SEQ_CLS", r=rank, lora_alpha=2 * rank, target_modules="all-linear", modules_to_save=[head]
    )
    return get_peft_model(backbone, config)


def _gathered(trainer: Any) -> dict[str, Any]:
    """The whole trained weights, the same in every process, where the training sharded them."""
    weights = trainer.accelerator.get_state_dict(trainer.model_wrapped)
    shared = [weights if trainer.accelerator.is_main_process else None]
    torch.distributed.broadcast_object_list(shared)
    return dict(shared[0] or {})

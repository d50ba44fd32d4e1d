"""Tokens per second of training a backbone here and by TRL's plain `RewardTrainer`, and use of the hardware.

python experiments/backbone_training/run.py                  on this machine's processor, some minutes
python experiments/backbone_training/run.py --config gpu     one accelerator
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import platform
import statistics
import tempfile
import time
import tomllib
import warnings
from pathlib import Path

import torch
import transformers
from datasets import Dataset
from transformers import AutoModelForSequenceClassification, AutoTokenizer
from trl import RewardConfig, RewardTrainer

import reward_models
from synthesizeme.datasets.synthetic import planted_population

HERE = Path(__file__).parent
ON_GPU = torch.cuda.is_available()


def machine():
    """What it ran on, by the hardware's own name."""
    if ON_GPU:
        return torch.cuda.get_device_name()
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{names[0] if names else platform.processor()}, {os.cpu_count()} cores"


def measured_peak(dtype):
    """FLOP/s of a large matrix product: what a program can hope for on this machine."""
    size = 8192 if ON_GPU else 2048
    device = "cuda" if ON_GPU else "cpu"
    a, b = (torch.randn(size, size, device=device, dtype=dtype) for _ in range(2))
    best = float("inf")
    for _ in range(8):
        started = time.perf_counter()
        a @ b
        if ON_GPU:
            torch.cuda.synchronize()
        best = min(best, time.perf_counter() - started)
    return 2 * size**3 / best


def flops_per_token(model, length):
    """Forward and backward: 6 per weight that multiplies, and the attention's scores and sums.

    References:
        Kaplan et al. (2020), arXiv 2001.08361, section 2.1; Chowdhery et al. (2022), arXiv 2204.02311, B.
    """
    config = model.config
    read, looked_up = model.num_parameters(), sum(
        module.weight.numel() for module in model.modules() if isinstance(module, torch.nn.Embedding)
    )  # fmt: skip
    return 6 * (read - looked_up) + 12 * config.num_hidden_layers * config.hidden_size * length


def initialised(sizes, texts, folder):
    """A decoder with random weights and a tokenizer trained on the texts."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    end = "<|endoftext|>"
    raw.train_from_iterator(texts, trainers.BpeTrainer(vocab_size=sizes["vocab_size"], special_tokens=[end]))
    transformers.PreTrainedTokenizerFast(tokenizer_object=raw, bos_token=end, eos_token=end).save_pretrained(
        folder
    )
    torch.manual_seed(0)
    model = transformers.LlamaForCausalLM(transformers.LlamaConfig(tie_word_embeddings=False, **sizes))
    model.save_pretrained(folder)


def plain(pairs, settings, backbone, tokenizer_folder, in_bfloat16):
    """TRL's own way from the same rows: its tokens, its collator, the bare classifier."""
    tokenizer = AutoTokenizer.from_pretrained(tokenizer_folder)
    model = AutoModelForSequenceClassification.from_pretrained(backbone, num_labels=1, dtype=torch.float32)
    if len(tokenizer) > model.get_input_embeddings().num_embeddings:
        model.resize_token_embeddings(len(tokenizer))
    model.config.pad_token_id = tokenizer.pad_token_id
    rows = [{side: [m.model_dump() for m in getattr(p, side)] for side in ("prompt", "chosen", "rejected")}
            for p in pairs]  # fmt: skip
    steps = settings["epochs"] * -(-len(rows) // settings["batch_size"])
    with tempfile.TemporaryDirectory() as scratch:
        trainer = RewardTrainer(
            model=model,
            args=RewardConfig(
                output_dir=scratch,
                num_train_epochs=settings["epochs"],
                per_device_train_batch_size=settings["batch_size"],
                learning_rate=settings["learning_rate"],
                warmup_steps=steps // 10,
                weight_decay=0.01,
                bf16=in_bfloat16,
                use_cpu=not ON_GPU,
                max_length=None,
                gradient_checkpointing=False,
                disable_dropout=True,
                report_to="none",
                logging_strategy="steps",
                logging_steps=steps,
                save_strategy="no",
                disable_tqdm=True,
                seed=0,
                dataloader_pin_memory=ON_GPU,
            ),
            train_dataset=Dataset.from_list(rows),
            processing_class=tokenizer,
        )
        started = time.perf_counter()
        trainer.train()
        seconds = time.perf_counter() - started
        tokens = next(row["num_tokens"] for row in trainer.state.log_history if "num_tokens" in row)
    return {"seconds": seconds, "tokens": tokens}


def summary(runs, peaks, per_token):
    """Median over the repeats."""
    speed = statistics.median(run["tokens"] / run["seconds"] for run in runs)
    shares = {name: speed * per_token / peak for name, peak in peaks.items()}
    return {"tokens_per_second": speed, "tokens": runs[-1]["tokens"],
            "seconds": [run["seconds"] for run in runs], "model_flops_utilisation": shares}  # fmt: skip


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--config", default="cpu")
    name = parser.parse_args().config
    settings = tomllib.loads((HERE / "config.toml").read_text())[name]
    torch.set_num_threads(settings.get("threads", torch.get_num_threads()))
    logging.getLogger("trl").setLevel(logging.ERROR)
    transformers.utils.logging.set_verbosity_error()
    warnings.filterwarnings("ignore", category=FutureWarning)  # a setting that has another name since
    pairs = planted_population(settings["users"], settings["pairs"], seed=0).pairs
    shared = {
        key: settings[key] for key in ("epochs", "batch_size", "max_length", "learning_rate", "precision")
    }
    runs = {method: [] for method in [*settings["methods"], "plain TRL"]}
    with tempfile.TemporaryDirectory() as folder:
        backbone = settings.get("backbone", "auto")
        if "initialise" in settings:
            backbone = f"{folder}/initialised"
            texts = [text for p in pairs for text in (p.prompt[-1].content, p.chosen_text, p.rejected_text)]
            initialised(settings["initialise"], texts, backbone)
        for repeat in range(settings["repeats"]):
            for method in settings["methods"]:
                model = reward_models.method(method)(backbone=backbone, **shared).fit(pairs)
                runs[method].append(model.training_)
                if repeat == 0 and method == settings["methods"][0]:
                    model.save(Path(folder) / "saved")
                print(method, model.training_, flush=True)
            saved = f"{folder}/saved/backbone"
            in_bfloat16 = bool(runs[settings["methods"][0]][0]["bfloat16"])
            source = saved if backbone == "auto" else backbone
            runs["plain TRL"].append(plain(pairs, settings, source, saved, in_bfloat16))
            print("plain TRL", runs["plain TRL"][-1], flush=True)
        bare = AutoModelForSequenceClassification.from_pretrained(saved)
        rows = 2 * len(pairs) * settings["epochs"]
        dtype = torch.bfloat16 if in_bfloat16 else torch.float32
        peaks = {"measured": measured_peak(dtype)}
        if "peak_flops" in settings:
            peaks["data sheet"] = settings["peak_flops"]
        results = {
            "machine": machine(),
            "config": settings,
            "torch": torch.__version__,
            "threads": torch.get_num_threads(),
            "dtype": str(dtype),
            "weights": bare.num_parameters(),
            "peak_flops": peaks,
            "rows": {
                method: summary(found, peaks, flops_per_token(bare, found[-1]["tokens"] / rows))
                for method, found in runs.items()
            },
        }
    reference = results["rows"]["plain TRL"]["tokens_per_second"]
    for row in results["rows"].values():
        row["ratio_to_plain"] = row["tokens_per_second"] / reference
    (HERE / "results").mkdir(exist_ok=True)
    (HERE / "results" / f"{name}.json").write_text(json.dumps(results, indent=1) + "\n")
    print(json.dumps(results["rows"], indent=1))


if __name__ == "__main__":
    main()

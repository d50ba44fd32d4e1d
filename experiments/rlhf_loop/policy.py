"""The policy: a causal model trained from scratch, fine-tuned by TRL's GRPOTrainer, and asked for answers."""

from __future__ import annotations

import tempfile

import numpy as np
import tastes
import tokenizers
import torch
import transformers
import trl
from datasets import Dataset

from synthesizeme.serving.trl import reward_function

REWARDED = {"calm": ("calm", "lively"), "lively": ("lively", "calm"), "shuffled": ("calm", "lively")}
"""Whose rewards train a policy, and whose are only watched."""
HELD_OUT = 5
"""Every fifth prompt is only measured on."""


def words_of_the_grammar(folder):
    """A tokenizer with one token a word."""
    raw = tokenizers.Tokenizer(tokenizers.models.WordLevel(unk_token="<unk>"))
    raw.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = tokenizers.decoders.ByteLevel()
    rng = np.random.default_rng(0)
    texts = [prompt + tastes.answer(rng, prompt) for prompt in tastes.prompts() for _ in range(20)]
    special = ["<pad>", "<end>", "<unk>"]
    raw.train_from_iterator(texts, tokenizers.trainers.WordLevelTrainer(special_tokens=special))
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=raw, pad_token="<pad>", eos_token="<end>", unk_token="<unk>", padding_side="left"
    )
    tokenizer.save_pretrained(folder)
    return tokenizer


def from_scratch(sizes, seed, folder):
    """A causal model trained on the neutral mixture alone, saved in a folder."""
    tokenizer = words_of_the_grammar(folder)
    torch.manual_seed(seed)
    rng = np.random.default_rng([seed, 2])
    config = transformers.LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=sizes["hidden"], intermediate_size=3 * sizes["hidden"],
        num_hidden_layers=sizes["layers"], num_attention_heads=sizes["heads"], max_position_embeddings=256,
        pad_token_id=tokenizer.pad_token_id, eos_token_id=tokenizer.eos_token_id, bos_token_id=None,
        tie_word_embeddings=False, initializer_range=0.06,
    )  # fmt: skip
    model = transformers.LlamaForCausalLM(config)
    optimizer = torch.optim.AdamW(model.parameters(), lr=sizes["learning_rate"])
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, sizes["learning_rate"], sizes["steps"])
    for _ in range(sizes["steps"]):
        texts = [f"{p}{tastes.answer(rng, p)}<end>" for p in rng.choice(asked_in_training(), sizes["batch"])]
        rows = tokenizer(texts, return_tensors="pt", padding=True, return_token_type_ids=False)
        labels = rows["input_ids"].masked_fill(rows["attention_mask"] == 0, -100)
        loss = model(**rows, labels=labels).loss
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
    model.generation_config = transformers.GenerationConfig(
        do_sample=True, top_k=0, pad_token_id=tokenizer.pad_token_id, eos_token_id=tokenizer.eos_token_id
    )
    model.save_pretrained(folder)
    return {"weights": model.num_parameters(), "loss": loss.item()}


def asked_in_training():
    return [prompt for i, prompt in enumerate(tastes.prompts()) if i % HELD_OUT]


def named(function, name):
    """The same reward function under another name in TRL's logs."""
    function.__name__ = name
    return function


def shuffled(function, seed):
    """The same rewards, dealt out at random among the answers of one step."""
    rng = np.random.default_rng([seed, 3])

    def deal(**columns):
        return rng.permutation(np.array(function(**columns), dtype=float)).tolist()

    return named(deal, "shuffled")


def fine_tuned(folder, model, policy, settings, seed, callbacks=()):
    """The policy after GRPO, and its log, a row a step: the mean reward of either user and the divergence."""
    settings = dict(settings)
    prompts = settings.pop("prompts")
    user, other = REWARDED[policy]
    own = named(reward_function(model, on_error="raise"), user)
    watched = named(reward_function(model, on_error="raise", user_column="other"), other)
    functions, weights = [own, watched], [1.0, 0.0]
    if policy == "shuffled":
        functions, weights = [shuffled(own, seed), own, watched], [1.0, 0.0, 0.0]
    rows = [{"prompt": prompt, "user_id": user, "other": other} for prompt in asked_in_training()]
    with tempfile.TemporaryDirectory() as scratch:
        trainer = trl.GRPOTrainer(
            str(folder),
            reward_funcs=functions,
            args=trl.GRPOConfig(
                output_dir=scratch, per_device_train_batch_size=prompts * settings["num_generations"],
                reward_weights=weights, lr_scheduler_type="constant", use_cpu=True, bf16=False,
                gradient_checkpointing=False, report_to=[], logging_steps=1, save_strategy="no",
                disable_tqdm=True, seed=seed, model_init_kwargs={"dtype": "float32"}, **settings,
            ),
            train_dataset=Dataset.from_list(rows),
            processing_class=transformers.AutoTokenizer.from_pretrained(folder),
            callbacks=list(callbacks),
        )  # fmt: skip
        trainer.remove_callback(transformers.PrinterCallback)
        trainer.train()
    log = [row for row in trainer.state.log_history if "kl" in row]
    curves = {f"reward of {name}": [row[f"rewards/{name}/mean"] for row in log] for name in (user, other)}
    return trainer.model, curves | {"kl": [row["kl"] for row in log]}


def answers(model, tokenizer, settings, seed):
    """Fresh answers to the held-out prompts: a list of texts for each."""
    torch.manual_seed(int(np.random.default_rng(seed).integers(2**31)))
    found = {}
    for prompt in tastes.prompts()[::HELD_OUT]:
        row = tokenizer(prompt, return_tensors="pt", return_token_type_ids=False)
        with torch.no_grad():
            tokens = model.eval().generate(
                **row, num_return_sequences=settings["samples"], max_new_tokens=settings["length"]
            )[:, row["input_ids"].shape[1] :]
        found[prompt] = [
            # An answer that was cut off has no end and is not one of the grammar.
            tokenizer.decode(text[text != tokenizer.pad_token_id]).removesuffix("<end>")
            + ("" if tokenizer.eos_token_id in text else "…")
            for text in tokens
        ]
    return found

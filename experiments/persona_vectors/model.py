"""The model: trained from scratch on the grammar, and fine-tuned by TRL's SFTTrainer."""

from __future__ import annotations

import random
import tempfile
from contextlib import nullcontext

import grammar
import tokenizers
import torch
import transformers
import trl
from datasets import Dataset

from reward_models.persona_vectors import Decoder

TEMPLATE = (
    "{% for message in messages %}<{{ message.role }}> {{ message.content }} "
    "{% if message.role == 'assistant' %}<end>{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)
SPECIAL = ("<pad>", "<end>", "<unk>", "<system>", "<user>", "<assistant>")
LONGEST = 40
"""Tokens of the longest answer; the grammar's longest has 34."""


def device():
    return "cuda" if torch.cuda.is_available() else "cpu"


def tokenizer():
    """One token a word."""
    vocabulary = {word: number for number, word in enumerate((*SPECIAL, *grammar.words()))}
    raw = tokenizers.Tokenizer(tokenizers.models.WordLevel(vocabulary, unk_token="<unk>"))
    raw.pre_tokenizer = tokenizers.pre_tokenizers.WhitespaceSplit()
    found = transformers.PreTrainedTokenizerFast(
        tokenizer_object=raw, pad_token="<pad>", eos_token="<end>", unk_token="<unk>", model_max_length=128
    )
    found.chat_template = TEMPLATE
    return found


def from_scratch(sizes, seed):
    """A decoder trained on the grammar alone, and how far it got."""
    words = tokenizer()
    torch.manual_seed(seed)
    model = transformers.LlamaForCausalLM(transformers.LlamaConfig(
        vocab_size=len(words), hidden_size=sizes["hidden"], intermediate_size=sizes["inner"],
        num_hidden_layers=sizes["layers"], num_attention_heads=sizes["heads"], max_position_embeddings=128,
        pad_token_id=0, eos_token_id=1, bos_token_id=None, tie_word_embeddings=False,
    )).to(device())  # fmt: skip
    ids, answered, lengths = (part.to(model.device) for part in corpus(words, sizes["samples"], seed))
    optimizer = torch.optim.AdamW(model.parameters(), lr=sizes["learning_rate"], weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, sizes["learning_rate"], sizes["steps"])
    half = torch.autocast("cuda", torch.bfloat16) if model.device.type == "cuda" else nullcontext()
    for start in torch.randint(len(ids) - sizes["batch"], (sizes["steps"],)).tolist():
        some = slice(start, start + sizes["batch"])
        longest = int(lengths[some.stop - 1])
        labels = ids[some].masked_fill(~answered[some], -100)[:, :longest]
        with half:  # padded on the right, a causal model needs no mask
            loss = model(input_ids=ids[some, :longest], labels=labels).loss
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
    model.generation_config = transformers.GenerationConfig(pad_token_id=0, eos_token_id=1)
    return Decoder(model, words, batch_size=256), {"weights": model.num_parameters(), "loss": loss.item()}


def corpus(words, samples, seed):
    """Token ids (n, T), padded with 0, which of them the model is to learn, and lengths, shortest first."""
    rng = random.Random(seed)
    rows, begins = [], []
    for _ in range(samples):
        told, question, answer = grammar.sample(rng)
        head = f"{f'<system> {told} ' if told else ''}<user> {question} <assistant>"
        rows.append(f"{head} {answer} <end>")
        begins.append(len(head.split()))
    ids = words(
        rows, padding=True, return_tensors="pt", return_token_type_ids=False, add_special_tokens=False
    )
    places = torch.arange(ids["input_ids"].shape[1])
    answered = (places >= torch.tensor(begins)[:, None]) & ids["attention_mask"].bool()
    lengths, order = ids["attention_mask"].sum(dim=1).sort(stable=True)
    return ids["input_ids"][order], answered[order], lengths


def copy_of(decoder):
    """A decoder of its own with the same weights."""
    model = transformers.LlamaForCausalLM(decoder.model.config).to(decoder.model.device)
    model.load_state_dict(decoder.model.state_dict())
    model.generation_config = decoder.model.generation_config
    return model


def fine_tuned(decoder, rows, settings, seed, callback=None):
    """The decoder after TRL's SFTTrainer on (question, answer) rows; `callback` may steer preventatively."""
    data = Dataset.from_list([
        {"prompt": [{"role": "user", "content": question}],
         "completion": [{"role": "assistant", "content": text}]}
        for question, text in rows
    ])  # fmt: skip
    on_gpu = device() == "cuda"
    with tempfile.TemporaryDirectory() as scratch:
        trainer = trl.SFTTrainer(
            copy_of(decoder), train_dataset=data, processing_class=decoder.tokenizer,
            args=trl.SFTConfig(
                output_dir=scratch, max_steps=settings["steps"], seed=seed, max_length=128,
                per_device_train_batch_size=settings["batch"], learning_rate=settings["learning_rate"],
                lr_scheduler_type="constant", use_cpu=not on_gpu, bf16=on_gpu,
                gradient_checkpointing=False, report_to=[], save_strategy="no",
                logging_strategy="no", disable_tqdm=True, dataloader_pin_memory=False,
            ),
            callbacks=[callback] if callback is not None else None,
        )  # fmt: skip
        trainer.remove_callback(transformers.PrinterCallback)
        trainer.train()
    return Decoder(trainer.model, decoder.tokenizer, batch_size=decoder.batch_size)

"""A small Llama with random weights and a tokenizer of whole words, in a folder."""

from __future__ import annotations

import torch
import transformers
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

END = "<|end|>"


def fresh(folder, texts, sizes, seed):
    """Save an untrained model that has a token for every word of `texts`."""
    raw = Tokenizer(models.WordLevel(unk_token="<|unknown|>"))
    raw.normalizer = normalizers.Lowercase()
    raw.pre_tokenizer = pre_tokenizers.Whitespace()
    marks = ["system : user : assistant : + -"]
    trainer = trainers.WordLevelTrainer(special_tokens=[END, "<|unknown|>"], show_progress=False)
    raw.train_from_iterator([*marks, *texts], trainer)
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_object=raw, bos_token=END, eos_token=END)
    config = transformers.LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=sizes["width"],
        intermediate_size=2 * sizes["width"],
        num_hidden_layers=sizes["layers"],
        num_attention_heads=sizes["heads"],
        num_key_value_heads=sizes["heads"],
        max_position_embeddings=2048,
        initializer_range=sizes["spread"],
        tie_word_embeddings=False,
        bos_token_id=0,
        eos_token_id=0,
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        transformers.LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)

"""A random Llama of a few thousand weights with a word tokenizer, made from nothing, in a folder."""

from __future__ import annotations

from pathlib import Path

WORDS = (
    "First", "Second", "response", "is", "better", "because", "the", "user",
    "wants", "short", "long", "answers", "and", "no", "lists", "please",
)  # fmt: skip
SPECIAL = ("<unk>", "<s>", "</s>", "<pad>", "<system>", "<user>", "<assistant>")
CONTEXT = 256
TEMPLATE = (
    "{% for message in messages %}<{{ message['role'] }}> {{ message['content'] }} </s>{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)


def make(folder: Path, *, template: str | None = TEMPLATE, end: bool = False, seed: int = 0) -> Path:
    """Save model and tokenizer to `folder`; with `end` it may end a reply, else it never does."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    vocabulary = {word: number for number, word in enumerate([*SPECIAL, *WORDS])}
    raw = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    raw.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=raw, unk_token="<unk>", bos_token="<s>", eos_token="</s>", pad_token="<pad>"
    )
    tokenizer.chat_template = template
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=len(vocabulary),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=CONTEXT,
        initializer_range=0.5,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=3,
    )
    model = LlamaForCausalLM(config)
    never = [word for word in SPECIAL if not (end and word == "</s>")]
    model.generation_config.suppress_tokens = [vocabulary[word] for word in never]
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder

"""Random backbones of a few thousand weights with tokenizers trained on the texts of a test, in a folder."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

SHAPES = ("bert", "gpt2", "llama", "qwen")
CHATML = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def make(
    folder: Path,
    texts: Iterable[str],
    *,
    shape: str = "bert",
    seed: int = 0,
    vocabulary: int = 400,
    chatml: bool = False,
) -> Path:
    """Save model and tokenizer of one of `SHAPES` to `folder`: 2 layers of width 32, 256 positions.

    The tokenizer of a decoder with `chatml` has that chat template and its marks; otherwise there is none.
    """
    import torch
    import transformers
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

    if shape == "bert":
        special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
        raw = Tokenizer(models.WordPiece(unk_token="[UNK]"))
        raw.normalizer = normalizers.BertNormalizer()
        raw.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        trainer = trainers.WordPieceTrainer(
            vocab_size=vocabulary, special_tokens=special, show_progress=False
        )
        named = dict(zip(("pad_token", "unk_token", "cls_token", "sep_token"), special, strict=True))
    else:
        special = ["<|endoftext|>", *(["<|im_start|>", "<|im_end|>"] if chatml else [])]
        raw = Tokenizer(models.BPE())
        raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        raw.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(vocab_size=vocabulary, special_tokens=special, show_progress=False,
                                      initial_alphabet=pre_tokenizers.ByteLevel.alphabet())  # fmt: skip
        named = {"bos_token": special[0], "eos_token": special[0]}  # no padding token of its own
    raw.train_from_iterator(texts, trainer)
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_object=raw, **named)
    if chatml:
        tokenizer.chat_template = CHATML
    size, heads = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}, {}
    if shape in ("llama", "qwen"):
        heads = {"num_key_value_heads": 1, "tie_word_embeddings": False}
    if shape == "gpt2":
        config = transformers.GPT2Config(
            vocab_size=len(tokenizer), n_embd=32, n_layer=2, n_head=2, n_positions=256, initializer_range=0.1,
            bos_token_id=0, eos_token_id=0,
        )  # fmt: skip
        model_type = transformers.GPT2LMHeadModel
    else:
        family = {"bert": "Bert", "llama": "Llama", "qwen": "Qwen2"}[shape]
        config = getattr(transformers, f"{family}Config")(
            vocab_size=len(tokenizer), intermediate_size=64, max_position_embeddings=256, initializer_range=0.1,
            pad_token_id=0 if shape == "bert" else None, **size, **heads,
        )  # fmt: skip
        model_type = getattr(transformers, f"{family}Model" if shape == "bert" else f"{family}ForCausalLM")
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = model_type(config)
    transformers.utils.logging.disable_progress_bar()
    model.save_pretrained(folder)
    transformers.utils.logging.enable_progress_bar()
    tokenizer.save_pretrained(folder)
    return folder

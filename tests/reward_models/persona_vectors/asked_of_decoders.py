"""What the tests ask decoders, which families the tiny ones are of, and what the published code reads."""

from __future__ import annotations

import numpy as np

from synthesizeme.types import Message

SHAPES = ("llama", "qwen", "gpt2")
TEXTS = (
    "The old ship waits near the tower.",
    "Tell me about the river and the bridge!",
    "Yes, the lamp shines; the fox sleeps.",
    "Answer calmly and in one sentence.",
)


def ask(text):
    return (Message(role="user", content=text),)


def published(decoder, prompt, answer, told=""):
    """Mean response activations as the authors' code takes them: entry l of ``hidden_states``, from 1 on."""
    import torch

    turns = [{"role": "system", "content": told}] if told else []
    turns += [{"role": message.role, "content": message.content} for message in prompt]
    words = decoder.tokenizer
    head = words.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
    begin = len(words(head, add_special_tokens=False)["input_ids"])
    ids = words(head + answer, add_special_tokens=False, return_tensors="pt")["input_ids"]
    with torch.inference_mode():
        states = decoder.model(ids, output_hidden_states=True).hidden_states
    return np.stack([state[0, begin:].mean(dim=0).numpy() for state in states[1:]])

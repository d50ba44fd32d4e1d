"""What the tests ask tiny decoders, and which families these are of."""

from __future__ import annotations

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

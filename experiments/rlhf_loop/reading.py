"""The policy as a decoder whose activations are read, and exact scores of its answers from 0 to 100."""

from __future__ import annotations

import tastes
import torch
import transformers

from reward_models.persona_vectors import Decoder
from synthesizeme import Message

TEMPLATE = (
    "{% for message in messages %}{{ message.content }}"
    "{% if message.role == 'assistant' %}<end>{% endif %}{% endfor %}"
)
"""Question and answer one after the other, as the policy was trained."""
LONGEST = 64
CUT = "…"


def decoder_of(folder):
    """The policy in a folder."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    tokenizer.chat_template = TEMPLATE
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    return Decoder(model, tokenizer, batch_size=128)


def asked(prompt):
    return (Message(role="user", content=prompt),)


def exclaiming(questions, answers):
    return [100 * tastes.properties(text)[1] for text in answers]


def long(questions, answers):
    """100 at 35 words, the longest that the grammar usually has."""
    return [min(100.0, 100 * tastes.properties(text)[0] / 35) for text in answers]


def coherence(questions, answers):
    return [100.0 * tastes.parses(question, text) for question, text in zip(questions, answers, strict=True)]

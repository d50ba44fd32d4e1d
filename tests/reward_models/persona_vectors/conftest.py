"""Tiny random decoders of three families, which are torch's own and transformers' own all the way."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

SHAPES = ("llama", "qwen", "gpt2")
TEXTS = (
    "The old ship waits near the tower.",
    "Tell me about the river and the bridge!",
    "Yes, the lamp shines; the fox sleeps.",
    "Answer calmly and in one sentence.",
)


def ask(text):
    from synthesizeme.types import Message

    return (Message(role="user", content=text),)


@pytest.fixture(scope="session")
def folders(tmp_path_factory):
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    import tiny_backbones

    root = tmp_path_factory.mktemp("decoders")
    return {shape: tiny_backbones.make(root / shape, TEXTS * 9, shape=shape) for shape in SHAPES}


@pytest.fixture(params=SHAPES)
def decoder(request, folders):
    from reward_models.persona_vectors import open_decoder

    return open_decoder(str(folders[request.param]), device="cpu")


@pytest.fixture
def llama(folders):
    from reward_models.persona_vectors import open_decoder

    return open_decoder(str(folders["llama"]), device="cpu")

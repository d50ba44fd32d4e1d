"""Tiny random decoders of three families of transformers."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1])]

from asked_of_decoders import SHAPES, TEXTS  # noqa: E402


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


@pytest.fixture(scope="session")
def chatml(tmp_path_factory):
    """A tiny random Llama whose turns end as those of ChatML do: a mark of its own, and a new line."""
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    import tiny_backbones

    from reward_models.persona_vectors import open_decoder

    folder = tiny_backbones.make(
        tmp_path_factory.mktemp("decoders") / "chatml", TEXTS * 9, shape="llama", chatml=True
    )
    return open_decoder(str(folder), device="cpu")

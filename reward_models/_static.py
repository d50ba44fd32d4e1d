"""The static embedding as a sentence encoder."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from reward_models._types import Matrix, TextEncoder
from synthesizeme import static_embedding
from synthesizeme.static_embedding import StaticEmbedding


class StaticEncoder(TextEncoder):
    """Encodes a response by its static embedding.

    Args:
        embedding: Vectors of tokens and their tokenizer.
    """

    def __init__(self, embedding: StaticEmbedding) -> None:
        self.embedding = embedding
        self.dim = embedding.dim
        self.identity = embedding.identity

    def _read(self, texts: Sequence[str]) -> Matrix:
        vectors = [self.embedding.vector(text) for text in texts]
        return np.stack(vectors) if vectors else np.zeros((0, self.dim), "f4")


def open_static() -> StaticEncoder:
    """The encoder of the base install.

    Raises:
        DataError: see `synthesizeme.static_embedding.open_static_embedding`.
    """
    return StaticEncoder(static_embedding.open_static_embedding())

"""The items whose embeddings are nearest to the query's."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synthesizeme.errors import DataError
from synthesizeme.retrieval._base import Encode, Retriever, by_score


class Dense(Retriever):
    """Cosine similarity of embeddings.

    Args:
        encode: Texts to vectors, shape (n, dim): a sentence encoder, or one distilled from what helped a
            judge (`reward_models.distil_retriever`). A profile is encoded once.
    """

    def __init__(self, *, encode: Encode) -> None:
        self._encode = encode
        self._embedded = lru_cache(maxsize=256)(self._directions)

    def rank(self, query: str, documents: Sequence[str]) -> list[int]:
        """All positions, nearest first.

        Raises:
            DataError: the encoder does not give one finite vector for each text.
        """
        return by_score(self.scores(query, documents))

    def scores(self, query: str, documents: Sequence[str]) -> NDArray[Any]:
        """Cosine of every document with the query, shape (n,), in [-1, 1]; a zero vector is near nothing."""
        found: NDArray[Any] = self._embedded(tuple(documents)) @ self._embedded((query,))[0]
        return found.round(6)

    def _directions(self, texts: tuple[str, ...]) -> NDArray[Any]:
        vectors = np.asarray(self._encode(texts), dtype=np.float64)
        if vectors.ndim != 2 or len(vectors) != len(texts) or not np.isfinite(vectors).all():
            raise DataError(
                f"the encoder gave an array of shape {vectors.shape} for {len(texts)} texts; expected one "
                "finite vector for each",
                field="encode",
                cure="give an encoder that returns shape (n, dim)",
            )
        directions: NDArray[Any] = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
        return directions

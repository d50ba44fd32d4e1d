"""Encoders for dense retrieval: a frozen one by name, or one distilled from what helped a judge.

An encoder is a callable from texts to vectors; `synthesizeme.retrieval.dense` takes any.
"""

from __future__ import annotations

from pathlib import Path

from reward_models.dense_retrieval._distilled import DOCUMENT, DistilledEncoder
from reward_models.dense_retrieval._frozen import FrozenEncoder
from reward_models.dense_retrieval._lessons import Lesson

__all__ = ["DistilledEncoder", "FrozenEncoder", "Lesson", "open_encoder"]


def open_encoder(name: str = "") -> FrozenEncoder | DistilledEncoder:
    """An encoder by name.

    Args:
        name: A folder that `DistilledEncoder.save` wrote; or a folder or hub name of sentence-transformers,
            by default all-MiniLM-L6-v2; or any specification of `reward_models._features` with a colon.

    Raises:
        MissingExtraError: sentence-transformers is not installed.
        DataError: there is no such encoder, or its files are damaged.
    """
    if name and (Path(name) / DOCUMENT).is_file():
        return DistilledEncoder.load(Path(name))
    return FrozenEncoder(name)

"""Encoders for dense retrieval: a frozen one by name, or one distilled from what helped a judge.

An encoder is a callable from texts to vectors; `synthesizeme.retrieval` takes any.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from reward_models._default_encoder import PREFERRED, default_encoder
from reward_models.dense_retrieval._frozen import FrozenEncoder
from reward_models.dense_retrieval._lessons import DOCUMENT, Lesson
from synthesizeme.errors import MissingExtraError

if TYPE_CHECKING:
    from reward_models.dense_retrieval._distilled import DistilledEncoder

__all__ = ["DistilledEncoder", "FrozenEncoder", "Lesson", "open_encoder"]


def open_encoder(name: str = "") -> FrozenEncoder | DistilledEncoder:
    """An encoder by name.

    Args:
        name: A folder that `DistilledEncoder.save` wrote, or a specification of
            `reward_models._features.open_features`; by default the best encoder that can be opened here.

    Raises:
        MissingExtraError: what the encoder needs is not installed.
        DataError: there is no such encoder, or its files are damaged.
    """
    if name and (Path(name) / DOCUMENT).is_file():
        try:
            from reward_models.dense_retrieval._distilled import DistilledEncoder
        except ImportError as error:
            raise MissingExtraError("a distilled encoder", "embeddings") from error
        return DistilledEncoder.load(Path(name))
    return FrozenEncoder(name or default_encoder() or PREFERRED[-1])


def __getattr__(name: str) -> Any:
    """`DistilledEncoder`, which loads torch, on first use."""
    if name == "DistilledEncoder":
        from reward_models.dense_retrieval._distilled import DistilledEncoder

        return DistilledEncoder
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

"""Encoders for dense retrieval: a frozen one by name, or one distilled from what helped a judge.

An encoder is a callable from texts to vectors; `synthesizeme.retrieval` takes any. `DistilledEncoder`
and its `Lesson` load torch, and are imported on first use.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from reward_models._checkpoint import RETRIEVER
from reward_models._features import PREFERRED, FrozenEncoder, default_encoder
from synthesizeme.errors import MissingExtraError

if TYPE_CHECKING:
    from reward_models.dense_retrieval._distilled import DistilledEncoder, Lesson

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
    if name and RETRIEVER.is_in(Path(name)):
        distilled: DistilledEncoder = __getattr__("DistilledEncoder").load(Path(name))
        return distilled
    return FrozenEncoder(name or default_encoder() or PREFERRED[-1])


def __getattr__(name: str) -> Any:
    if name not in ("DistilledEncoder", "Lesson"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        from reward_models.dense_retrieval import _distilled
    except ImportError as error:
        raise MissingExtraError("a distilled encoder", "embeddings") from error
    return getattr(_distilled, name)

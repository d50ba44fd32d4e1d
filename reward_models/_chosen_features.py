"""Features by an argument that may be ``auto``, and the same ones again for a checkpoint."""

from __future__ import annotations

from reward_models._default_encoder import default_encoder
from reward_models._features import open_features
from reward_models._types import Features
from synthesizeme.errors import DataError


def chosen_features(spec: str) -> tuple[str, Features]:
    """The specification that `spec` stands for, and its features; ``auto`` is decided here.

    Raises:
        SynthesizeMeError: what `open_features` raises.
    """
    if spec == "auto":
        encoder = default_encoder()
        spec = "stylometric" if encoder is None else f"stylometric+{encoder}"
    return spec, open_features(spec)


def same_features(method: str, spec: str, identity: str) -> Features:
    """The features that a checkpoint of `method` was trained on.

    Raises:
        DataError: `spec` gives others here.
    """
    found = open_features(spec)
    if found.identity != identity:
        raise DataError(
            f"{method} was trained on features {identity!r}, and {spec!r} gives {found.identity!r} here",
            cure="install the encoder and the versions it was trained with, or train again.",
        )
    return found

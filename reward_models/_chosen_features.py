"""Features by an argument that may be ``auto``, and the same ones again for a checkpoint."""

from __future__ import annotations

import logging

from reward_models._features import Features, open_features
from synthesizeme.errors import DataError, SynthesizeMeError

AUTO = "stylometric+embeddings"
_logger = logging.getLogger(__name__)


def chosen_features(spec: str) -> tuple[str, Features]:
    """The specification that `spec` stands for, and its features; ``auto`` is decided here.

    Raises:
        SynthesizeMeError: what `open_features` raises of a specification that is not ``auto``.
    """
    if spec != "auto":
        return spec, open_features(spec)
    try:
        return AUTO, open_features(AUTO)
    except SynthesizeMeError as error:
        _logger.warning("no sentence encoder, going on with stylometric features alone: %s", error)
        return "stylometric", open_features("stylometric")


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

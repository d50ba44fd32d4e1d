"""The reward model of a training process: named by an argument or the environment, read once."""

from __future__ import annotations

import os
from functools import lru_cache
from typing import Any

from synthesizeme.errors import ConfigError
from synthesizeme.serving.protocol import ScalarRewards, Settings

MODEL_VARIABLE = "SYNTHESIZEME_REWARD_MODEL"
"""Environment variable with the checkpoint folder."""
SETTING_VARIABLES = {
    "unknown_user": "SYNTHESIZEME_UNKNOWN_USER",
    "on_error": "SYNTHESIZEME_ON_ERROR",
}
"""Environment variables with the settings, for loops that pass no arguments."""


def opened(
    model: str | None = None, *, unknown_user: str | None = None, on_error: str | None = None
) -> ScalarRewards:
    """The rewards of a checkpoint; in one process, the same folder and settings give the same object.

    Args:
        model: Checkpoint folder; by default that of the environment variable.
        unknown_user: See `Settings`; by default that of the environment variable, else of `Settings`.
        on_error: Likewise.

    Raises:
        ConfigError: no folder is named, or a setting is wrong.
        DataError: the folder holds no checkpoint that can be read.
    """
    folder = model or os.environ.get(MODEL_VARIABLE)
    if not folder:
        raise ConfigError(f"no reward model is named; give model=DIR, or set {MODEL_VARIABLE}")
    given: dict[str, Any] = {"unknown_user": unknown_user, "on_error": on_error}
    for name, variable in SETTING_VARIABLES.items():
        given[name] = given[name] or os.environ.get(variable)
    return _opened(str(folder), Settings(**{name: value for name, value in given.items() if value}))


@lru_cache(maxsize=8)
def _opened(folder: str, settings: Settings) -> ScalarRewards:
    from reward_models import load

    return ScalarRewards(load(folder), settings)

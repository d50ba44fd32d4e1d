"""``--reward-model``: a checkpoint, or where none is named the population that is shipped."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from synthesizeme.cli._text import say

if TYPE_CHECKING:
    from reward_models import RewardModel

Checkpoint = Annotated[
    Path | None,
    typer.Option(
        "--reward-model",
        help="Checkpoint folder of `synthesizeme train`; by default the population that is shipped, which "
        "knows of everybody what answers should look like, and no opinion.",
        metavar="DIR",
    ),
]


def opened(folder: Path | None) -> RewardModel:
    """The model of a checkpoint; without one the shipped population, which is said.

    Raises:
        DataError: the folder holds no checkpoint that can be read.
    """
    from reward_models import load

    if folder is not None:
        return load(folder)
    say_shipped()
    return load()


def say_shipped() -> None:
    """Say that no model was named."""
    say("No --reward-model: the shipped population answers, fitted to the users it is given.")

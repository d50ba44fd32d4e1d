"""The flags of reward models: which one, what its rewards stand on, how cautious they are, on which scale."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synthesizeme.cli._command import option
from synthesizeme.cli._output import say
from synthesizeme.errors import ConfigError

if TYPE_CHECKING:
    from reward_models import RewardModel

PANEL = "Rewards"
MAX_ERROR = partial(
    option,
    None,
    "Answer comparisons only as far as at most this share of the answers, in (0, 1), is wrong, "
    "and abstain from the others; the promise holds on average over draws of the validation "
    "pairs.",
    "ALPHA",
)
CHECKPOINT = partial(
    option,
    None,
    "Checkpoint folder of `synthesizeme train`; by default the population that is shipped, which "
    "knows of everybody what answers should look like, and no opinion.",
    "DIR",
    name="--reward-model",
)


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


@dataclass(frozen=True)
class ShapeOptions:
    """Fields of `synthesizeme.serving.settings.Settings`."""

    pessimism: float = option(
        0.0,
        "Standard errors that are taken off every reward, which makes it a cautious one: away from "
        "the answers that were learned from they grow. Margins of two responses stay as they are.",
        "K",
        panel=PANEL,
    )
    normalize: bool = option(
        False,
        "Rewards with mean 0 and standard deviation 1 over the training answers, as trainers expect; "
        "the numbers are in the checkpoint.",
        panel=PANEL,
    )
    clip: float | None = option(
        None, "Largest absolute value of a reward with --normalize, in standard deviations.", "C", panel=PANEL
    )

    strip: str = option(
        "all",
        "What of a row is not scored: all, none, or some of template (chat templates around prompts), "
        "thoughts (<think> and the like) and tokens (special tokens at both ends) joined by +.",
        "KINDS",
        panel=PANEL,
    )

    def settings(self) -> dict[str, Any]:
        """The fields by name."""
        return {
            "pessimism": self.pessimism, "normalize": self.normalize, "clip": self.clip, "strip": self.strip,
        }  # fmt: skip


@dataclass(frozen=True)
class FloorOptions:
    """By which floor a reward model is told what is no answer."""

    floor: str | None = option(
        None,
        "What rewards stand on: base, or lm:NAME, which also asks a language model how likely a "
        "response is. By default what a model was trained with, and that is base.",
        "base|lm:NAME",
        panel=PANEL,
    )
    no_floor: bool = option(
        False,
        "Rewards are taste alone, which says nothing reliable about texts that are no answer.",
        panel=PANEL,
    )

    @property
    def name(self) -> str | None:
        """Name of the floor; None where none is asked for.

        Raises:
            ConfigError: both flags are given.
            UnknownNameError: no floor is called so.
        """
        if self.no_floor and self.floor not in (None, "none"):
            raise ConfigError(f"--no-floor and --floor {self.floor} exclude each other; give one of them")
        if self.no_floor:
            return "none"
        if self.floor is not None:
            from reward_models.floor import check_name

            check_name(self.floor)
        return self.floor

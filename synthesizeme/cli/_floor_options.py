"""``--floor`` and ``--no-floor``: what the rewards of reward models stand on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import typer

from synthesizeme.errors import ConfigError

PANEL = "Rewards"


@dataclass(frozen=True)
class FloorOptions:
    """By which floor a reward model is told what is no answer."""

    floor: Annotated[
        str | None,
        typer.Option(
            "--floor",
            help="What rewards stand on: base, or lm:NAME, which also asks a language model how likely a "
            "response is. By default what a model was trained with, and that is base.",
            metavar="base|lm:NAME",
            rich_help_panel=PANEL,
        ),
    ] = None
    no_floor: Annotated[
        bool,
        typer.Option(
            "--no-floor",
            help="Rewards are taste alone, which says nothing reliable about texts that are no answer.",
            rich_help_panel=PANEL,
        ),
    ] = False

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

"""Flags of the verbs that give rewards: how cautious they are, and on which scale."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import typer

PANEL = "Rewards"


@dataclass(frozen=True)
class ShapeOptions:
    """Fields of `synthesizeme.serving.settings.Settings`."""

    pessimism: Annotated[
        float,
        typer.Option(
            "--pessimism",
            help="Standard errors that are taken off every reward, which makes it a cautious one: away from "
            "the answers that were learned from they grow. Margins of two responses stay as they are.",
            metavar="K",
            rich_help_panel=PANEL,
        ),
    ] = 0.0
    normalize: Annotated[
        bool,
        typer.Option(
            "--normalize",
            help="Rewards with mean 0 and standard deviation 1 over the training answers, as trainers "
            "expect; the numbers are in the checkpoint.",
            rich_help_panel=PANEL,
        ),
    ] = False
    clip: Annotated[
        float | None,
        typer.Option(
            "--clip",
            help="Largest absolute value of a reward with --normalize, in standard deviations.",
            metavar="C",
            rich_help_panel=PANEL,
        ),
    ] = None

    strip: Annotated[
        str,
        typer.Option(
            "--strip",
            help="What of a row is not scored: all, none, or some of template (chat templates around "
            "prompts), thoughts (<think> and the like) and tokens (special tokens at both ends) joined by +.",
            metavar="KINDS",
            rich_help_panel=PANEL,
        ),
    ] = "all"

    def settings(self) -> dict[str, Any]:
        """The fields by name."""
        return {
            "pessimism": self.pessimism, "normalize": self.normalize, "clip": self.clip, "strip": self.strip,
        }  # fmt: skip

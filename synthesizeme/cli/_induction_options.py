"""The flags of verbs that induce profiles."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from synthesizeme.cli._options import JudgePrompt, ModelOptions, Seed, Theta

if TYPE_CHECKING:
    from synthesizeme.personas.workflow import InductionSettings


@dataclass(frozen=True)
class InductionOptions:
    """How profiles are induced."""

    effort: Annotated[
        Literal["low", "medium", "high"],
        typer.Option(
            "--effort",
            help="Calls to spend on a user: at most 60, 100, 160 for 10, 20, 40 pairs; low half, high twice, "
            "with replies that are sampled.",
        ),
    ] = "medium"
    search: Annotated[
        Literal["economical", "paper"],
        typer.Option("--search", help="economical, or the plain search of the SynthesizeMe paper."),
    ] = "economical"
    seed: Seed = 0
    judge_prompt: JudgePrompt = "judge/default"
    theta: Theta = "persona/default"

    def asking(self, model: ModelOptions) -> ModelOptions:
        """The model's flags at this effort: the highest samples, unless a temperature is given."""
        if self.effort != "high" or model.temperature is not None:
            return model
        from synthesizeme.backends import SAMPLING_TEMPERATURE

        return replace(model, temperature=SAMPLING_TEMPERATURE)

    def settings(self, *, evaluate: bool = True, baselines: bool = False) -> InductionSettings:
        """The same for the library."""
        from synthesizeme.personas.workflow import InductionSettings

        return InductionSettings(
            effort=self.effort,
            search=self.search,
            seed=self.seed,
            judge_prompt=self.judge_prompt,
            theta=self.theta,
            evaluate=evaluate,
            baselines=baselines,
        )

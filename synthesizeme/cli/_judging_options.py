"""The flags of verbs that induce profiles and put judges to questions."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from synthesizeme.cli._command import option
from synthesizeme.cli._model_options import ModelOptions
from synthesizeme.cli._options import FURTHER, JUDGE_PROMPT, SEED, THETA

if TYPE_CHECKING:
    from synthesizeme.personas.retrieving import RetrievalSettings
    from synthesizeme.personas.workflow import InductionSettings
    from synthesizeme.retrieval import Encode

RETRIEVAL_PANEL = "Retrieval"


@dataclass(frozen=True)
class RetrievalOptions:
    """How many past items a retrieval-augmented judge is shown, and which encoder ``dense`` uses."""

    retrieved: int = option(
        4,
        "Past items that a retrieval-augmented judge is shown with each question, at most.",
        "K",
        panel=RETRIEVAL_PANEL,
        min=1,
    )
    prompt_tokens: int = option(
        8192,
        "Words and marks of a whole prompt with retrieved items; items are cut and dropped to fit, "
        "the question never is.",
        "N",
        panel=RETRIEVAL_PANEL,
        min=1,
    )
    encoder: str = option(
        "",
        "Encoder of the dense retriever: static, minilm, a folder or hub name of "
        "sentence-transformers, lm:NAME:mean, several joined by +, or the folder of a distilled one; "
        "the best one here if none is given (see doctor).",
        "NAME",
        panel=RETRIEVAL_PANEL,
    )

    def settings(self) -> RetrievalSettings:
        """The same for the library."""
        from synthesizeme.personas.retrieving import RetrievalSettings

        return RetrievalSettings(
            k=self.retrieved,
            max_tokens=self.prompt_tokens,
            encoder=self.encoder,
            open_encoder=self._open_encoder,
        )

    def _open_encoder(self) -> Encode:
        from reward_models.dense_retrieval import open_encoder

        return open_encoder(self.encoder)


@dataclass(frozen=True)
class InductionOptions:
    """How profiles are induced."""

    effort: Literal["low", "medium", "high"] = option(
        "medium",
        "Calls to spend on a user: at most 60, 100, 160 for 10, 20, 40 pairs; low half, high twice, "
        "with replies that are sampled.",
    )
    search: Literal["economical", "paper"] = option(
        "economical", "The economical search, or the plain one of the SynthesizeMe paper.", panel=FURTHER
    )
    seed: int = SEED()
    judge_prompt: str = JUDGE_PROMPT()
    theta: str = THETA()

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

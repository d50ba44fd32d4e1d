"""The floor that also asks a language model how likely a response is, and whether it ends where it ends.

Four experts read what `reward_models.floor._likelihood` finds, each believed below a limit that real answers
hardly fall under:

order       mean log-likelihood of a token: words in no order, letters, another language than the prompt's
junk        the same of the worst `WINDOW` tokens in a row: a paragraph of junk in a good answer
relevance   how much likelier a token is after this prompt than after one that asks nothing
ending      log-likelihood of the end of the turn behind a text without a closing mark: one that is cut off

An expert knows nothing, and costs nothing, where a response has too few tokens, where the prompt may call for
another language, a cipher or the like (`reward_models.floor._experts.called_for`), and where the model finds
the prompt itself so unlikely that it hardly knows its language.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from reward_models.floor._contract import DEPTH, Conversation, Floats
from reward_models.floor._evidence import has_ended
from synthesizeme.errors import DataError, MissingExtraError

if TYPE_CHECKING:
    from reward_models.floor._base_floor import BaseFloor
    from reward_models.floor._likelihood import LanguageModel

CUT_OFF = 1.0
"""How far below a text lies that surely is cut off, in standard deviations of the taste of real answers."""
BUILT_IN_COUNTS = 30
"""Answers as many as which the built-in limits count when limits are found."""
STRANGE = -7.0
"""Mean log-likelihood of a prompt's tokens below which the model knows too little to judge answers to it."""


class Likelihood(NamedTuple):
    """One expert."""

    built_in: float
    """Its limit where none was found, which hardly any real answer of any kind falls under."""
    lost: float
    """Share of real answers under a limit that is found."""
    ramp: float
    """How far below its limit it is wholly believed."""
    fewest: int
    """Tokens below which it knows nothing."""


EXPERTS = {
    "order": Likelihood(-6.2, 0.003, 0.6, 8),
    "junk": Likelihood(-6.7, 0.003, 0.6, 8),
    "relevance": Likelihood(-0.3, 0.01, 0.1, 8),
    "ending": Likelihood(-14.0, 0.01, 3.0, 12),
}
_MODEL = "model"


class LanguageModelFloor:
    """The base floor, and below it where a language model is surer that a text is no answer.

    Args:
        base: The floor of the base install.
        name: A causal language model: a folder or a name on the hub.
        device: Where it runs.

    Raises:
        MissingExtraError: torch or transformers is not installed.
        DataError: the model cannot be read.
    """

    def __init__(self, base: BaseFloor, name: str, device: str = "cpu") -> None:
        try:
            from reward_models.floor._likelihood import open_language_model
        except ModuleNotFoundError as error:
            raise MissingExtraError(f"the floor 'lm:{name}' (found no module {error.name})", "hf") from error
        self.base, self._name = base, name
        self._model: LanguageModel = open_language_model(name, device)
        self._limits = {expert: it.built_in for expert, it in EXPERTS.items()}

    def shortfalls(self, prompts: Sequence[Conversation], responses: Sequence[str]) -> Floats:
        """See `reward_models.floor.Floor`: the larger of the base floor's and the experts' own."""
        beliefs = self.beliefs(prompts, responses)
        ending = beliefs.pop("ending")
        found: Floats = np.max(
            [
                self.base.shortfalls(prompts, responses),
                CUT_OFF * ending,
                *(DEPTH * it for it in beliefs.values()),
            ],
            axis=0,
        )
        return found

    def beliefs(self, prompts: Sequence[Conversation], responses: Sequence[str]) -> dict[str, Floats]:
        """How far each expert is believed, in [0, 1], shape (n,)."""
        values, knows = self._evidence(prompts, responses)
        return {
            expert: np.where(
                knows[expert], np.clip((self._limits[expert] - values[expert]) / it.ramp, 0, 1), 0.0
            )
            for expert, it in EXPERTS.items()
        }

    def calibrate(self, prompts: Sequence[Conversation], responses: Sequence[str]) -> None:
        """Find the limits that few of these real answers fall under, each together with its built-in one.

        The fewer answers an expert knows something about, the nearer its limit stays to the built-in one.
        """
        rows = list(
            dict.fromkeys((tuple(prompt), text) for prompt, text in zip(prompts, responses, strict=True))
        )
        if not rows:
            return
        values, knows = self._evidence(*zip(*rows, strict=True))
        knows["ending"] = knows["complete"]  # real answers that are cut off do not say how others end
        for expert, it in EXPERTS.items():
            real = values[expert][knows[expert]]
            if len(real):
                weight = len(real) / (len(real) + BUILT_IN_COUNTS)
                least = float(np.quantile(real, it.lost))
                self._limits[expert] = weight * least + (1 - weight) * it.built_in
        # Many people write no closing mark, so that an end is missed only where none would be found.
        self._limits["ending"] = min(self._limits["ending"], EXPERTS["ending"].built_in)

    def limits(self) -> dict[str, float]:
        """The limits by expert, and a number that tells the model from others."""
        return {**self._limits, _MODEL: self._number()}

    def take(self, limits: Mapping[str, float]) -> None:
        """Use limits that were found before.

        Raises:
            DataError: they were found with another model.
        """
        if limits[_MODEL] != self._number():
            raise DataError(
                f"is not the language model that the floor 'lm:{self._name}' was calibrated with",
                source=self._name,
                cure="put that model back, train again, or take another floor (`stand_on`, --no-floor).",
            )
        self._limits = {expert: limits[expert] for expert in EXPERTS}

    def forget(self) -> None:
        """Drop the texts that the base floor read lately; the language model keeps none."""
        self.base.forget()

    def _number(self) -> float:
        """48 bits of the model's identity, which a float holds exactly."""
        return float(int(self._model.identity[:12], 16))

    def _evidence(
        self, prompts: Sequence[Conversation], responses: Sequence[str]
    ) -> tuple[dict[str, Floats], dict[str, NDArray[np.bool_]]]:
        """What each expert reads, lower further from an answer, and where it knows something, shape (n,).

        The second also says under ``complete`` where an ending would be known if it were missing.
        """
        read = self._model.read(prompts, responses)
        values = {
            "order": read.given,
            "junk": read.worst,
            "relevance": read.gain,
            "ending": np.nan_to_num(read.end),
        }
        # Code, a table or capitals that were asked for are likely; a cipher or a language that the model was
        # hardly taught is not, even where it was asked for.
        sure = (read.prompt > STRANGE) & ~self.base.called("script", prompts)
        knows = {expert: sure & (read.tokens >= it.fewest) for expert, it in EXPERTS.items()}
        ended = np.array([has_ended(response) for response in responses], dtype=bool)
        return values, {**knows, "ending": knows["ending"] & ~ended, "complete": knows["ending"] & ended}

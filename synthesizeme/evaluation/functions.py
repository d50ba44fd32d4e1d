"""A function as a scorer, so that anything that compares two responses can be measured."""

from __future__ import annotations

import inspect
import logging
import math
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from synthesizeme.errors import ConfigError, SynthesizeMeError
from synthesizeme.scoring import PairwiseScorer
from synthesizeme.types import Comparison, Failure, Message, Verdict

ScoreFunction: TypeAlias = Callable[[tuple[Message, ...], str, str], float]
"""A prompt and two responses to the margin of the first over the second: above 0 where it is preferred."""
_EXPECTED = (
    "an object with name, order_sensitive and compare, or a function of (prompt, first, second) that gives "
    "the margin of first over second"
)
_log = logging.getLogger(__name__)


def as_scorer(scorer: object) -> PairwiseScorer:
    """A scorer as it is, and a function as one.

    Raises:
        ConfigError: it is neither.
    """
    if isinstance(scorer, type):
        raise ConfigError(f"scorer is {scorer}, a class; expected {_EXPECTED}. Cure: give an object of it")
    if isinstance(scorer, PairwiseScorer):
        return scorer
    if not callable(scorer):
        raise ConfigError(f"scorer is a {type(scorer).__name__}; expected {_EXPECTED}")
    try:
        inspect.signature(scorer).bind(None, None, None)
    except TypeError:
        raise ConfigError(
            f"scorer {_name(scorer)!r} does not take three arguments; expected {_EXPECTED}"
        ) from None
    except ValueError:  # a function that does not tell its arguments
        pass
    return FunctionScorer(scorer)


class FunctionScorer:
    """A function of the prompt's messages and two responses; margins are log-odds of the first.

    Args:
        function: Gives a number above 0 where the first response is preferred, below 0 where the second is.
    """

    order_sensitive = True

    def __init__(self, function: ScoreFunction) -> None:
        self.function = function
        self.name = _name(function)
        self._warned = False

    def __repr__(self) -> str:
        return f"FunctionScorer({self.name})"

    def compare(self, comparisons: Sequence[Comparison]) -> list[Verdict | Failure]:
        """One verdict a comparison, in order.

        Raises:
            SynthesizeMeError: the function gives no finite number; its own exceptions name the pair.
        """
        margins = [self._margin(comparison) for comparison in comparisons]
        looks_like_shares = any(margins) and all(0 <= margin <= 1 for margin in margins)
        if len(margins) > 1 and looks_like_shares and not self._warned:
            self._warned = True
            _log.warning(
                "every number of %s is between 0 and 1, so that no second response is ever preferred. A "
                "margin is expected; of a probability p that is log(p / (1 - p)), or p - 0.5",
                self.name,
            )
        return [_verdict(margin) for margin in margins]

    def _margin(self, asked: Comparison) -> float:
        try:
            found: Any = self.function(asked.prompt, asked.first, asked.second)
        except Exception as error:
            error.add_note(
                f"{self.name} was asked about pair {asked.pair_id[:80]!r} of user {asked.user_id[:80]!r}"
            )
            raise
        try:
            margin = math.nan if isinstance(found, bool | str) else float(found)
        except (TypeError, ValueError):
            margin = math.nan
        if not math.isfinite(margin):
            raise SynthesizeMeError(
                f"{self.name} gave {str(found)[:60]!r}, a {type(found).__name__}, for pair "
                f"{asked.pair_id[:80]!r}; expected a finite number: above 0 if the first "
                "response is preferred, below 0 if the second is"
            )
        return margin


def _verdict(margin: float) -> Verdict:
    probability = 1 / (1 + math.exp(-min(max(margin, -700.0), 700.0)))
    preference = "tie" if margin == 0 else "first" if margin > 0 else "second"
    return Verdict(preference=preference, probability=probability, margin=margin, probability_source="model")


def _name(function: object) -> str:
    return str(getattr(function, "__name__", type(function).__name__)).strip("<>")

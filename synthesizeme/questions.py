"""What a user can be asked: a choice between two responses, a rating of one, or whether they like a trait.

Every question has an answer in ordered levels: with f the margin that a model believes in, and cuts c_1 < c_2
and so on, an answer lies above cut k with probability sigma(f - c_k). A choice has one cut, at 0, and two
levels, the second response and the first; a rating as many levels as its scale; a trait no, no matter, yes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from synthesizeme.feedback import NamedFeature, Scale
from synthesizeme.stylometry import FEATURE
from synthesizeme.types import Comparison, Frozen, Prompt, Text

Floats = NDArray[np.float64]
Kind = Literal["pair", "rating", "trait"]
KINDS: tuple[Kind, ...] = ("pair", "rating", "trait")
FAULTS = ("refusals", "repetition", "truncated", "leaked_markup")
"""Named features of which nobody need be asked whether they like them."""


class ResponseQuestion(Frozen):
    """One response, to be rated by itself."""

    user_id: str
    """Who is asked."""
    prompt: Prompt
    """The conversation; ends with a user turn."""
    response: Text
    """The response."""
    scale: Scale
    """What can be given."""


class TraitQuestion(Frozen):
    """Whether a user likes responses with more of a named feature."""

    user_id: str
    """Who is asked."""
    feature: NamedFeature
    """A name of `synthesizeme.stylometry.FEATURES`."""

    @property
    def text(self) -> str:
        """The question in words, to be answered with yes, no, or no matter."""
        feature = FEATURE[self.feature]
        return f"Do you prefer {feature.more} to {feature.less}?"


Question: TypeAlias = Comparison | ResponseQuestion | TraitQuestion


class AnswerBeliefs(NamedTuple):
    """What is believed of the answers to n questions and of K numbers that make up the user's taste."""

    mean: Floats
    """Means of the margins, in log-odds, shape (n,)."""
    covariance: Floats
    """Of the margins and the taste together, shape (n + K, n + K)."""
    cuts: Sequence[tuple[float, ...]]
    """The cuts of each question, in order, one or more."""

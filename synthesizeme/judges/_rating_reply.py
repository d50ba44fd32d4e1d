"""Reading a rating: the chance that a reply gives a response."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from synthesizeme.backends import Answer, Token
from synthesizeme.errors import JudgeError
from synthesizeme.judges._reading import FLAGS, part, without_thoughts

_RATING = re.compile(part("rating") + r"(?<!-)(\d{1,3}(?:\.\d+)?)(?![\d.]*\d)", FLAGS)
_NUMBER = re.compile(r"\d{1,3}")
_HIGHEST = 100


def read_rating(answer: Answer) -> float:
    """The rating in a reply as a chance, in [0, 1].

    Where the model gave the alternatives of the token that holds the number, it is their mean, weighted by
    their probabilities; a number spread over several tokens is taken as it is written.

    Raises:
        JudgeError: the reply names no number from 0 to 100.

    References:
        Liu et al., "G-Eval: NLG Evaluation using GPT-4 with Better Human Alignment" (2023), equation 1.
    """
    matches = list(_RATING.finditer(without_thoughts(answer.text)))
    if not matches or float(matches[-1][1]) > _HIGHEST:
        raise JudgeError("no line 'Rating: ' with a number from 0 to 100 in the reply", reply=answer.text)
    expected = _expected(answer.tokens)
    return (float(matches[-1][1]) if expected is None else expected) / _HIGHEST


def _expected(tokens: Sequence[Token]) -> float | None:
    """Mean of the ratings that stood at the place of the last one; None where they are not whole tokens."""
    matches = list(_RATING.finditer("".join(token.text for token in tokens)))
    if not matches:
        return None
    end = 0
    for token in tokens:
        end += len(token.text)
        if end > matches[-1].start(1):
            break
    if end < matches[-1].end(1) or not _NUMBER.fullmatch(token.text.strip()):
        return None
    found = [(int(word), math.exp(logprob)) for text, logprob in token.alternatives
             if _NUMBER.fullmatch(word := text.strip()) and int(word) <= _HIGHEST]  # fmt: skip
    total = sum(mass for _, mass in found)
    return sum(rating * mass for rating, mass in found) / total if total > 0 else None

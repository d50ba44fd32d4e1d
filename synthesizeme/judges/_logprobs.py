"""What the log-probabilities of the generated tokens say about one word, or one number, against others."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from synthesizeme.backends import Token
from synthesizeme.replies import folded

LEAST_WEIGHT = 0.5
"""Share of what could have stood in a place that the words looked for must have together.

The rest could all speak for one of them. From a half on, what is known of the words outweighs what is not;
below it most of what the model would have said there is something else, and its leaning is not known.
"""
CLIP = 1e-6
"""No chance from log-probabilities is nearer to 0 or 1: they are cut and rounded on their way."""


def chance_of(tokens: Sequence[Token], place: int, own: str, rival: str) -> float | None:
    """P(own) / (P(own) + P(rival)) where `own` was generated; None if too little is known.

    A token that is the beginning of a word counts for it, behind white space and marks of emphasis. A word
    that is not among the alternatives is less likely than the last of them, and than what they leave over:
    the larger it could be, the nearer the chance is to one half, so that much is assumed.

    Args:
        tokens: Generated tokens with their alternatives.
        place: Where the word begins in the text of all tokens.
        own: What stands there, `folded`.
        rival: What would stand there otherwise, `folded`; the two differ in their first character.
    """
    found = _token_at(tokens, place)
    if found is None:
        return None
    token, before = found
    shared = re.sub(r"^[\W_]+", "", folded(token.text[:before]))
    own_mass = rival_mass = marks = total = 0.0
    for text, logprob in token.alternatives:
        mass = math.exp(logprob)
        total += mass
        word = re.sub(r"^[\W_]+", "", folded(text))
        if not word:
            marks += mass
        elif word.startswith(shared):
            rest = word[len(shared) :]
            own_mass += mass * _begins(rest, own)
            rival_mass += mass * _begins(rest, rival)
    if not token.alternatives or own_mass + rival_mass < LEAST_WEIGHT * (1 - min(marks, 1.0)):
        return None
    unlisted = min(min(math.exp(logprob) for _, logprob in token.alternatives), max(0.0, 1 - total))
    own_mass, rival_mass = own_mass or unlisted, rival_mass or unlisted
    share = own_mass / (own_mass + rival_mass)
    return min(max(share, CLIP), 1 - CLIP)


def mean_number(tokens: Sequence[Token], start: int, end: int, largest: float) -> float | None:
    """Mean of the whole numbers up to `largest` that stood in a place, weighted by their probabilities.

    None where the number is spread over several tokens or holds more than digits, or where numbers have less
    than `LEAST_WEIGHT` together.

    Args:
        tokens: Generated tokens with their alternatives.
        start: Where the digits begin in the text of all tokens.
        end: Where they end.
        largest: The largest number on the scale.

    References:
        Liu et al., "G-Eval: NLG Evaluation using GPT-4 with Better Human Alignment" (2023), equation 1.
    """
    found = _token_at(tokens, start)
    if found is None or not 0 < end - start <= len(found[0].text) - found[1]:
        return None
    token, before = found
    if re.search(r"\w", token.text[:before] + token.text[before + end - start :]):
        return None
    masses: dict[int, float] = {}
    marks = 0.0
    for text, logprob in token.alternatives:
        word = re.sub(r"^[\W_]+|[\W_]+$", "", folded(text))
        if not word:
            marks += math.exp(logprob)
        elif re.fullmatch(r"\d{1,3}", word) and int(word) <= largest:
            masses[int(word)] = masses.get(int(word), 0.0) + math.exp(logprob)
    total = sum(masses.values())
    if total == 0 or total < LEAST_WEIGHT * (1 - min(marks, 1.0)):
        return None
    return sum(number * mass for number, mass in masses.items()) / total


def _token_at(tokens: Sequence[Token], place: int) -> tuple[Token, int] | None:
    """The token that holds a place of the text, and how many of its characters stand before it."""
    begin = 0
    for token in tokens:
        if begin <= place < begin + len(token.text):
            return token, place - begin
        begin += len(token.text)
    return None


def _begins(text: str, word: str) -> bool:
    """Whether a token is the beginning of a word, or the word and no longer one."""
    if text.startswith(word):
        behind = text[len(word) : len(word) + 1]
        return not (behind.isascii() and behind.isalnum())
    return bool(text) and word.startswith(text)

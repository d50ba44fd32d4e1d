"""Sentences that state the chance of one response: ``the probability that the first is preferred is 20%``."""

from __future__ import annotations

import re
from typing import Literal

from synthesizeme.replies._named_page import NamedPage
from synthesizeme.replies._options import Mention

_FIGURE = (
    r"(?:(?P<percent>\d{1,3}(?:[.,]\d+)?)\s*(?:%|percent\b|per cent\b)|(?P<share>[01]?[.,]\d+)(?![\w%/]))"
)
_NUMBER = re.compile(rf"(?<![\w.,/-]){_FIGURE}")
_BEFORE = re.compile(rf"(?<![\w.,/-]){_FIGURE}[\s-]*\Z")
_PAUSE = re.compile(r"[;:.!?\n](?!\d)|,(?!\d|\s*(?:dass|das|что|ze|hogy|che)\b)")
_BESIDE = re.compile(r"[\s)\]:=]*(?:is|at|of)?\s*")
_FAR = 60
"""Characters between a word of chance and the response that it may be said of, at most."""


def chance_of(page: NamedPage, begin: int, stop: int) -> tuple[Mention, float] | Literal["unclear"] | None:
    """The response whose chance a sentence states, and that chance, in [0, 1].

    A word such as "probability" is asked for, with a word of preferring beside the response, or the response
    right behind it. Where the chance is no number, or one of several, it is ``unclear``, unless it is said to
    be good; None where the sentence speaks of no chance of a response.
    """
    for first, last in page.gloss.spans("chance", begin, stop):
        mention = _said_of(page, first, last, begin, stop)
        if mention is None:
            continue
        before = _BEFORE.search(page.page, begin, first)
        behind = [
            it
            for it in _NUMBER.finditer(page.page, last, stop)
            if not mention.start <= it.start() < mention.end
        ]
        if before is None and not behind:
            return None if _is_good(page, begin, first) else "unclear"
        chance = _share(before or behind[0])
        beside = before or _BESIDE.fullmatch(page.page[mention.end : behind[0].start()])
        return "unclear" if chance > 1 or (not beside and len(behind) > 1) else (mention, chance)
    return None


def _said_of(page: NamedPage, first: int, last: int, begin: int, stop: int) -> Mention | None:
    """The response that a word of chance is said of; None if it is said of something else."""
    for it in page.named_within(begin, stop):
        between = page.page[last : it.start] if it.start >= last else page.page[it.end : first]
        if it.end > stop or len(between) > _FAR or _PAUSE.search(between):
            continue
        right_behind = it.start >= last and page.named_at(last, stop) is it
        if right_behind or page.gloss.any(begin, stop, "prefers", "better", "beats"):
            return it
    return None


def _is_good(page: NamedPage, begin: int, first: int) -> bool:
    said = page.gloss.spans("high", begin, first) + page.gloss.spans("certain", begin, first)
    return any(not page.page[last:first].strip() for _, last in said)


def _share(number: re.Match[str]) -> float:
    value = float((number["percent"] or number["share"]).replace(",", "."))
    return value / 100 if number["percent"] else value

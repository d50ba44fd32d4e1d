"""What a reply of free form rates something, from 0 to 1."""

from __future__ import annotations

import re
from dataclasses import dataclass

from synthesizeme.replies._last_word import Statement, UnclearError, last_word
from synthesizeme.replies._page import page as page_of
from synthesizeme.replies._parts import ends_of_answers, parts
from synthesizeme.replies._scale import SCALE, Measured, Unreadable, number_in
from synthesizeme.replies._words import Gloss

_DIGITS = re.compile(r"(?<![\w.,/-])(?:\d[\d.,]*|[.,]\d+|[★⭐]+☆*)")
_STOP = re.compile(r"(?:[.!?]+(?=\s|\Z)|[。！？\n])")
_OUT_OF = re.compile(r"\d\s*(?:/|out of)\s*(?:10|100)\b|\d\s*stars")
_ALONE = 40
"""A line longer than this is more than a number."""


@dataclass(frozen=True)
class StatedRating:
    """The rating of a reply; ratings of the same height are equal."""

    chance: float
    """From 0 to 1."""
    start: int
    """Where its digits begin in the reply."""
    end: int
    """Where they end; `start` where they are no digits."""
    most: float
    """The largest number of the scale in which it is written, such as 100, 10 or 1."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, StatedRating) and other.chance == self.chance

    def __hash__(self) -> int:
        return hash(self.chance)


def read_rating(reply: str, *, cut_off: bool = False) -> StatedRating:
    """The number from 0 to 100 that a reply gives, as a part of the whole.

    What counts, the strongest first: a label of rating (``Rating: 85``, in JSON, a table or a heading); a
    sentence that rates ("I would give it 8/10"); a number alone in the reply, its first or its last line. The
    scale is the one that is written, see `synthesizeme.replies.number_in`. Which of several numbers is the
    answer follows the rules of `synthesizeme.replies.read_choice`; a number at the very end of a reply that
    was cut off may lack digits and is none.

    Args:
        reply: All of the reply.
        cut_off: Whether it stopped at the limit of its length.

    Raises:
        UnclearError: it gives no number, or one on no scale that can be told.
    """
    page, ended = page_of(reply)
    cut_off = cut_off and not ended
    gloss = Gloss(page)
    answered = parts(gloss, reply, "rating", "reasoning", "confidence")
    labelled = []
    for it in answered:
        if it.kind == "rating":
            found = _rating(page, it.start, it.end, cut_off, page[it.label : it.start])
            labelled.append(
                Statement(found, it.label, max(found.end, it.start) if found else it.end, it.final)
            )

    def later(start: int, end: int) -> list[Statement[StatedRating]]:
        return _sentences(gloss, start, end, cut_off)

    for limit in ends_of_answers(page, answered):
        cut = cut_off and limit == len(page)
        read = last_word(gloss, labelled, limit, answered, cut_off=cut, later=later)
        if isinstance(read, Statement) and read.value is not None:
            return read.value
        if read == "nothing":
            said = [] if cut else [it.value for it in later(0, limit) if it.value]
            said = said or _alone(page, limit, cut_off)
            if said and len(set(said)) == 1:
                return said[-1]
    raise UnclearError("it gives no rating" if not labelled else "its rating is not clear")


def _rating(page: str, start: int, end: int, cut_off: bool, label: str = "") -> StatedRating | None:
    """The number at the beginning of a part of the page; None where it is no rating.

    `label` is what stands before it and may name the scale.
    """
    if cut_off and not page[end:].strip() and re.search(r"\d\s*\Z", page[start:end]):
        return None
    try:
        found = number_in(page[start:end], label=label)
    except Unreadable:
        return None
    return _placed(found, start) if found else None


def _placed(found: Measured, start: int) -> StatedRating:
    return StatedRating(found.chance, start + found.start, start + found.end, found.most)


def _sentences(gloss: Gloss, start: int, end: int, cut_off: bool) -> list[Statement[StatedRating]]:
    """Sentences with a word of rating and one number."""
    page, found, begun = gloss.text, [], start
    for stop in [*(match.end() for match in _STOP.finditer(page, start, end)), end]:
        scale = SCALE.search(page, begun, stop)
        numbers = [
            it
            for it in _DIGITS.finditer(page, begun, stop)
            if not (scale and scale.start() <= it.start() < scale.end())
        ]
        rates = scale or gloss.any(begun, stop, "rates") or _OUT_OF.search(page, begun, stop)
        if numbers and rates and "?" not in page[begun:stop]:
            first = numbers[0]
            rated = _rating(page, first.start(), stop, cut_off, scale[0] if scale else "")
            others = [it for it in numbers[1:] if rated and it.start() > rated.end + _ALONE]
            doubtful = gloss.any(begun, stop, "not", "perhaps", "if", "which")
            if rated and not others and not doubtful:
                found.append(Statement(rated, first.start(), max(first.end(), rated.end)))
        begun = stop
    return found


def _alone(page: str, limit: int, cut_off: bool) -> list[StatedRating]:
    """Numbers that are all of the first or of the last line."""
    lines = [match.span() for match in re.finditer(r"[^\n]*[\w★⭐][^\n]*", page[:limit])]
    found = []
    for start, end in {lines[0], lines[-1]} if lines else ():
        line = page[start:end].strip()
        if len(line) <= _ALONE and (
            _DIGITS.match(line.lstrip("*_\"'([ ~")) or re.match(r"[^\w]*[★⭐]", line)
        ):
            rated = _rating(page, start, end, cut_off)
            rest = re.sub(r"[\W\d½]|percent|stars?|out of|points?", "", line)
            found += [rated] if rated and not rest else []
    return found

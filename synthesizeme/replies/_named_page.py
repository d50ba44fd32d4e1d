"""Steps over a page on which responses are named, past the words that say nothing."""

from __future__ import annotations

import re
from bisect import bisect_left

from synthesizeme.replies._options import Mention, mentions
from synthesizeme.replies._words import Gloss

_WORD = re.compile(r"\w")
_GAP = re.compile(r"[\s\"'()\[\]<>=:#_*-]")
_GENERAL = re.compile(
    r"for\s+(?!this|the\s+(?:user|person)|them|him|her|me\b|you|its|their|his|being|having|that)"
    r"|to\s+(?!the\s+(?:first|second|other|former|latter)|response|option|answer|[ab12]\b)"
)


class NamedPage:
    """A page, its words and the responses that it names.

    Args:
        gloss: The words of the page.
        raw: The reply itself.
    """

    def __init__(self, gloss: Gloss, raw: str) -> None:
        self.gloss, self.page = gloss, gloss.text
        self.named = mentions(gloss, raw)
        self._at = {it.start: it for it in self.named}
        self._starts = sorted(self._at)

    def named_within(self, start: int, end: int) -> list[Mention]:
        return self.named[bisect_left(self._starts, start) : bisect_left(self._starts, end)]

    def named_at(self, start: int, end: int) -> Mention | None:
        mention = self._at.get(self.past_fill(start, end))
        return mention if mention and mention.end <= end else None

    def past_fill(self, position: int, end: int) -> int:
        """The first place behind words and signs that say nothing, or where a response is named."""
        while position < end and position not in self._at:
            further = self._past(position)
            if further is None:
                break
            position = further
        return position

    def _past(self, position: int) -> int | None:
        """The place behind a word or a sign that says nothing; None if something else stands here."""
        if position in self._at:
            return None
        filled = self.gloss.end("fill", position) or self.gloss.end("nouns", position)
        passes = self.gloss.end("over", position) or self.gloss.end("over_after", position)
        if filled is not None and (passes is None or self.page[position:filled] in ("a", "der", "to be")):
            return filled
        return position + 1 if _GAP.match(self.page[position]) else None

    def first_word(self, start: int, end: int) -> int:
        """The place of the first letter or digit from `start` on, or `end`."""
        word = _WORD.search(self.page, start, end)
        return word.start() if word else end

    def past_blanks(self, position: int, end: int) -> int:
        """The first place that is no blank, on the same line."""
        while position < end and self.page[position] in " \t":
            position += 1
        return position

    def ends(self, position: int, end: int) -> bool:
        """Whether a claim may end here: no further word, a reason, or what was not preferred."""
        position = self.past_blanks(position, end)
        if position >= end or not (self.page[position].isalnum()):
            return True
        if position in self._at:
            return False
        if _GENERAL.match(self.page, position):
            return False
        kinds = ("after", "because", "confident", "over", "over_after")
        return any(self.gloss.end(kind, position) is not None for kind in kinds)

    def reach(self, position: int, end: int, kind: str) -> tuple[int, int] | None:
        """Where a word of a kind begins and ends that only words that say nothing stand before."""
        while position < end:
            stop = self.gloss.end(kind, position)
            if stop is not None:
                return position, stop
            further = self._past(position)
            if further is None:
                return None
            position = further
        return None

"""Which of two responses is named, and where."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal, NamedTuple

from synthesizeme.replies._words import Gloss, options

Choice = Literal["first", "second", "tie"]

_COUNTED = {"1": (True, "2"), "2": (False, "1"), "a": (True, "b"), "b": (False, "a"), "one": (True, "two"),
            "two": (False, "one"), "i": (True, "ii"), "ii": (False, "i")}  # fmt: skip
_NUMBER = re.compile(
    r"[\s-]*(?:no\.?|number|nr\.?)?[\s#(\[-]*(1|2|a|b|one|two|ii|i(?!\s+[a-z]))(?![\w%])(?![.,]\d)"
    r"(?!\s*(?:/|out of|stars?\b))(?:'s\b)?[)\]]?"
)
_BARE = re.compile(
    r"(?<![\w.,/%'-])#?(1|2|a|b)(?![\w'%])(?!-\w)(?![.,]\d)(?!\s*(?:/|out of|stars?\b))(?:\s*(?:nd|st)\b)?"
)


class Mention(NamedTuple):
    """A response named in a text."""

    side: Choice
    start: int
    end: int
    word: tuple[int, int]
    """Where the word stands that tells this response from the other."""
    rival: str
    """The same word for the other response, folded."""

    @property
    def has_noun(self) -> bool:
        """Whether it says more than the number."""
        return self.end - self.start > self.word[1] - self.word[0] + 2


def mentions(gloss: Gloss, raw: str) -> list[Mention]:
    """Every naming of a response on a page, in order; a lone letter counts if it is a capital."""
    found = [*_ordinal(gloss), *_numbered(gloss), *_lone(gloss.text, raw)]
    kept: list[Mention] = []
    for it in sorted(found, key=lambda it: (it.start, -it.end)):
        if not kept or it.start >= kept[-1].end:
            kept.append(it)
    return kept


def _ordinal(gloss: Gloss) -> Iterator[Mention]:
    page = gloss.text
    for start, end in gloss.spans("options", 0, len(page)):
        first, rival = options()[re.sub(r"[\s-]+", " ", page[start:end])]
        begin, stop = start, end
        noun = next(
            (it for at in (end, end + 1) if (it := gloss.end("nouns", at)) and not page[end:at].strip(" -")),
            None,
        )
        if noun is None and re.match(r"-[^\W\d]", page[end:]):  # first-hand, second-person
            continue
        for before, behind in gloss.spans("prenouns", max(0, start - 20), start):
            begin = before if behind == start else begin
        yield Mention("first" if first else "second", begin, noun or stop, (start, end), rival)


def _numbered(gloss: Gloss) -> Iterator[Mention]:
    for kind in ("nouns", "prenouns"):
        for start, end in gloss.spans(kind, 0, len(gloss.text)):
            match = _NUMBER.match(gloss.text, end)
            if match:
                first, rival = _COUNTED[match[1]]
                yield Mention("first" if first else "second", start, match.end(), match.span(1), rival)


def _lone(page: str, raw: str) -> Iterator[Mention]:
    alone = re.sub(r"[\W_]", "", page)
    for match in _BARE.finditer(page):
        place = match.start(1)
        capital = match[1].isdigit() or raw[place].isupper() or raw[place] in "🅰🅱"
        if capital or alone == match[1]:
            first, rival = _COUNTED[match[1]]
            yield Mention("first" if first else "second", match.start(), match.end(), match.span(1), rival)

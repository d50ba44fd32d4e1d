"""The labelled parts of a reply, and where a reply goes on into something that is not its answer."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from synthesizeme.replies._page import header_cells
from synthesizeme.replies._side_by_side import has_score
from synthesizeme.replies._words import Gloss, vocabulary


class Part(NamedTuple):
    """A label and the place of what stands behind it."""

    kind: str
    """``preference``, ``verdict``, ``reasoning``, ``confidence`` or ``rating``."""
    label: int
    """Where the label begins, with the words that belong to it."""
    start: int
    """Where the value begins."""
    end: int
    """Where the value ends: at the end of its line, or at the next label."""
    final: bool
    """Whether the label says that it is the last word."""


_FINAL = re.compile(
    r"\b(?:final|revised|updated|corrected|new|finale|definitive|endgultige)\b|最终|最終|итогов|окончат"
)
_NUMBERING = re.compile(r"\d{1,2}[.):]")
_NOTE = r"(?:[^\w\n:=]*\([^()\n]*\))?"
_COLON = re.compile(
    r"(?:[ \t]+(?:for|of|from|on|out|auf|sur|de|du|des|del|der|von|para|between|do|d')[^\n:.]{0,40})?"
    rf"{_NOTE}[^\w\n.,;]*?[:=→>–—-]"
)
_INLINE_COLON = re.compile(rf"{_NOTE}[ \t\"]*[:=]")
_SIGNS = re.compile(r"(?:[ \t\n:=→>]|[–—-](?!\d))*")
_HEADING = re.compile(r"[^\w\n]*\n")
_STOPPED = re.compile(r"[.!?;,|)\"'—–-][ \t]+\Z")
_LONGEST_WORD = 30
_LONGEST_OPENING = 60
"""Signs and a number may stand before a label at the beginning of a line, at most this many characters."""
_STRONG = ("preference", "confidence", "rating")
"""Labels that need no colon."""
_PROMPT = re.compile(
    r"^[^\w\n]*(?:(?:conversation|user|prompt|question|query|instruction|system|context|chat|input)\s*(?:\d+)?\s*:"
    r"|(?:next|new|another)\s+(?:response|comparison|example|pair|conversation|question|user|case|sample)\b"
    r"|(?:example|comparison|pair|case|sample|task|problem|round|test)\s+(?:\d+|[a-z])\s*(?:[:.)]|$)"
    r"|(?:which|how much)\b[^\n]{0,20}\b(?:response|user)\b[^\n]{0,60}\?"
    r"|(?:assistant|human)\s*:|you compare two responses|answer in exactly this form"
    r"|what is known about this user|past choice \d)",
    re.MULTILINE,
)


_RESPONSE = re.compile(
    r"^[^\w\n]*(?:(?:first|second)\s+response\s*:|response\s+(?:\d|[a-z])\s*:)([^\n]*)", re.MULTILINE
)


def parts(gloss: Gloss, raw: str, *kinds: str) -> list[Part]:
    """The labelled parts of these kinds on a page, in order; of labels in one place the first kind's."""
    found: dict[int, tuple[str, int, int, bool]] = {}
    for kind in kinds:
        for start, end in gloss.spans(kind, 0, len(gloss.text)):
            placed = _placed(gloss, raw, kind, start, end)
            if placed and not any(
                label < placed[1] and placed[0] < value for _, label, value, _ in found.values()
            ):
                final = _FINAL.search(gloss.text, placed[0], end) is not None
                found[placed[0]] = (kind, *placed, final)
    if "verdict" in kinds:
        for match in re.finditer(r"^[ \t]*=", gloss.text, re.MULTILINE):
            found.setdefault(match.start(), ("verdict", match.start(), match.end(), False))
    ordered = [found[begin] for begin in sorted(found)]
    made = [
        _with_value(gloss.text, it, ordered[place + 1][1] if place + 1 < len(ordered) else len(gloss.text))
        for place, it in enumerate(ordered)
    ]
    for begin, cells in header_cells(gloss.text):
        made = [it for it in made if not begin <= it.label < cells[-1][2]]
        for name, start, end in cells:
            kind = next((kind for kind in kinds if name in vocabulary(kind)), "")
            made += [Part(kind, start, start, end, False)] if kind else []
    return sorted(made, key=lambda it: it.start)


def _with_value(page: str, found: tuple[str, int, int, bool], limit: int) -> Part:
    kind, label, start, final = found
    begun = min(_SIGNS.match(page, start, limit).end(), limit)  # type: ignore[union-attr]
    line = page.find("\n", begun)
    return Part(kind, label, begun, min(limit, line) if line >= 0 else limit, final)


def _placed(gloss: Gloss, raw: str, kind: str, start: int, end: int) -> tuple[int, int] | None:
    """Where a label begins and where its value may; None where the word is no label.

    A label stands at the beginning of a line or, with a colon, behind a mark that ends something.
    """
    page = gloss.text
    line = page.rfind("\n", 0, start) + 1
    begin = start
    while (before := _word_before(gloss, line, begin)) is not None:
        begin = before
    opening = page[line:begin].lstrip()
    if len(opening) <= _LONGEST_OPENING and not re.search(r"\w", _NUMBERING.sub("", opening)):
        colon = _COLON.match(page, end) or _HEADING.match(page, end)
        if colon is None and kind in _STRONG and re.match(r"[^\w\n]*\w", page[end:]):
            return begin, end
        return (begin, colon.end()) if colon else None
    colon = _INLINE_COLON.match(page, end)
    stopped = _STOPPED.search(page[max(line, begin - 9) : begin]) or (
        kind == "confidence" and raw[begin].isupper()
    )
    return (begin, colon.end()) if colon and stopped else None


def _word_before(gloss: Gloss, line: int, position: int) -> int | None:
    """Where a word begins that belongs to the label behind it, such as "final"."""
    text = gloss.text[line:position].rstrip(" \t:'-,")
    stop = line + len(text)
    for start, end in reversed(gloss.spans("before", max(line, stop - _LONGEST_WORD), stop)):
        if end == stop:
            return start
    return None


def responses_shown(page: str) -> list[int]:
    """Where a line begins that shows a response, such as ``First response: ...``, and no score of it."""
    return [it.start() for it in _RESPONSE.finditer(page) if not has_score(page, it.start(1), it.end(1))]


def ends_of_answers(page: str, answered: Sequence[Part]) -> list[int]:
    """Places where an answer may end, in order: where another question begins, and the end of the page.

    Another question begins with a heading of the prompt, a mark of a role, the words of the question, or the
    form from its beginning: a second label of reasoning. A response that is shown begins one if an answer
    stands before it: else it is part of the reasons.
    """
    reasons = [it.label for it in answered if it.kind == "reasoning"]
    answers = [it.label for it in answered if it.kind in ("preference", "verdict", "rating")]
    shown = [it for it in responses_shown(page) if answers and answers[0] < it]
    return [*sorted([*(match.start() for match in _PROMPT.finditer(page)), *shown, *reasons[1:]]), len(page)]

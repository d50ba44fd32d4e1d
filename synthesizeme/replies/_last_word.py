"""Which of several statements in one reply is its answer."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

from synthesizeme.replies._page import Part
from synthesizeme.replies._words import Gloss

Said = TypeVar("Said")


class UnclearError(ValueError):
    """A reply has no clear answer; the message says why."""


@dataclass(frozen=True)
class Statement(Generic[Said]):
    """Something that a reply says in one place; `value` is None where that is not clear."""

    value: Said | None
    start: int
    end: int
    final: bool = False
    """Whether it says of itself that it is the last word."""


Found = Statement[Said] | Literal["unclear", "nothing"]


def last_word(
    gloss: Gloss,
    statements: Sequence[Statement[Said]],
    limit: int,
    answered: Sequence[Part],
    *,
    cut_off: bool = False,
    later: Callable[[int, int], Sequence[Statement[Said]]] | None = None,
) -> Found[Said]:
    """The answer among labelled statements that end before `limit`.

    It is the last one. Two that contradict each other with nothing said between them are unclear, unless the
    later calls itself final. Second thoughts after the last one ("wait, ...") count: what they settle on is
    the answer, and where they settle on nothing there is none. In a reply that was cut off, whatever follows
    the answer other than parts of the form may be on its way to another one: then there is none either,
    unless the form was complete.

    Args:
        gloss: The words of the reply's page.
        statements: What it says, in order.
        limit: Where the answer ends.
        answered: The labelled parts of the reply.
        cut_off: Whether the reply was cut off at `limit`.
        later: Finds statements in sentences of a part of the page.
    """
    own = [it for it in statements if it.end <= limit]
    if not own:
        return "nothing"
    last = own[-1]
    before = own[-2] if len(own) > 1 else None
    if before is not None and before.value != last.value and not last.final:
        between = _outside(gloss.text, before.end, last.start, answered)
        if not re.search(r"\w", between):
            return "unclear"
    taken_back = retraction(gloss, last.end, limit, answered)
    if taken_back is not None:
        settled = [it for it in later(taken_back, limit) if it.value is not None] if later else []
        return settled[-1] if settled and not cut_off else "unclear"
    if last.value is None:
        return "unclear"
    if cut_off and not _complete(gloss, last, limit, answered):
        return "unclear"
    return last


def retraction(gloss: Gloss, start: int, limit: int, answered: Sequence[Part]) -> int | None:
    """Where a reply begins to think again after its answer, or says that it does not know; or None."""
    page = gloss.text
    doubts = [begin for begin, _ in gloss.spans("doubt", start, limit)]
    for kind in ("retract", "aside"):
        for begin, end in gloss.spans(kind, start, limit):
            if not _OPENING.search(page, max(start - 1, 0), begin) and page[start:begin].strip():
                continue
            part = next((it for it in reversed(answered) if start <= it.label <= begin), None)
            reasons = part is not None and part.kind == "reasoning"
            if kind == "retract" or (not reasons and _PAUSE.match(page, end)):
                doubts.append(begin)
    return min(doubts, default=None)


_OPENING = re.compile(r"[.!?,;:(…\n—–-][^\w\n]*\Z|\n[^\w\n]*\Z")
_PAUSE = re.compile(r"\s*(?:[,.!:…—–-]|\n|\Z|i\b|the\b)")


def _outside(page: str, start: int, end: int, answered: Sequence[Part]) -> str:
    """A stretch of a page without its labels and without what it states beside the answer."""
    text = page[start:end]
    for it in answered:
        if start <= it.label < end:
            stop = min(it.end, end) if it.kind == "confidence" else min(it.start, end)
            text = text[: it.label - start] + " " * (stop - it.label) + text[stop - start :]
    return text


def _complete(gloss: Gloss, last: Statement[Said], limit: int, answered: Sequence[Part]) -> bool:
    """Whether nothing but parts of the form follows the answer, or the form was complete."""
    page = gloss.text
    line = page.find("\n", last.end, limit)
    begin = line if line >= 0 else limit
    rest = page[begin:limit]
    first = re.search(r"\w", rest)
    if first is None:
        return True
    following = [it for it in answered if it.label >= last.end and it.label <= limit]
    if any(it.kind == "confidence" and re.search(r"\w", page[it.start : it.end]) for it in following):
        return True
    opened = begin + first.start()
    if any(it.label <= opened <= it.start for it in following):
        return True
    half_a_label = re.fullmatch(r"[^\w\n]*[^\W\d_]{1,12}[^\w\n]*", rest.strip("\n"))
    return half_a_label is not None and not gloss.any(begin, limit, "but", "perhaps")

"""Which of two responses is named, and where, what stands beside each, and which word on them is the last."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, Literal, NamedTuple, TypeVar

from synthesizeme.replies._page import SCORE, SCORE_BEHIND, Part, has_score
from synthesizeme.replies._words import Gloss, options
from synthesizeme.types import Preference

_COUNTED = {"1": (True, "2"), "2": (False, "1"), "a": (True, "b"), "b": (False, "a"), "one": (True, "two"),
            "two": (False, "one"), "i": (True, "ii"), "ii": (False, "i")}  # fmt: skip
_NO_MORE = r"(?![%分点점]|[^\W\u2e80-\uffff])"
"""What may not stand behind a number or letter; a word of a script that writes no spaces may."""
_NUMBER = re.compile(
    r"[\s-]*(?:no\.?|number|nr\.?)?[\s#(\[-]*(1|2|a|b|one|two|ii|i(?!\s+[a-z]))" + _NO_MORE + r"(?![.,]\d)"
    r"(?!\s*(?:/|out of|stars?\b))(?:'s\b)?[)\]]?"
)
_BARE = re.compile(
    r"(?<![\w.,/%'-])#?(1|2|a|b)"
    + _NO_MORE
    + r"(?!')(?!-\w)(?![.,]\d)(?!\s*(?:/|out of|stars?\b))(?:\s*(?:nd|st)\b)?"
)


class Mention(NamedTuple):
    """A response named in a text."""

    side: Preference
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


_TICKED, _OPEN = r"\[[x✓✔√]\]|\(x\)|[☑☒✅✓✔🗹◉👍🥇]", r"\[\s*\]|\(\s+\)|[☐❌✗✘○×👎🥈]"
_BOX = re.compile(rf"(?P<ticked>{_TICKED})|(?:{_OPEN})")
_BOX_BEHIND = re.compile(rf"[ \t*_\"':=|–—-]*(?:(?P<ticked>{_TICKED})|{_OPEN})")
_PAST_BOX = re.compile(rf"[\s*•+-]*(?:\d[.)]\s+(?=\w))?(?:{_BOX.pattern})?\s*")
_NEXT = re.compile(r"[ \t.)\]\"']*(?:[,;>≻\n→]|\bthen\b)+\s*(?:then\s+)?")
"""Signs between two names in order."""
_NEXT_LINE = re.compile(r"[ \t]*\n\s*([^\n]*)")
_SCORE_BEFORE = re.compile(SCORE + r"\s*(?:(?:for|to|on)\s+)?(?:the\s+)?\Z")
_DESCRIBED = re.compile(r"\s*(?:[:=(]|[–—-]+\s)")
_WHOLE = 0.02
"""Shares of both that miss one by no more are chances."""


NamedAt = Callable[[int, int], Mention | None]
"""Which response is named at a place, on the way to another."""


class Compared(NamedTuple):
    """What two responses side by side say."""

    side: Preference | Literal["unclear"]
    share: float | None = None
    """The chance of the preferred response, where both have shares of a whole."""


UNCLEAR = Compared("unclear")


def related(sign: str) -> Literal["left", "right", "tie", "list", "none"]:
    """What the signs between two named responses say: which of the two is preferred.

    ``list`` is a choice that was offered and not made, ``none`` no order at all.
    """
    sign = re.sub(r"[\s\"'()\[\]{}*_`#]+", "", sign)
    if re.fullmatch(r"[>≻]+", sign):
        return "left"
    if re.fullmatch(r"[<≺]+", sign):
        return "right"
    if re.fullmatch(r"[=~≈≃≅≡∼]+", sign):
        return "tie"
    return "list" if re.fullmatch(r"[/&+|?]+", sign) else "none"


def ticked(page: str, named: Sequence[Mention], start: int, end: int, named_at: NamedAt) -> Compared | None:
    """The response whose box is ticked; None where no response has a box."""
    if not named or not _BOX.search(page, start, end):
        return None
    of = {named_at(box.end(), end): box for box in _BOX.finditer(page, start, end)}
    boxes = (
        [of.get(it) for it in named]
        if named[0] in of
        else [_BOX_BEHIND.match(page, it.end, end) for it in named]
    )
    found = [(it.side, bool(box["ticked"])) for it, box in zip(named, boxes, strict=True) if box]
    if not found:
        return None
    chosen = [side for side, is_ticked in found if is_ticked]
    sides = [side for side, _ in found]
    clear = len(chosen) == 1 and len(found) == len(named) and len(set(sides)) == len(sides)
    return Compared(chosen[0]) if clear else UNCLEAR


def scored(page: str, named: Sequence[Mention], start: int, end: int) -> Compared | None:
    """The response with the higher score; None where not both have one."""
    if not named:
        return None
    behind = not _SCORE_BEFORE.search(page, start, named[0].start)
    found: list[tuple[Mention, re.Match[str]]] = []
    for it in named:
        if found and it.start < found[-1][1].end():  # the score itself looks like a name: 1 or 2
            continue
        score = (
            SCORE_BEHIND.match(page, it.end, end) if behind else _SCORE_BEFORE.search(page, start, it.start)
        )
        if score:
            found.append((it, score))
    if {it.side for it, _ in found} != {"first", "second"}:
        return None
    (one, left), (two, right) = found[0], found[1]
    if len(found) != 2 or one.side == two.side or _unit(left) != _unit(right):
        return UNCLEAR
    a, b = _height(left), _height(right)
    if a == b or (_unit(left) == "" and {a, b} == {1.0, 2.0}):  # may be places, the first the best
        return UNCLEAR
    whole = 100.0 if _unit(left) == "%" else 1.0
    share = max(a, b) / whole if abs((a + b) / whole - 1) <= _WHOLE else None
    return Compared(one.side if a > b else two.side, share)


def bare(page: str, position: int, end: int) -> bool:
    """Whether no word stands behind a name that ends at `position`."""
    return not re.search(r"\w", page[position:end])


def boxes_listed(page: str, lines: Sequence[tuple[int, int]], named_at: NamedAt) -> Compared | None:
    """The response that is ticked in a list of boxes, one a line; None without such a list."""
    boxed = [
        mention
        for start, end in lines
        if _has_box(page, start, end)
        and (mention := named_at(_past_box(page, start), end))
        and not re.search(r"\w", _BOX.sub("", page[mention.end : end]))
    ]
    return ticked(page, boxed, 0, lines[-1][1], named_at) if boxed else None


def scores_listed(page: str, lines: Sequence[tuple[int, int]], named_at: NamedAt) -> Compared | None:
    """The response with the higher score, where lines are a name and a score; None without one for each."""
    named = [
        mention
        for start, end in lines
        if (mention := named_at(_past_box(page, start), end)) and has_score(page, mention.end, end)
    ]
    return scored(page, named, 0, lines[-1][1]) if len(named) > 1 else None


def lists(page: str, mention: Mention, behind: Sequence[Mention], end: int) -> bool:
    """Whether the other response stands beside one: ``First, then Second``, ``First: a; Second: b``."""
    others = [it for it in behind if it.side != mention.side]
    if not others:
        return False
    between = page[mention.end : others[0].start]
    if len(re.findall(r"\w+", between)) <= 1 and bare(page, others[0].end, end):
        return True
    if re.match(r"\s*[:=]\s*\d", page[mention.end : end]):
        return True
    return all(_DESCRIBED.match(page, it.end, end) for it in (mention, others[0]))


def lines_behind(page: str, start: int, end: int, named_at: NamedAt) -> int:
    """Where a list of both responses ends whose first line is a value: ``First: 20%`` and ``Second: 80%``."""
    for kind in (has_score, bare, _has_box):
        last = end
        mention = named_at(_past_box(page, start), end)
        boxed = kind is _has_box and _has_box(page, start, last)
        while boxed or (mention and kind(page, mention.end, last)):
            line = _NEXT_LINE.match(page, last)
            if line is None:
                break
            mention = named_at(_past_box(page, line.start(1)), line.end())
            if mention is None or not kind(
                page, line.start(1) if kind is _has_box else mention.end, line.end()
            ):
                break
            last = line.end()
        if last > end:
            return last
    return end


def ranked(page: str, start: int, named_at: NamedAt) -> tuple[Mention, int] | None:
    """The best of both responses where they stand in order, in a line or one a line, and where that ends."""
    best = named_at(_past_box(page, start), len(page))
    sign = _NEXT.match(page, best.end) if best else None
    worst = named_at(_past_box(page, sign.end()), len(page)) if sign else None
    if best is None or worst is None or worst.side == best.side:
        return None
    line = page.find("\n", worst.end)
    return (best, worst.end) if bare(page, worst.end, line if line >= 0 else len(page)) else None


def _has_box(page: str, start: int, end: int) -> bool:
    return _BOX.search(page, start, end) is not None


def _past_box(page: str, position: int) -> int:
    """The place behind a bullet, a number or a box that a line of a list begins with."""
    box = _PAST_BOX.match(page, position)
    return box.end() if box else position


def _unit(score: re.Match[str]) -> str:
    if score["stars"]:
        return "stars"
    unit = re.sub(r"\s+", "", score["unit"] or "").replace("outof", "/").replace("percent", "%")
    return re.sub(r"^(?:points?|pts|stars?|[分점点])$", "", unit)


def _height(score: re.Match[str]) -> float:
    return float(len(score["stars"])) if score["stars"] else float(score["n"].replace(",", "."))


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


LastWord = Statement[Said] | Literal["unclear", "nothing"]


def last_word(
    gloss: Gloss,
    statements: Sequence[Statement[Said]],
    limit: int,
    answered: Sequence[Part],
    *,
    cut_off: bool = False,
    later: Callable[[int, int], Sequence[Statement[Said]]] | None = None,
) -> LastWord[Said]:
    """The answer among labelled statements that end before `limit`.

    It is the last one. Two that contradict each other with nothing said or a line across the page between
    them are unclear, unless the later calls itself final. Second thoughts after the last one ("wait, ...")
    count: what they settle on is the answer, and where they settle on nothing there is none. In a reply that
    was cut off, whatever follows the answer other than parts of the form may be on its way to another one:
    then there is none either, unless the form was complete.

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
        if not re.search(r"\w", between) or _RULE.search(gloss.text, before.end, last.start):
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


_RULE = re.compile(r"\n[ \t]*(?:[-=*_][ \t]*){3,}\n")
"""A line across the page: what stands below it may answer another question."""
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

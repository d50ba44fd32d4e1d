"""Which of two responses is named, and where; and both side by side: a relation, a score or a box at each."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
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


_TICKED, _OPEN = r"\[[x✓✔√]\]|\(x\)|[☑☒✅✓✔🗹◉]", r"\[\s*\]|\(\s+\)|[☐❌✗✘○×]"
_BOX = re.compile(rf"(?P<ticked>{_TICKED})|(?:{_OPEN})")
_BOX_BEHIND = re.compile(rf"[ \t*_\"':=|–—-]*(?:(?P<ticked>{_TICKED})|{_OPEN})")
_PAST_BOX = re.compile(rf"[\s*•+-]*(?:\d[.)]\s+(?=\w))?(?:{_BOX.pattern})?\s*")
_NEXT_LINE = re.compile(r"[ \t]*\n\s*([^\n]*)")
_SCORE = (
    r"(?:(?P<n>\d{1,3}(?:[.,]\d+)?)(?!\d)\s*(?P<unit>%|percent|/\s*\d+"
    r"|out of \d+|points?\b|pts\b|stars?\b|[分점点])?"
    r"|(?P<stars>[★⭐]+)☆*)(?![^\W_]|\.\d)"
)
_SCORE_BEHIND = re.compile(
    r"[\s:=(\[|*\"'–—-]*(?:(?:score|scores|scored|rating|rated|with|gets?|at|is|probability|p)\b[\s:=*]*)*"
    + _SCORE
)
_SCORE_BEFORE = re.compile(_SCORE + r"\s*(?:(?:for|to|on)\s+)?(?:the\s+)?\Z")
_DESCRIBED = re.compile(r"\s*(?:[:=(]|[–—-]+\s)")
_WHOLE = 0.02
"""Shares of both that miss one by no more are chances."""


NamedAt = Callable[[int, int], Mention | None]
"""Which response is named at a place, on the way to another."""


class Compared(NamedTuple):
    """What two responses side by side say."""

    side: Choice | Literal["unclear"]
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
            _SCORE_BEHIND.match(page, it.end, end) if behind else _SCORE_BEFORE.search(page, start, it.start)
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


def has_score(page: str, position: int, end: int) -> bool:
    """Whether a score and nothing else stands behind a name that ends at `position`."""
    score = _SCORE_BEHIND.match(page, position, end)
    return score is not None and not re.search(r"\w", page[score.end() : end])


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


def _has_box(page: str, start: int, end: int) -> bool:
    return _BOX.search(page, start, end) is not None


def _past_box(page: str, position: int) -> int:
    box = _PAST_BOX.match(page, position)
    return box.end() if box else position


def _unit(score: re.Match[str]) -> str:
    if score["stars"]:
        return "stars"
    unit = re.sub(r"\s+", "", score["unit"] or "").replace("outof", "/").replace("percent", "%")
    return re.sub(r"^(?:points?|pts|stars?|[分점点])$", "", unit)


def _height(score: re.Match[str]) -> float:
    return float(len(score["stars"])) if score["stars"] else float(score["n"].replace(",", "."))

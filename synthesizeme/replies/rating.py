"""What a reply of free form rates something, from 0 to 1.

Numbers count on the scale in which they are written: 0.85, 85 %, 8/10, 4 out of 5, five stars, words.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NamedTuple, NoReturn

from synthesizeme.replies._options import Statement, UnclearError, last_word
from synthesizeme.replies._page import ends_of_answers, parts
from synthesizeme.replies._page import page as page_of
from synthesizeme.replies._words import Gloss

LEVELS = {"toss": 0.5, "low": 0.55, "certain": 0.95, "medium": 0.7, "high": 0.85}
"""What words of confidence stand for: a toss, low, very high, medium and high, as chances of being right."""
_FIVE, _TEN, _HUNDRED = 5, 10, 100
_WIDEST_RANGE = 0.2
"""A range as wide as this is its middle; a wider one says nothing."""
SMALL_NUMBERS = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
)  # fmt: skip
"""English words for the numbers from 0 to 19, each at the place of its number."""
_TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
_WORDS = {word: value for value, word in enumerate(SMALL_NUMBERS)} | {
    word: 10 * value for value, word in enumerate(_TENS, 2)
} | {"hundred": 100}  # fmt: skip
_NUMBER = r"(?:\d{1,4}(?:\.\d+|,\d{1,2}(?!\d))?|[.,]\d+)"
_PERCENT = (
    r"%|percent|per cent|pct|por ciento|por cento|pour cent|prozent|procent|процентов|процента|процент|"
    r"퍼센트|パーセント|في المئة|"
    r"بالمئة|प्रतिशत|per cento"
)
_OUT_OF_MOST = r"/|out of|of|von|sur|de|su|из|van|over|na|من|में से|点満点中|分之"
_READ = re.compile(
    rf"(?P<n>{_NUMBER})\s*(?:(?:-|–|—|to|bis|a|à|~|до|から|至|到)\s*(?P<top>{_NUMBER})(?![\w.]))?\s*"
    rf"(?:(?P<percent>{_PERCENT})|(?:{_OUT_OF_MOST})\s*(?:a\s+(?:possible\s+)?)?(?P<most>{_NUMBER})(?![\d])(?:\s*(?:stars?|points?))?"
    r"|(?P<tenths>成)|(?P<stars>stars?|estrellas|etoiles|sterne|星)|분|점|分|点)?",
    re.MULTILINE,
)
_SCALE_WORD = (
    r"scales?|skala|escala|echelle|scala|schaal|шкал\w*|range|systeme?|sistema|满分|分制|満点|段階|만점|척도"
    r"|maximum|max"
)
SCALE = re.compile(
    rf"(?:{_SCALE_WORD})\s*(?:is|of|from|de|von|da|a|от|to|going)?\s*\(?(?:\d+\s*(?:-|–|—|\.\.+|to|bis|a|à|до|~|から)\s*)?"
    r"(?P<of>\d+)|\(\s*(?:out of|max\.?|von|sur|de|из|/)\s*(?P<out>\d+)\s*\)"
    r"|^\s*\(?\d+\s*(?:-|–|to|bis|до)\s*(?P<to>\d+)\)|(?:\d+\s*(?:-|–|to)\s*)?(?<![\d.])(?P<points>\d+)[\s-]*"
    r"(?:(?:points?|stars?|steps?|levels?|punkte?|балл\w*|puntos|pontos|점|点|分|段階)?[\s-]*"
    rf"(?:{_SCALE_WORD})|\s*=\s*(?:the\s+)?(?:best|highest|perfect|most))",
    re.MULTILINE,
)
"""A scale in words; one of its groups is the largest number."""
_WORD_OF_SCALE = re.compile(r"\b(?:scale|skala|escala|echelle|scala|schaal|шкал\w*)\b|分制|满分|満点|만점")
_RANGE = re.compile(
    r"\(?\d+\s*(?:-|–|to|bis|до|a|~)\s*(?P<of>\d+)|(?:out of|max\.?|von|sur|/)\s*(?P<out>\d+)"
)
_OF_EACH = re.compile(r"\s*(?:for|on|in)\b[^.;\n]*?[,;]\s*(?:and\s+)?\d+\s*(?:%|/\s*\d+)?\s*(?:for|on|in)\b")
_HALF = 50
"""``50/50`` says that both are as likely."""
_NO_NUMBER = r"[^\w.,\n\-−★]*"
_LEAD = (
    rf"{_NO_NUMBER}(?:(?:about|around|approximately|approx\.?|roughly|circa|ca\.?|is|at|a|an|the|of|i|i'd|would|say"
    r"|give|estimate|it|this|i am|i'm|i|am"
    r"|my|be|to|should|nearly|almost|probably|rating|score|confidence|level|estimated|etwa"
    rf"|ungefahr|environ|aproximadamente|cerca|около|примерно|लगभग|حوالي|de)\b{_NO_NUMBER}|(?:约|大约|為|为|是|약)\s*)*"
)
_BEGIN = re.compile(_LEAD)


class Unreadable(ValueError):
    """A number whose scale cannot be told."""


class ReadNumber(NamedTuple):
    """A number that was read."""

    chance: float
    """On the scale from 0 to 1."""
    start: int
    """Where its digits begin in the value."""
    end: int
    """Where they end; `start` if it is spelled out or a range."""
    most: float
    """The largest number of its scale as it is written."""


def number_in(value: str, *, lowest: int = 0, label: str = "") -> ReadNumber | None:
    """A number at the beginning of `value` on a scale from 0 to 1; None where no number stands there.

    The scale is the one that is written: a percent sign, a number it is out of, stars (of five), a scale in
    words. A bare number is read so:

    - with a decimal sign and up to 1, it is of one: ``0.85``;
    - a whole number from `lowest` to 100 is of the hundred that was asked for: ``85``, and ``8`` if
    `lowest` is 0;
    - a whole number below `lowest` is of the hundred above 10 and of ten from 6 to 10; below that it might be
      of five or of ten, and cannot be read;
    - with a decimal sign and above 10 it is of the hundred; from 1 to 10 it might be of ten and cannot be
    read.

    A narrow range is its middle; the whole range that was asked for says nothing.

    Args:
        value: What stands behind a label, `folded`.
        lowest: The least whole number that was asked for.
        label: What stands before it, `folded`, which may name the scale: ``Rating (1-10)``.

    Raises:
        Unreadable: a number stands there, but not on any of these scales.
    """
    if stars := re.match(r"[^\w★☆⭐]*([★⭐]+)(½?)(☆*)", value):
        given = len(stars[1]) + len(stars[2]) / 2
        shown = max(_FIVE, len(stars[0].strip()))
        return ReadNumber(given / shown, 0, 0, shown)
    spelled = _spelled_out(value)
    lead = _BEGIN.match(spelled)
    begin = lead.end() if lead else 0
    found = _READ.match(spelled, begin)
    if found is None:
        if re.match(r"\s*[-−]\s*\d", spelled[begin:]):
            raise Unreadable(value)
        return None
    after = spelled[found.end() :]
    if _goes_on(after) or _OF_EACH.match(after) or re.match(r"\s*/\s*\d|[½¼¾⅓⅔]", after):
        raise Unreadable(value)
    named, top = _most(found, after, _spelled_out(label)), found["top"]
    if named == _HALF == _float(found["n"]):
        return ReadNumber(0.5, begin, begin, _HALF) if lowest else _refuse(value)
    most = _scale_of(found["n"], named, lowest)
    low = _float(found["n"]) / most
    if top is None:
        start, end = found.span("n") if spelled == value else (begin, begin)
        return ReadNumber(low, start, end, most)
    high = _float(top) / _scale_of(top, named, lowest)
    if low <= high <= low + _WIDEST_RANGE + 1e-9:
        return ReadNumber((low + high) / 2, begin, begin, most)
    return None if (low, high) in {(0.5, 1.0), (0.0, 1.0)} else _refuse(value)


def _refuse(value: str) -> NoReturn:
    raise Unreadable(value)


def _goes_on(after: str) -> bool:
    """Whether another number or a word that makes another thing of a number follows it."""
    word = re.match(r"[\s,;]*(?=\w)", after)
    if word is None:
        return False
    gloss = Gloss(after)
    if any(gloss.end(kind, word.end()) for kind in ("or", "and", "perhaps")):
        return True
    if word[0].strip():
        return re.match(r"[\s,;]*\d", after) is not None
    kinds = ("confident", "because", "after", "but")
    return not (any(gloss.end(kind, word.end()) for kind in kinds) or _HARMLESS.match(after, word.end()))


_HARMLESS = re.compile(
    r"(?:that|the|this|in|on|points?|pts|puntos|punkte|балл\w*|level|rating|score)\b|[全满分点中]"
)


def _float(digits: str) -> float:
    return float(digits.replace(",", "."))


def _most(found: re.Match[str], after: str, label: str) -> float | None:
    """What a number is out of, where that is written, behind it or in its label."""
    if found["percent"]:
        return 100.0
    if found["tenths"]:
        return 10.0
    if found["most"]:
        return _float(found["most"])
    sentence = re.split(r"[.!?;\n](?=\s|\Z)", after)[0]
    if named := SCALE.search(sentence):
        return _top(named)
    if _WORD_OF_SCALE.search(sentence):
        _refuse(after)
    named = SCALE.search(label) or _RANGE.search(label)
    if named and _top(named) != _HUNDRED:
        return _top(named)
    return 5.0 if found["stars"] else None


def _top(named: re.Match[str]) -> float:
    return float(next(it for it in named.groupdict().values() if it))


def _scale_of(digits: str, named: float | None, lowest: int) -> float:
    """The largest number of the scale that a number is on; `named` where that is written."""
    number, decimal = _float(digits), "." in digits or "," in digits
    if named is not None:
        return named if named > 0 and number <= named else _refuse(digits)
    if decimal and number <= 1:
        return 1
    if number > _HUNDRED or (decimal and number <= _TEN):
        _refuse(digits)
    if decimal or number >= lowest or number > _TEN:
        return _HUNDRED
    return _TEN if number > _FIVE else _refuse(digits)


def _spelled_out(value: str) -> str:
    """Numbers in English words as digits."""
    tens, small = "|".join(_TENS), "|".join(SMALL_NUMBERS[1:10])

    def digits(match: re.Match[str]) -> str:
        return str(sum(_WORDS[word] for word in re.split(r"[\s-]+", match[0])))

    value = re.sub(r"\b(?:a|one) hundred\b", "100", value)
    return re.sub(rf"\b(?:(?:{tens})[\s-](?:{small})|{'|'.join(_WORDS)})\b", digits, value)


def level_in(value: str) -> float | None:
    """A word of confidence at the beginning of `value` as a chance of being right; None without one."""
    gloss, lead = Gloss(value), _LEVEL_LEAD.match(value)
    for at in (lead.end() if lead else 0, 0):
        found = [(gloss.end(level, at) or 0, chance) for level, chance in LEVELS.items()]
        end, chance = max(found)
        if end:
            return chance
    return None


_LEVEL_LEAD = re.compile(r"[^\w\n]*(?:(?:is|i'm|i am|i|am|my|the|a|quite|pretty|rather|about)\b\s*)*")


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


def _placed(found: ReadNumber, start: int) -> StatedRating:
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

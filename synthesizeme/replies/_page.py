"""A reply as a page to read: without thoughts and data, its layout undone, every character in its place.

And its labelled parts, and where it goes on into something that is not its answer.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from synthesizeme.replies._words import Gloss, folded, vocabulary
from synthesizeme.visible_text import thoughts as thoughts_in
from synthesizeme.visible_text import without_thoughts as visible

SCORE = (
    r"(?:(?P<n>\d{1,3}(?:[.,]\d+)?)(?!\d)\s*(?P<unit>%|percent|/\s*\d+"
    r"|out of \d+|points?\b|pts\b|stars?\b|[分점点])?"
    r"|(?P<stars>[★⭐]+)☆*)(?![^\W_]|\.\d)"
)
"""A score in figures or stars."""
SCORE_BEHIND = re.compile(
    r"[\s:=(\[|*\"'–—-]*(?:(?:score|scores|scored|rating|rated|with|gets?|at|is|probability|p)\b[\s:=*]*)*"
    + SCORE
)
"""A score behind the name of a response."""
_FLAGS = re.IGNORECASE | re.DOTALL
_TAG = re.compile(r"</?\w[\w:]*>")
_OVER = re.compile(
    r"<[|｜][^|｜<>\n]{1,40}[|｜]>|</?s>|<(?:eos|bos|pad|end_of_turn|start_of_turn|end_of_utterance)>|\[/?INST\]"
    r"|<</?SYS>>|^[ \t]*#{2,4}[ \t]*(?:instruction|user|human|input)\b"
    r"|^[ \t]*(?:human|assistant|<user>)[ \t]*:",
    _FLAGS | re.MULTILINE,
)
_DATA = "conversation|turn|(?:first|second|chosen|rejected|new|liked)_response|past_choice|example"
_SHOWN = re.compile(rf"<({_DATA})\b[^<>\n]*>(.*?)(?:</\1>|\Z)", _FLAGS)
_FEW_WORDS = 3
"""Between tags of the chosen response stands a name, and no response, if there are no more words."""
_TABLE = re.compile(r"^([ \t]*\|[^\n]+\|[ \t]*)\n[ \t]*\|[-:| \t]+\|[ \t]*\n([ \t]*\|[^\n]+\|)", re.MULTILINE)


def without_thoughts(reply: str) -> str:
    """What a reply says: after thinking, before a mark that its turn is over; empty when only thoughts came.

    What follows an end-of-turn token or a mark of another role is not its answer.
    """
    said = visible(reply)
    return _OVER.sub("", said[: _turn_end(said)]).strip()


def thoughts(reply: str) -> str:
    """What a reply thinks, without the tags around it."""
    return "\n".join(_TAG.sub("", reply[start:end]).strip() for start, end in thoughts_in(reply))


def page(reply: str) -> tuple[str, bool]:
    """What a reply says as `folded` lines of ``label: value``, every character where it is in the reply.

    Thoughts, data between the tags of our prompts and everything behind a mark of the turn's end are blank.
    Objects, tables, tags and marks of Markdown are undone.

    Returns:
        The page, and whether a mark of the turn's end stood in the reply.
    """
    text = reply.replace("\r", " ")
    for start, end in thoughts_in(text):
        text = text[:start] + _spaces(text[start:end]) + text[end:]
    over = _turn_end(text)
    text = text[:over].ljust(len(text))
    text = _SHOWN.sub(_blank_data, _blank(_OVER, text))
    return _undo_marks(_undo_tables(_undo_tags(_undo_objects(folded(text))))), over is not None


def _turn_end(text: str) -> int | None:
    """Where the first mark stands, behind something that is said, that the turn is over; None without one."""
    begun = 0
    for mark in _OVER.finditer(text):
        if re.search(r"\w", text[begun : mark.start()]):
            return mark.start()
        begun = mark.end()
    return None


def _spaces(text: str) -> str:
    """As many characters, all white, lines kept."""
    return re.sub(r"[^\n]", " ", text)


def _blank(pattern: re.Pattern[str], text: str) -> str:
    return pattern.sub(lambda match: _spaces(match[0]), text)


def _blank_data(match: re.Match[str]) -> str:
    named = match[1].lower() == "chosen_response" and len(match[2].split()) <= _FEW_WORDS
    return match[0] if named else _spaces(match[0])


def _undo_objects(text: str) -> str:
    """Every JSON or Python object as a line for each key; a string stays on one line."""
    begun = re.search(r"\{\s*[\"']?\w[\w ]*[\"']?\s*:", text)
    if begun is None:
        return text
    written, quote, position = list(text), "", begun.start()
    while position < len(text):
        character = text[position]
        if quote:
            if character == "\\" and position + 1 < len(text):
                written[position : position + 2] = "  "
                position += 1
            elif character in "\n:":
                written[position] = " "
            elif character == quote and re.match(r"\s*(?:[,:}\]]|\Z)", text[position + 1 :][:40]):
                written[position], quote = " ", ""
        elif character in "\"'":
            written[position], quote = " ", character
        elif character in "{}[],":
            written[position] = "\n"
        position += 1
    return "".join(written)


def _undo_tags(text: str) -> str:
    """``<verdict>`` opens a line of that label, ``</verdict>`` ends it; other tags are blank."""

    def opened(match: re.Match[str]) -> str:
        return f"\n{match[1]}".ljust(len(match[0]) - 1) + ":" if _is_label(match[1]) else match[0]

    def boxed(match: re.Match[str]) -> str:
        line = match.string[match.string.rfind("\n", 0, match.start()) + 1 : match.start()].rstrip(" $*")
        own = line.endswith((":", "=")) and _is_label(line)
        return (" " if own else "\nbest:").ljust(len(match[0]))

    text = re.sub(r"<(\w[\w -]{0,30})/?>", opened, text.replace("_", " "))
    text = re.sub(r"</?[^\W\d][\w: -]{0,40}>", lambda match: "\n" + " " * (len(match[0]) - 1), text)
    text = re.sub(r"\\(?:boxed|fbox)\{", boxed, text)
    text = re.sub(r"\\(?:text|textbf|mathrm|mathbf)\{", lambda match: " " * len(match[0]), text)
    return text.replace("[[", "\n=")


def _undo_tables(text: str) -> str:
    """Rows of two cells are ``label: value``; a table under a header of labels stays, see `header_cells`."""
    kept = [table.span() for table in _TABLE.finditer(text) if _labelled(table[1])]

    def row(match: re.Match[str]) -> str:
        line = match[0]
        if any(start <= match.start() < end for start, end in kept):
            return line
        inner = line.strip().strip("|")
        if set(inner) <= set("|-: ") or inner.count("|") != 1:
            return line.replace("|", " ") if set(inner) <= set("|-: ") else line
        middle = line.index("|", line.index("|") + 1) if line.lstrip().startswith("|") else line.index("|")
        return line[:middle].replace("|", " ") + ":" + line[middle + 1 :].replace("|", " ")

    return re.sub(r"^[ \t]*\|[^\n]*\|[ \t]*$|^[^|\n]{1,40} \| [^|\n]+$", row, text, flags=re.MULTILINE)


def _labelled(header: str) -> bool:
    return all(_is_label(cell) for cell in header.strip().strip("|").split("|"))


def _is_label(text: str) -> bool:
    name = re.sub(r"[\W_]+", " ", text).strip()
    return any(
        name in vocabulary(kind) for kind in ("preference", "verdict", "confidence", "rating", "reasoning")
    )


def header_cells(text: str) -> list[tuple[int, list[tuple[str, int, int]]]]:
    """Tables under a header of labels on a `page`: where each begins, (name, start, end) of its first row."""
    found = []
    for table in _TABLE.finditer(text):
        if _labelled(table[1]):
            names = [re.sub(r"[\W_]+", " ", cell).strip() for cell in table[1].strip().strip("|").split("|")]
            start = table.start(2) + table[2].index("|") + 1
            cells = []
            for name, cell in zip(names, table[2].strip().strip("|").split("|"), strict=False):
                cells.append((name, start, start + len(cell)))
                start += len(cell) + 1
            found.append((table.start(), cells))
    return found


def _undo_marks(text: str) -> str:
    """Emphasis, headings, fences and quotation marks of lines are blank; struck words are gone."""
    text = re.sub(r"~~[^~\n]*~~", lambda match: " " * len(match[0]), text)
    text = re.sub(r"(?m)^[ \t]*>+", lambda match: " " * len(match[0]), text)
    text = re.sub(r"#(?=[#\s])|[*`$]", " ", text)
    return text


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


def has_score(page: str, position: int, end: int) -> bool:
    """Whether a score and nothing else stands behind a name that ends at `position`."""
    score = SCORE_BEHIND.match(page, position, end)
    return score is not None and not re.search(r"\w", page[score.end() : end])

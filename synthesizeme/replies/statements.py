"""The statements about a user in a reply of free form, one a line, whatever its layout; or its label."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

from synthesizeme.replies._page import without_thoughts
from synthesizeme.replies._words import Gloss, folded, vocabulary

_FENCE = re.compile(r"^[ \t]*(?:```|~~~)[\w-]*[ \t]*$", re.MULTILINE)
_TEXTS = (
    "statement", "text", "sentence", "description", "preference", "content", "claim", "trait", "observation",
    "summary",
)  # fmt: skip
_CITED = (
    "pairs", "pair", "evidence", "support", "supporting_pairs", "citations", "cites", "numbers", "references",
    "pair_numbers", "sources", "based_on", "supported_by",
)  # fmt: skip
_STRING = re.compile(r"""(["'])((?:(?!\1)[^\\]|\\.)*)\1(?=\s*([:,}\]]|\Z))""", re.DOTALL)
_NUMBERED = re.compile(r"^[\s>*•–-]*(?:\d{1,2}[.):]|[a-z][.)])\s", re.IGNORECASE)
_SENTENCE = re.compile(
    r"(?<=[.!?])(\s*[\[(][^\[\]()]*[\])])?\s+(?=[^\s\[(])|(?<=[。！？])(\s*[\[(（【][^\[\]()]*[\])）】])?\s*(?=[^\s\[(])"
)
_NEAR = 40
"""A heading before a statement is no longer than this."""


def statement_lines(reply: str) -> list[str]:
    """The lines of a reply without thoughts, fences, table rules and the signs of JSON.

    Of a JSON document every text is a line, with what it cites in brackets; prose that is all one paragraph
    is a line for each sentence. What is cited stays where it stands.
    """
    said = _said(reply)
    found = _document(said)
    if found is not None:
        return found
    lines = [_row(line) for line in _unwrapped(_plain_brackets(said))]
    written = [line for line in lines if re.search(r"\w", line)]
    return (_listed(written[0]) or _apart(written[0])) if len(written) == 1 else lines


def finished(reply: str) -> str:
    """What of a reply that was cut off is whole: its lines but the last, or the sentences of a paragraph.

    A JSON document stays: what it has whole is read.
    """
    if _document(_said(reply)) is not None:
        return reply
    lines, _, last = reply.rpartition("\n")
    if lines.strip():
        return lines
    ends = [match.end() for match in re.finditer(r"[.!?。！？](?:\s*[\[(][^\[\]()]*[\])])?", last)]
    return last[: ends[-1]] if ends else ""


def speaks_of_user(line: str) -> bool:
    """Whether a line begins with the user, or with what the user likes or does not, in any language."""
    text = folded(line)
    body = text.rpartition(":")[2] if ":" in text[:_NEAR] else text
    gloss = Gloss(text)
    first = re.search(r"\w", body)
    return first is not None and gloss.end("user", len(text) - len(body) + first.start()) is not None


def says_nothing(reply: str) -> bool:
    """Whether a reply says that there is nothing to state."""
    said = _said(reply)
    word = re.sub(r"\s+", " ", re.sub(r"[^\w\s]", "", folded(said))).strip()
    return word in vocabulary("none") or _document(said) == []


def _said(reply: str) -> str:
    """A reply without thoughts and fences."""
    return _FENCE.sub("", without_thoughts(reply)).strip()


def _document(said: str) -> list[str] | None:
    """The texts of a JSON document; of a broken one, those it has whole; None of other text."""
    begun = re.search(r"[{\[](?=\s*[\"'{\[\]}])", said)
    if begun is None or re.search(r"\w", said[: begun.start()].rpartition("\n")[2]):
        return None
    try:
        document, _ = json.JSONDecoder().raw_decode(said, begun.start())
    except ValueError:
        whole = [match[2] for match in _STRING.finditer(said, begun.start()) if match[3] != ":"]
        return [" ".join(re.sub(r"\\(?:n|(.))", r" \1", it).split()) for it in whole]
    return [" ".join(line.split()) for line in _texts(document)]


def _texts(value: Any, key: str = "") -> Iterator[str]:
    if isinstance(value, str):
        for line in value.splitlines():
            named = (
                key
                and not speaks_of_user(line)
                and key.lower() not in (*_TEXTS, "persona", "statements", "profile")
            )
            yield f"{key.replace('_', ' ').capitalize()}: {line}" if named else line
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item, key)
    elif isinstance(value, dict):
        lowered = {str(name).lower().replace(" ", "_"): it for name, it in value.items()}
        text = next((lowered[name] for name in _TEXTS if isinstance(lowered.get(name), str)), None)
        if text is None:
            for name, it in value.items():
                yield from _texts(it, str(name))
        else:
            cited = [_cited(lowered[name]) for name in _CITED if name in lowered]
            yield f"{text} [{'; '.join(filter(None, cited))}]" if any(cited) else text


def _cited(value: Any) -> str:
    items = value if isinstance(value, list) else [value]
    return ", ".join(str(it) for it in items if isinstance(it, int | str) and str(it).strip())


def _plain_brackets(said: str) -> str:
    """Citations in the brackets and commas of other scripts as in ours."""
    said = said.translate(str.maketrans("【】（）", "[]()"))
    return re.sub(
        r"[\[(][\d\s，、,;–-]+[\])]", lambda match: match[0].translate(str.maketrans("，、", ",,")), said
    )


def _row(line: str) -> str:
    """A row of a table as a line: its cells of words, and its cells of numbers in brackets."""
    if not re.match(r"\s*\|.*\|\s*$", line):
        return line
    cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
    cells = [cell for cell in cells if re.search(r"\w", cell)]
    number = re.compile(r"[\[(]?(?:pairs?\s*)?[\d\s,;#–-]+[\])]?", re.IGNORECASE)
    text = [cell for cell in cells if not number.fullmatch(cell)]
    cited = [cell for cell in cells[bool(cells and text and cells[0] != text[0]) :] if number.fullmatch(cell)]
    return " ".join([max(text, key=len), *(f"[{cell.strip('[]() ')}]" for cell in cited)]) if text else ""


def _unwrapped(said: str) -> list[str]:
    """Lines, those that only go on with the sentence of the line before joined to it."""
    lines: list[str] = []
    for line in said.splitlines():
        before = lines[-1].rstrip() if lines else ""
        goes_on = re.match(r"[ \t]*(?:[a-z]|[\[(]\s*(?:pairs?\b|\d))", line) and not _NUMBERED.match(line)
        opened = before and goes_on and not re.search(r"[.:!?\])]$", before.rstrip("*"))
        cites = re.fullmatch(r"[ \t]*[\[(][^\[\]()]*\d[^\[\]()]*[\])][ \t]*", line)
        if opened or (before and cites):
            lines[-1] = f"{before} {line.strip()}"
        else:
            lines.append(line)
    return lines


def _listed(line: str) -> list[str]:
    """The items of a list that is numbered from 1 in one line; none of another line."""
    places: list[int] = []
    for number in range(1, 100):
        before = r"(?<=[.!?;,\])。！？])\s+" if places else r"\A\s*"
        found = re.compile(rf"{before}{number}[.)]\s").search(line, places[-1] + 1 if places else 0)
        if found is None:
            break
        places.append(found.start())
    if len(places) < 2:
        return []
    return [line[start:end].strip() for start, end in pairwise([*places, len(line)])]


def _apart(line: str) -> list[str]:
    """The sentences of a paragraph, each with what it cites, if more than one of them speaks of the user."""
    ends = [
        (match.end(1) if match[1] else match.end(2) if match[2] else match.start())
        for match in _SENTENCE.finditer(line)
    ]
    places = [0, *ends, len(line)]
    pieces = [line[start:end].strip() for start, end in pairwise(places)]
    cited = [piece for piece in pieces if re.search(r"[\[(][^\[\]()]*\d[^\[\]()]*[\])]\W*$", piece)]
    speaking = [piece for piece in pieces if speaks_of_user(piece)]
    apart = len(cited) > 1 or (not cited and len(speaking) > 1)
    return pieces if apart else [line]


_OUT_OF = re.compile(r"(\d)\s*(?:/|out of)\s*\d+|(\d)\s*(?:stars?|points?)\b")


def label_in(reply: str, labels: Sequence[str]) -> str:
    """The one of `labels` that a reply names; all that it says where it names none or several.

    A label that is denied ("not positive") is not named. The last line decides where the reply explains
    itself first. Case and marks around a label make no difference, and ``4/5`` or ``4 stars`` is the
    label ``4``.

    Args:
        reply: All of the reply.
        labels: Every answer there is.
    """
    said = without_thoughts(reply)
    lines = [line for line in said.splitlines() if re.search(r"\w", line)]
    for part in (said, *lines[-1:]):
        text = _OUT_OF.sub(lambda match: match[1] or match[2], folded(part))
        named = {label for label in labels if re.search(_bounded(folded(label)), text)}
        whole = {label for label in named if not any(label != other and label in other for other in named)}
        if len(whole) == 1:
            label = whole.pop()
            denied = Gloss(text).any(0, text.find(folded(label)), "not")
            return said if denied else label
    return said


def _bounded(label: str) -> str:
    edge = r"(?<![\w.,-])" if label[:1].isalnum() else ""
    return rf"{edge}{re.escape(label)}" + (r"(?![\w-]|[.,]\d)" if label[-1:].isalnum() else "")

"""Statements that say the same, merged into one.

Two statements are compared by their words: case, punctuation and order do not matter, nor does the ending of
a word (two words are alike when they share their beginning, at least four letters and `ALIKE` of the longer
one), and verbs of liking are one word. In scripts without spaces, pairs of neighbouring characters are the
words. What a negation governs, the rest of its clause, is not the same as without it. Statements say the same
when both negate as often, and

- they share `SHARED` of all their words, or
- all words of the one are among those of the other, and it is no shorter than `CONTAINED` of it.

What says the same as one of several that were merged goes with them. The first keeps its place, the one with
most words its wording, and the citations of all are joined.
"""

from __future__ import annotations

import re
import tomllib
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from synthesizeme.profile import Persona, PersonaSentence
from synthesizeme.resources import resource

SHARED = 0.8
"""Share of all words of two statements that say the same in other words."""
CONTAINED = 0.6
"""Length of a statement that is contained in another one, as a share of that one's."""
ALIKE = 0.7
"""Share of the longer word that two forms of one word begin with."""
_LEAST_LETTERS = 4
_LIKING, _NEGATING = "\0", "\1"
"""Stand for all verbs of liking, and for a negation."""
_CLAUSE = re.compile(r"[,;:.!?()،؛。，；：、！？।]")
"""Where a clause ends, and with it what a negation governs."""
_UNSPACED = ("CJK", "HIRAGANA", "KATAKANA", "THAI", "LAO", "KHMER", "MYANMAR")
"""Beginnings of the Unicode names of characters in scripts that put no space between words."""


def without_repetition(persona: Persona) -> Persona:
    """The persona with statements that say the same merged; `PersonaSentence.repeats` counts what went in."""
    kept: list[tuple[PersonaSentence, list[_Words]]] = []
    for sentence in persona.sentences:
        words = _words(sentence.text)
        for place, (first, members) in enumerate(kept):
            if any(_same(words, other) for other in members):
                fuller = len(words.content) > max(len(other.content) for other in members)
                text = sentence.text if fuller else first.text
                kept[place] = _joined(first, sentence, text), [*members, words]
                break
        else:
            kept.append((sentence, [words]))
    return persona.model_copy(update={"sentences": tuple(sentence for sentence, _ in kept)})


@dataclass(frozen=True)
class _Words:
    """What a statement is compared by."""

    content: tuple[str, ...]
    """Different words, in order."""
    negations: int
    """How often it negates."""


def _joined(first: PersonaSentence, second: PersonaSentence, text: str) -> PersonaSentence:
    return PersonaSentence(
        text=text,
        pair_ids=tuple(dict.fromkeys([*first.pair_ids, *second.pair_ids])),
        evidence=tuple(dict.fromkeys([*first.evidence, *second.evidence])),
        repeats=first.repeats + second.repeats + 1,
    )


def _same(one: _Words, other: _Words) -> bool:
    short, long = sorted((one.content, other.content), key=len)
    if one.negations != other.negations or not short:
        return False
    shared = _shared(short, long)
    contained = shared == len(short) and len(short) >= CONTAINED * len(long)
    return contained or shared >= SHARED * (len(short) + len(long) - shared)


def _shared(short: Sequence[str], long: Sequence[str]) -> int:
    """How many words of both can be matched one to one; equal words come first."""
    left = [word for word in long if word not in short]
    found = len(long) - len(left)
    for word in (word for word in short if word not in long):
        match = next((other for other in left if _alike(word, other)), None)
        if match is not None:
            left.remove(match)
            found += 1
    return found


def _alike(one: str, other: str) -> bool:
    longest = max(len(one), len(other))
    same = next(
        (n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other))
    )
    return same >= max(_LEAST_LETTERS, ALIKE * longest)


def _words(text: str) -> _Words:
    r"""The words of a statement, those that a negation governs marked.

    >>> _words("The user does NOT like lists; lists!").content
    ('the', 'user', 'does', '-\x00', '-lists', 'lists')
    """
    lists = _lists()
    plain = unicodedata.normalize("NFKC", text).casefold().replace("’", "'")
    for inside, mark in ((lists.negating_inside, _NEGATING), (lists.liking_inside, _LIKING)):
        plain = inside.sub(f" {mark} ", plain)
    content: list[str] = []
    negations = 0
    for clause in _CLAUSE.split(plain):
        governed = ""
        for word in "".join(char if _in_word(char) else " " for char in clause).split():
            if word in lists.negating:
                negations += 1
                governed = "-"
            else:
                pieces = [_LIKING] if word in lists.liking else _pieces(word)
                content += [governed + piece for piece in pieces]
    return _Words(tuple(dict.fromkeys(content)), negations)


def _in_word(char: str) -> bool:
    return char in ("'", _LIKING, _NEGATING) or unicodedata.category(char)[0] in "LNM"


def _pieces(word: str) -> list[str]:
    """A word as it is; one of a script without spaces as its pairs of neighbouring characters."""
    unspaced = len(word) > 1 and unicodedata.name(word[0], "").startswith(_UNSPACED)
    return [word[i : i + 2] for i in range(len(word) - 1)] if unspaced else [word]


@dataclass(frozen=True)
class _Lists:
    negating: frozenset[str]
    liking: frozenset[str]
    negating_inside: re.Pattern[str]
    liking_inside: re.Pattern[str]


@cache
def _lists() -> _Lists:
    read = tomllib.loads(resource("data/words/statements.toml").read_text(encoding="utf-8"))
    negating, liking = (frozenset(read[name]) for name in ("negating", "liking"))
    return _Lists(negating | {_NEGATING}, liking | {_LIKING}, _inside(negating), _inside(liking))


def _inside(words: frozenset[str]) -> re.Pattern[str]:
    unspaced = [word for word in words if unicodedata.name(word[0], "").startswith(_UNSPACED)]
    return re.compile("|".join(map(re.escape, sorted(unspaced, key=len, reverse=True))))

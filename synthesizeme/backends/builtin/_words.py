"""From weights to words and back: how the reader states a preference and how it understands one.

What texts are about are directions among static embeddings: of concepts, of quoted texts, of any words.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

from synthesizeme.discovery import resource
from synthesizeme.perceived import FEATURES
from synthesizeme.plain_text import QUOTATION, beginning, quotable
from synthesizeme.static_embedding import open_static_embedding

Vector = NDArray[np.float64]

DIMENSIONS = 256
TYPICAL_DIFFERENCE = 0.2
"""Of two responses to one prompt, along a direction: the mean over the sample."""
QUOTED = 78
"""Characters of a text that a statement quotes; four such texts fit into one statement."""
_APART = re.compile(r"\b(?:not|rather than|over|instead of|to ones like|than)\b")
_SAYS_LITTLE = re.compile(
    r"\bthe user\b|\b(?:very |slightly|somewhat|clearly|strongly)\w*\b|\b(?:prefers?|likes?|enjoys?|values?|"
    r"appreciates?|wants?|loves?|favou?rs?|chooses?|dislikes?|avoids?|rejects?|hates?|does not|answers?|"
    r"responses?|replies|that|which|are|about|with|without|the|an?|of|and|or|who|they|their|texts?|ones|like)\b",
    re.IGNORECASE,
)


def meaning(text: str) -> Vector:
    """The static embedding in typical differences, shape (`DIMENSIONS`,)."""
    return open_static_embedding().vector(text).astype(np.float64) / TYPICAL_DIFFERENCE


@cache
def concepts() -> dict[str, Vector]:
    """Direction of each shipped concept, of length 1: the mean of its phrases, less that of all concepts."""
    rows = tomllib.loads(resource("data/words/concepts.toml").read_text(encoding="utf-8"))["concept"]
    means = np.array([_unit(np.sum([meaning(it) for it in row["phrases"]], axis=0)) for row in rows])
    return {row["name"]: _unit(it) for row, it in zip(rows, means - means.mean(axis=0), strict=True)}


def between(liked: Sequence[str], disliked: Sequence[str]) -> Vector:
    """Direction from the one texts to the others, of length 1 (or 0 where it has none)."""
    found = np.zeros(DIMENSIONS)
    for texts, sign in ((liked, 1), (disliked, -1)):
        if texts:
            found += sign * np.mean([meaning(text) for text in texts], axis=0)
    return _unit(found)


def quoted(line: str) -> tuple[list[str], list[str]]:
    """The texts that a statement quotes: those liked, and those that stand behind a "not" or the like.

    >>> quoted("The user prefers answers like “More parks”, not like “More roads”.")
    (['More parks'], ['More roads'])
    """
    liked: list[str] = []
    disliked: list[str] = []
    found, end = liked, 0
    for quote in QUOTATION.finditer(line):
        if _APART.search(line[end : quote.start()].lower()):
            found = disliked
        found.append(quote[1])
        end = quote.end()
    return liked, disliked


def without_quotes(line: str) -> str:
    """A statement with nothing between its quotation marks."""
    return QUOTATION.sub("“”", line)


def as_quote(text: str) -> str:
    """The beginning of a text between quotation marks, on one line."""
    return f"“{beginning(quotable(text), QUOTED)}”"


def said(words: str) -> Vector:
    """Direction of what words are about, of length 1; 0 where they say nothing but that somebody likes it."""
    left = " ".join(_SAYS_LITTLE.sub(" ", words).split()).strip(" .,;:!")
    return _unit(meaning(left)) if len(left) >= 3 else np.zeros(DIMENSIONS)


def _unit(vector: Vector) -> Vector:
    length = float(np.linalg.norm(vector))
    return vector / length if length > 1e-9 else np.zeros(DIMENSIONS)


STRENGTHS: tuple[tuple[str, float], ...] = (
    ("slightly", 0.25), ("somewhat", 0.5), ("clearly", 0.9), ("strongly", 1.5), ("very strongly", 2.4),
)  # fmt: skip
"""Adverbs and the weights they stand for, in the log-odds of a choice per typical difference."""
UNSAID = 0.15
"""Weights smaller than this are not put into words."""
PLAIN = 0.8
"""Weight of a preference stated without an adverb."""

# What other writers say about the same features: (more, less) as patterns.
_SYNONYMS: dict[str, tuple[str, str]] = {
    "length": (
        r"\blong(?:er)?\b(?! (?:sentences|words))|detailed|thorough|comprehensive|in-depth|elaborate"
        r"|exhaustive",
                r"\bshort(?:er)?\b(?! (?:sentences|words))|concise|brief|succinct|to the point|terse|compact",
    ),
    "sentence_length": (r"long sentences|flowing sentences", r"short sentences|clipped sentences"),
    "word_length": (r"learned words|sophisticated vocabulary|long words",
                r"simple words|plain (?:words|language)"),
    "vocabulary": (r"varied vocabulary|rich vocabulary", r"limited vocabulary"),
    "paragraphs": (r"many paragraphs|separate paragraphs", r"one block|single paragraph"),
    "bullets": (r"bullet|\blists?\b|structured|structure\b",
                r"\bprose\b|without (?:bullet|lists?)|unstructured"),
    "numbered": (r"numbered|step[- ]by[- ]step|clear steps", r"without numbered"),
    "headings": (r"headings|bold text|markdown", r"without headings|plain text"),
    "code": (r"\bcode\b", r"without code"),
    "numbers": (r"figures|statistics|quantitative|specific numbers|numbers and", r"without numbers"),
    "questions": (r"questions back|clarifying questions|asks? (?:questions|back)|follow-up questions",
                r"without questions"),
    "exclamations": (r"exclamation|enthusias|lively|energetic", r"calm|without exclamation|understated"),
    "emoji": (r"emojis?|smileys?", r"without emojis?"),
    "hedging": (r"hedg|cautious|tentative|nuanced|careful(?:ly)? (?:qualified|worded)",
                r"direct\b|confident|assertive|decisive|definite|straightforward"),
    "refusals": (r"answers that decline|refus", r"do not decline|never refuse|without refus"),
    "disclaimers": (r"disclaimers?|warnings?|caveats|precautions|advice to (?:see|ask|consult)",
                r"without (?:disclaimers?|warnings|caveats)"),
    "formality": (r"formal|professional tone", r"casual|informal|conversational|relaxed tone"),
    "warmth": (r"warm|friendly|empath|encourag|supportive|kind\b(?! of)",
                r"neutral|matter-of-fact|unemotional|no chit-?chat"),
    "examples": (r"examples?|illustrat", r"without examples"),
    "stories": (r"stories|anecdotes?|storytelling|narratives?|personal experiences?",
                r"without (?:stories|anecdotes)"),
    "sources": (r"sources?|citations?|references|studies|cites?|research",
                r"without (?:sources|citations|references)"),
    "preamble": (r"opening line|greeting|preamble|introduction",
                r"start at once|without (?:an? )?(?:preamble|greeting|introduction|opening)|no preamble"
                r"|answer (?:first|in the first sentence)"),
    "closing_offer": (r"closing offer|offers? of (?:more )?help", r"end without an offer|without closing"),
    "first_person": (r"first person", r"impersonal"),
    "second_person": (r"address(?:es)? the (?:user|reader)", r"do not address"),
    "technical": (r"technical|abstract terms|jargon", r"everyday|lay(?:man'?s)? terms|non-technical"),
    "prompt_overlap": (r"close to the question|on[- ]topic|focus(?:ed)? on the question|relevant",
                r"beyond the question|wide-ranging"),
    "repetition": (r"repetitive", r"do not repeat|without repetition|non-repetitive"),
    "truncated": (r"that break off$", r"complete answers|do not break off|finished answers"),
    "leaked_markup": (r"with stray", r"clean answers|without stray"),
}  # fmt: skip

_NEGATIVE = re.compile(
    r"\b(?:dislikes?|avoids?|rejects?|does not (?:like|want|care for|prefer)|doesn't (?:like|want"
    r"|prefer)|hates?|"
    r"is (?:put off|annoyed|bothered|irritated) by|has (?:little|no) patience for|finds? no use for|"
    r"never (?:wants?|likes?|prefers?|chooses?))\b"
)
_LESSENED = re.compile(
    r"\b(?:no|not|few|fewer|less|little|minimal|without|free (?:of|from)|lack(?:ing|s)?(?: of)?)\s+"
    r"(?:any |too |very |so |overly |unnecessary )?$"
)
"""What just before a mention means less of it."""
_CLAUSE = re.compile(
    r"[;,]\s*(?:but|and|yet|rather than)\b|;|\b(?:but|rather than|over|instead of|more than)\b"
)
_CONTRAST = re.compile(r"\b(?:rather than|over|instead of|more than)\b")


def strength_word(weight: float) -> str:
    """The adverb whose weight is nearest in ratio to |weight|."""
    return min(STRENGTHS, key=lambda item: abs(item[1] / abs(weight) - abs(weight) / item[1]))[0]


def state(weights: dict[str, float]) -> dict[str, str]:
    """One sentence per named feature or concept, in the order given; every |weight| must exceed `UNSAID`."""
    phrases = {feature.name: (feature.more, feature.less) for feature in FEATURES}
    phrases |= {name: (name, f"answers without {name}") for name in concepts()}
    return {
        name: f"The user {strength_word(weight)} prefers {phrases[name][0 if weight > 0 else 1]}."
        for name, weight in weights.items()
    }


def state_likeness(liked: list[str], disliked: list[str], weight: float) -> str:
    """A sentence about what answers say: it quotes some that were chosen and some that were not."""
    chosen, rejected = (" and ".join(map(as_quote, texts)) for texts in (liked, disliked))
    return f"The user {strength_word(weight)} prefers answers like {chosen}, not like {rejected}."


def _pattern(name: str, own: str, side: int) -> re.Pattern[str]:
    return re.compile(rf"\b(?:{re.escape(own)}|{_SYNONYMS[name][side]})")


@cache
def _patterns() -> list[tuple[str, re.Pattern[str], re.Pattern[str]]]:
    """Name, and what says more and less of it, of each feature and concept."""
    never = re.compile(r"(?!)")
    features = [(it.name, _pattern(it.name, it.more, 0), _pattern(it.name, it.less, 1)) for it in FEATURES]
    return features + [(name, re.compile(rf"\b{re.escape(name)}"), never) for name in concepts()]


def understand(persona: str) -> dict[str, float]:
    """Weights that a persona in words gives named features and concepts; others are absent.

    The longest phrase wins inside a clause ("without bullet lists" is not about liking lists); what follows
    "rather than" or "over" counts against; a verb of dislike turns a clause around.
    """
    weights: dict[str, float] = {}
    for line in persona.lower().splitlines():
        for clause, sign in _clauses(without_quotes(line)):
            for name, value in _clause_weights(clause).items():
                weights.setdefault(name, sign * value * _strength(line))
    return weights


def direction(persona: str) -> Vector:
    """What a persona says of the content of answers beyond named features, shape (`DIMENSIONS`,).

    Concepts count by their directions, quoted texts by the direction from the disliked to the liked, and a
    statement in which neither features nor concepts nor quotes are found by what its words are about.
    """
    found = np.zeros(DIMENSIONS)
    for line in persona.splitlines():
        liked, disliked = quoted(line)
        names = understand(line)
        for name, weight in names.items():
            if name in concepts():
                found += weight * concepts()[name]
        if liked or disliked:
            turned = -1 if _NEGATIVE.search(without_quotes(line).lower()) else 1
            found += turned * _strength(line) * between(liked, disliked)
        elif not names:
            for clause, sign in _clauses(line.lower()):
                found += sign * _strength(line) * said(clause)
    return found


def _strength(line: str) -> float:
    return next((value for word, value in reversed(STRENGTHS) if word in line.lower()), PLAIN)


def _clauses(line: str) -> Iterator[tuple[str, int]]:
    """The clauses of a statement, each with 1, or -1 where it says what the user does not like."""
    sign, start = 1, 0
    for boundary in [*_CLAUSE.finditer(line), None]:
        clause = line[start : boundary.start() if boundary else len(line)]
        yield clause, -sign if _NEGATIVE.search(clause) else sign
        if boundary:
            start = boundary.end()
            sign = -1 if _CONTRAST.search(boundary[0]) else 1


def _clause_weights(clause: str) -> dict[str, int]:
    """+1 or -1 for each feature the clause mentions; longer matches hide the shorter ones inside them.

    A word such as "no" or "fewer" before the mention turns it around.
    """
    found = sorted(
        (
            (match.end() - match.start(), match.start(), match.end(), name, value)
            for name, more, less in _patterns()
            for value, pattern in ((1, more), (-1, less))
            for match in pattern.finditer(clause)
        ),
        reverse=True,
    )
    taken: list[tuple[int, int]] = []
    weights: dict[str, int] = {}
    for _, start, end, name, value in found:
        if any(start < other_end and other_start < end for other_start, other_end in taken):
            continue
        taken.append((start, end))
        weights.setdefault(name, -value if _LESSENED.search(clause[:start]) else value)
    return weights

"""Which of two responses a statement about a user speaks for, decided by code that no writer of ours uses.

Named properties are counted anew, by other means than those of `synthesizeme.stylometry`; what is said of
content is read by MiniLM, which the builtin reader has not.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

import numpy as np
from sentence_transformers import SentenceTransformer

from reward_models._pretrained import MINILM, locate


def _words(text):
    return text.split()


def _letters(text):
    return [word for word in (re.sub(r"[^A-Za-z]", "", word) for word in _words(text)) if word]


def _per_word(pattern):
    found = re.compile(pattern, re.IGNORECASE)
    return lambda text, _: len(found.findall(text)) / max(8, len(_words(text)))


def _lines(pattern):
    found = re.compile(pattern)
    return lambda text, _: sum(bool(found.match(line)) for line in text.splitlines())


def _count(characters):
    return lambda text, _: sum(text.count(it) for it in characters)


def _emoji(text, _):
    return sum(unicodedata.category(it) == "So" for it in text) + len(re.findall(r"[:;]-?[)D]", text))


def _overlap(text, prompt):
    asked = {word.strip(".,?!").lower() for word in _words(prompt) if len(word) > 3}
    return len(asked & {word.strip(".,?!").lower() for word in _words(text)}) / max(1, len(asked))


def _sentence(text, _):
    return len(_words(text)) / max(1, len(re.findall(r"[.!?](?:\s|$)", text)))


def _variety(text, _):
    words = [it.lower() for it in _letters(text)]
    return len(set(words)) / max(1, len(words)) ** 0.8


def _repeats(text, _):
    words = [word.lower() for word in _words(text)]
    three = list(zip(words, words[1:], words[2:], strict=False))
    return 1 - len(set(three)) / max(1, len(three))


CASUAL = (
    r"\b\w+n't\b|\b(?:i'm|you're|it's|that's|they're|we're|i'd|you'd|you'll|i'll|let's|yeah|okay|ok|hey|cool"
    r"|kinda)\b"
)
FORMAL = r"\b(?:therefore|furthermore|moreover|however|thus|additionally|consequently|hence|regarding)\b"
OPENINGS = ("sure", "certainly", "of course", "great", "absolutely", "hello", "hi", "hey", "thank")
CLOSINGS = ("let me know", "feel free", "hope this", "anything else", "happy to help")
MEASURES = {
    "long, detailed": lambda text, _: len(text),
    "short, concise": lambda text, _: -len(text),
    "long sentences": _sentence,
    "short sentences": lambda t, p: -_sentence(t, p),
    "long, learned words": lambda text, _: np.mean([len(it) for it in _letters(text)] or [0]),
    "plain, simple words": lambda text, _: -np.mean([len(it) for it in _letters(text)] or [0]),
    "a varied vocabulary": _variety,
    "a repeated, limited vocabulary": lambda t, p: -_variety(t, p),
    "text in many paragraphs": lambda text, _: len([it for it in text.split("\n\n") if it.strip()]),
    "text in one block": lambda text, _: -len([it for it in text.split("\n\n") if it.strip()]),
    "bullet lists": _lines(r"\s*[-*•]\s"),
    "numbered steps": _lines(r"\s*\d+[.)]\s"),
    "headings and bold": _lines(r"\s*#|.*\*\*|.{2,50}:\s*$"),
    "code": _count(("```", "`")),
    "numbers and figures": lambda text, _: len(re.findall(r"\d+", text)) / max(8, len(_words(text))),
    "without numbers": lambda text, _: -len(re.findall(r"\d+", text)) / max(8, len(_words(text))),
    "questions back": _count("?"),
    "without questions": lambda text, _: -text.count("?"),
    "exclamation marks": _count("!"),
    "emoji": _emoji,
    "cautious, hedged": _per_word(
        r"\b(?:may|might|could|perhaps|maybe|possibly|probably|seems?|usually|often|likely|depends)\b"
    ),
    "that decline": _per_word(r"\b(?:cannot|can't|unable|sorry|as an ai)\b"),
    "disclaimers": _per_word(r"\b(?:note that|important to|consult|disclaimer|keep in mind|professional)\b"),
    "formal, written": lambda t, p: _per_word(FORMAL)(t, p) - _per_word(CASUAL)(t, p),
    "warm, friendly": _per_word(
        r"\b(?:glad|happy|hope|sorry to hear|thank|wonderful|great|love|dear|enjoy|welcome|kind)\w*\b"
    ),
    "concrete examples": _per_word(
        r"\b(?:for example|for instance|e\.g\.|such as|imagine|suppose|like when)\b"
    ),
    "opening line": lambda text, _: text.lower().startswith(OPENINGS),
    "closing offer": lambda text, _: any(it in (text.lower().splitlines() or [""])[-1] for it in CLOSINGS),
    "first person": _per_word(r"\b(?:I|me|my|mine|we|our|us)\b"),
    "address the user": _per_word(r"\b(?:you|your|yours)\b"),
    "technical, abstract": _per_word(r"\b\w{5,}(?:tion|ment|ity|ism|ance|ence|logy)s?\b"),
    "stay close to the question": _overlap,
    "stories about people": _per_word(
        r"\b(?:he|she|they|my|his|her|was|were|had|told|said|went|came|ago|once)\b"
    ),
    "sources and studies": _per_word(
        r"\b(?:stud(?:y|ies)|survey|research|report|journal|according|census|published|source)s?\b|http"
    ),
    "repetitive answers": _repeats,
    "that break off": lambda text, _: not re.search(r"[.!?\"')\]]\s*$", text),
    "stray": _per_word(r"</?s>|<\|"),
}
"""By a phrase of the statement, what there is more of in the response that it speaks for."""
OPPOSITES = {
    "direct, confident": "cautious, hedged",
    "informal, spoken": "formal, written",
    "matter-of-fact": "warm, friendly",
    "plain text without": "headings and bold",
    "prose without bullet": "bullet lists",
    "calm answers": "exclamation marks",
    "start at once": "opening line",
    "without an offer": "closing offer",
    "impersonal": "first person",
    "do not address": "address the user",
    "everyday terms": "technical, abstract",
    "beyond the question": "stay close to the question",
    "do not repeat": "repetitive answers",
    "do not break off": "that break off",
    "do not decline": "that decline",
    "without stray": "stray",
    "without stories": "stories about people",
    "without sources": "sources and studies",
    "without disclaimers": "disclaimers",
    "without examples": "concrete examples",
    "without emoji": "emoji",
    "without code": "code",
    "without numbered": "numbered steps",
}


class Holds:
    """Says for which response a statement speaks: 1 the first, -1 the second, 0 neither."""

    def __init__(self):
        self._model = SentenceTransformer(locate(MINILM), device="cpu")
        self._vector = lru_cache(maxsize=200_000)(self._encoded)

    def _encoded(self, text):
        return self._model.encode([text[:2000]], normalize_embeddings=True, show_progress_bar=False)[0]

    def __call__(self, statement, first, second, prompt):
        line = statement.lower()
        for phrase, opposite in OPPOSITES.items():
            if phrase in line:
                return -_sign(MEASURES[opposite](first, prompt) - MEASURES[opposite](second, prompt))
        if "like “" in line:
            return self._content(*_quoted(statement), first, second, 0.05)
        for phrase, measure in MEASURES.items():
            if phrase in line:
                return _sign(measure(first, prompt) - measure(second, prompt))
        about = re.sub(r"the user \w+(?: strongly)? prefers|answers (?:with|without)|[.]", "", line).strip()
        sign = -1 if "without" in line else 1
        return sign * self._content([about], [], first, second, 0.02)

    def _content(self, liked, disliked, first, second, least):
        axis = sum(self._vector(it) for it in liked) / len(liked)
        if disliked:
            axis = axis - sum(self._vector(it) for it in disliked) / len(disliked)
        along = float((self._vector(first) - self._vector(second)) @ axis)
        return 0 if abs(along) < least else _sign(along)


def _quoted(statement):
    liked, _, disliked = statement.partition(", not like ")
    return [[it.rstrip("…") for it in re.findall(r"“([^”]+)”", part)] for part in (liked, disliked)]


def _sign(value):
    return int(value > 1e-9) - int(value < -1e-9)

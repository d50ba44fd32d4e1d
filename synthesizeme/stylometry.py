"""Named, readable features of one response to one prompt: standard library only.

Each feature has a unit-free value (counts enter as log(1 + n), rates as the square root of occurrences
per 100 words), a fixed `scale` (a typical difference between two responses, so that a difference divided
by it is of order one), and the words that describe more or less of it. The scales are constants of this
file, fixed on invented text, never fitted to the people a model is measured on.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property


class Text:
    """A response with the counts that several features share.

    Args:
        response: The response.
        prompt: Text of the conversation it answers.
    """

    def __init__(self, response: str, prompt: str = "") -> None:
        self.raw = response.strip()
        self.lower = self.raw.lower().replace("’", "'")
        self.prompt = prompt

    @cached_property
    def words(self) -> list[str]:
        """Lower-case words."""
        return _WORD.findall(self.lower)

    @cached_property
    def sentences(self) -> int:
        """Number of sentences, at least 1."""
        return max(1, len(_SENTENCE.findall(self.raw)))

    def count(self, pattern: re.Pattern[str]) -> float:
        """log(1 + matches)."""
        return math.log1p(sum(1 for _ in pattern.finditer(self.lower)))

    def rate(self, pattern: re.Pattern[str]) -> float:
        """Square root of matches per 100 words."""
        return self.per_100_words(sum(1 for _ in pattern.finditer(self.lower)))

    def per_100_words(self, matches: int) -> float:
        """Square root of `matches` per 100 words; texts under 20 words count as 20."""
        return math.sqrt(100 * matches / max(20, len(self.words)))


@dataclass(frozen=True)
class Feature:
    """One named property of a response."""

    name: str
    more: str
    """What a user likes who prefers more of it, to follow "prefers"."""
    less: str
    """What a user likes who prefers less of it, to follow "prefers"."""
    scale: float
    """A typical absolute difference between two responses."""
    measure: Callable[[Text], float]


def _any(*phrases: str) -> re.Pattern[str]:
    return re.compile(r"\b(?:" + "|".join(phrases) + r")\b")


_WORD = re.compile(r"[^\W_]+(?:['-][^\W_]+)*")
_SENTENCE = re.compile(r"[.!?]+(?=\s|$|[\"')\]])")
_BULLET = re.compile(r"^[ \t]*[-*•–][ \t]+\S", re.MULTILINE)
_NUMBERED = re.compile(r"^[ \t]*(?:step )?\d{1,2}[.):][ \t]+\S", re.MULTILINE)
_HEADING = re.compile(r"^#{1,6} \S|\*\*[^*\n]+\*\*|^[^\n]{2,50}:[ \t]*$", re.MULTILINE)
_CODE = re.compile(r"```|`[^`\n]+`|^(?: {4}|\t)\S", re.MULTILINE)
_NUMBER = re.compile(r"(?<![\w.])\d[\d.,:/]*%?(?!\s*[.)]\s)")
_QUESTION = re.compile(r"\?(?=\s|$|[\"')*_])")
_EXCLAMATION = re.compile(r"!+")
_EMOJI = re.compile(r"[\U0001F300-\U0001FAFF\u2600-\u27BF]|(?<!\w)[:;]-?[)D(]")
_PARAGRAPH = re.compile(r"\n[ \t]*\n")
_HEDGE = _any(
    "may", "might", "could", "perhaps", "maybe", "possibly", "probably", "seems?", "seemingly", "likely",
    "generally", "usually", "often", "tends? to", "somewhat", "it depends", "depending on", "in some cases",
    "as far as i know", "not (?:entirely )?(?:sure|certain)", "roughly", "arguably",
    "i (?:think|believe|guess|suppose)",
)  # fmt: skip
_REFUSAL = _any(
    r"i(?:'m| am) (?:sorry|afraid)", r"i (?:can't|cannot|can not|am unable to|won't|will not)(?: \w+){0,3}",
    r"i(?:'m| am) (?:not able|unable) to", r"as an ai(?: \w+)?", r"as a (?:large )?language model",
    r"i do(?:n't| not) have (?:personal|an? (?:definitive )?opinion|access)", r"not appropriate",
)  # fmt: skip
_DISCLAIMER = _any(
    "it(?:'s| is) (?:important|worth|crucial|essential) to (?:note|remember|keep in mind|consult|understand)",
    "please note", "keep in mind", "consult (?:a|an|your|with)", "seek (?:professional|medical|legal)",
    "(?:a|your) (?:doctor|physician|lawyer|healthcare provider|licensed professional|qualified professional)",
    "not (?:a substitute|financial advice|medical advice|legal advice)", "results may vary", "disclaimer",
    "(?:everyone|every situation) is different", "do your own research",
)  # fmt: skip
_FORMAL = _any(
    "furthermore", "moreover", "therefore", "thus", "hence", "consequently", "additionally", "however",
    "nevertheless", "whereas", "regarding", "in accordance with", "with respect to", "one must",
    "it is advisable",
    "commence", "utili[sz]e", "obtain", "require[sd]?", "ensure", "subsequently", "in conclusion", "notably",
    "it should be noted", "sufficient", "prior to", "approximately", "one should", "one may", "upon",
)  # fmt: skip
_INFORMAL = re.compile(
    r"\b\w+'(?:s|re|ll|ve|d|m|t)\b|\b(?:yeah|yep|nope|hey|ok|okay|gonna|wanna|gotta|kinda|sorta|stuff|"
    r"awesome|cool|super|totally|pretty much|a bunch|no worries|guys?|lol|btw|honestly|tons of|yup|dude)\b"
)
_WARM = _any(
    "happy", "glad", "wonderful", "lovely", "great question", "good luck", "you've got this", "take care",
    "i understand", "i hear you", "understandable", "hope", "hopefully", "dear", "thank you", "thanks",
    "congratulations", "enjoy", "warmly?", "gentle", "gently", "kind", "be kind to yourself", "proud",
    "delighted",
    "feel free", "friend", "that sounds", "sorry to hear", "sorry you", "good for you", "cheering",
    "delightful",
)  # fmt: skip
_EXAMPLE = _any(
    "for example", "for instance", r"e\.g", "such as", "imagine", "picture", "say you", "think of", "suppose",
    "to illustrate", "example", "case in point", "like when", "as an illustration", "consider the",
)  # fmt: skip
_PREAMBLE = re.compile(
    r"^(?:sure|certainly|of course|absolutely|great question|good question|what a|that's a (?:great"
    r"|good)|thank you"
    r"|thanks for|i(?:'d| would) be (?:happy|glad)|hello|hi\b|hey\b|dear\b|well,|as an ai|ah,|oh,|okay,"
    r"|yes, of course)"
)
_CLOSING = re.compile(
    r"(?:let me know|hope (?:this|that) helps|feel free to|happy to help|if you have any (?:other |more "
    r"|further )?questions"
    r"|is there anything else|would you like me to|don't hesitate|want me to|shall i|just ask)"
)
_FIRST_PERSON = re.compile(r"\b(?:i|me|my|mine|myself|i'(?:m|ve|d|ll)|we|our|us)\b")
_SECOND_PERSON = re.compile(r"\b(?:you|your|yours|yourself|you'(?:re|ve|d|ll))\b")
_TECHNICAL = (
    "tion",
    "tions",
    "ment",
    "ments",
    "ity",
    "ities",
    "ism",
    "ology",
    "ance",
    "ence",
    "ical",
    "esis",
)
_LEAKED = re.compile(
    r"</?s>|<\|[^|\n]*\|>|<unk>|\[/?inst\]|^[^\w\n]{0,8}(?:user|human|assistant|question|q|input|output"
    r"|instruction)\s*:"
    r"|^###? ?(?:human|user|instruction|response|input)\b|\\begin\{",
    re.MULTILINE,
)
_END = re.compile(r"[.!?…:;)\]}\"'”`*>|\U0001F300-\U0001FAFF\uFE0F]\Z")
_STOP_WORDS = frozenset(
    _WORD.findall(
        "the a an and or but of to in on at for with by from as is are was were be been it its this that "
        "these those i you "
        "he she we they my your his her our their me him them what which who how why when where do does did "
        "can could should "
        "would will if so not no there about into than then some any please tell give write make"
    )
)


def _herdan(text: Text) -> float:
    """Herdan's C = log(types) / log(tokens), 1 for texts under 10 words."""
    n = len(text.words)
    return math.log(len(set(text.words))) / math.log(n) if n >= 10 else 1.0


def _overlap(text: Text) -> float:
    """Share of the prompt's content words that the response takes up, in [0, 1]."""
    wanted = set(_WORD.findall(text.prompt.lower())) - _STOP_WORDS
    return len(wanted & set(text.words)) / len(wanted) if wanted else 0.5


def _repetition(text: Text) -> float:
    """Share of 4-word runs that already occurred, in [0, 1]."""
    words = text.words
    runs = Counter(zip(words, words[1:], words[2:], words[3:], strict=False))
    total = sum(runs.values())
    return 1 - len(runs) / total if total else 0.0


def _truncated(text: Text) -> float:
    """1 when a response of more than 8 words stops without an end, else 0."""
    return float(len(text.words) > 8 and _END.search(text.raw) is None)


def _technical(text: Text) -> float:
    return text.per_100_words(sum(word.endswith(_TECHNICAL) for word in text.words))


def _mean_word(text: Text) -> float:
    return sum(map(len, text.words)) / len(text.words) if text.words else 4.5


FEATURES: tuple[Feature, ...] = (
    Feature("length", "long, detailed answers", "short, concise answers", 0.7,
            lambda t: math.log1p(len(t.words))),
    Feature("sentence_length", "long sentences", "short sentences", 0.4,
            lambda t: math.log1p(len(t.words) / t.sentences)),
    Feature("word_length", "long, learned words", "plain, simple words", 0.5, _mean_word),
    Feature("vocabulary", "a varied vocabulary", "a repeated, limited vocabulary", 0.05, _herdan),
    Feature("paragraphs", "text in many paragraphs", "text in one block", 0.6, lambda t: t.count(_PARAGRAPH)),
    Feature("bullets", "bullet lists", "prose without bullet lists", 0.8, lambda t: t.count(_BULLET)),
    Feature("numbered", "numbered steps", "answers without numbered steps", 0.8,
            lambda t: t.count(_NUMBERED)),
    Feature("headings", "headings and bold text", "plain text without headings", 0.6,
            lambda t: t.count(_HEADING)),
    Feature("code", "code examples", "answers without code", 0.8, lambda t: t.count(_CODE)),
    Feature("numbers", "numbers and figures", "answers without numbers", 0.9, lambda t: t.rate(_NUMBER)),
    Feature("questions", "questions back to the user", "answers without questions", 0.4,
            lambda t: t.count(_QUESTION)),
    Feature("exclamations", "lively answers with exclamation marks",
            "calm answers without exclamation marks", 0.4,
            lambda t: t.count(_EXCLAMATION)),
    Feature("emoji", "emoji", "answers without emoji", 0.5, lambda t: t.count(_EMOJI)),
    Feature("hedging", "cautious, hedged statements", "direct, confident statements", 0.8,
            lambda t: t.rate(_HEDGE)),
    Feature("refusals", "answers that decline", "answers that do not decline", 0.5,
            lambda t: t.count(_REFUSAL)),
    Feature("disclaimers", "warnings and disclaimers", "answers without disclaimers", 0.5,
            lambda t: t.count(_DISCLAIMER)),
    Feature("formality", "a formal tone", "a casual tone", 1.1,
            lambda t: t.rate(_FORMAL) - t.rate(_INFORMAL)),
    Feature("warmth", "a warm, friendly tone", "a neutral, matter-of-fact tone", 0.9,
            lambda t: t.rate(_WARM)),
    Feature("examples", "concrete examples", "answers without examples", 0.5, lambda t: t.count(_EXAMPLE)),
    Feature("preamble", "a friendly opening line", "answers that start at once", 0.5,
            lambda t: float(_PREAMBLE.search(t.lower) is not None)),
    Feature("closing_offer", "a closing offer of more help", "answers that end without an offer", 0.5,
            lambda t: float(_CLOSING.search(t.lower[t.lower.rfind("\n") + 1 :]) is not None)),
    Feature("first_person", "answers in the first person", "impersonal answers", 0.9,
            lambda t: t.rate(_FIRST_PERSON)),
    Feature("second_person", "answers that address the user", "answers that do not address the user", 0.9,
            lambda t: t.rate(_SECOND_PERSON)),
    Feature("technical", "technical, abstract terms", "everyday terms", 0.8, _technical),
    Feature("prompt_overlap", "answers that stay close to the question",
            "answers that range beyond the question",
            0.2, _overlap),
    Feature("repetition", "repetitive answers", "answers that do not repeat themselves", 0.1, _repetition),
    Feature("truncated", "answers that break off", "complete answers that do not break off", 0.5, _truncated),
    Feature("leaked_markup", "answers with stray chat markup", "clean answers without stray markup", 0.5,
            lambda t: t.count(_LEAKED)),
)  # fmt: skip
"""Every named feature, in a fixed order."""

FEATURE: Mapping[str, Feature] = {feature.name: feature for feature in FEATURES}
"""The same by name."""


def measure(response: str, prompt: str = "") -> tuple[float, ...]:
    """Values of `FEATURES` for one response, in that order, divided by their scales.

    Args:
        response: The response.
        prompt: Text of the last user turn or the whole conversation.

    Returns:
        ``len(FEATURES)`` finite floats.
    """
    text = Text(response, prompt)
    return tuple(feature.measure(text) / feature.scale for feature in FEATURES)


def difference(first: str, second: str, prompt: str = "", *, clip: float = 3.0) -> tuple[float, ...]:
    """measure(first) - measure(second), each clipped to [-clip, clip]; antisymmetric in its arguments."""
    pairs = zip(measure(first, prompt), measure(second, prompt), strict=True)
    return tuple(max(-clip, min(clip, a - b)) for a, b in pairs)

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
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache


class Text:
    """A response with the counts that several features share.

    Args:
        response: The response.
        prompt: Text of the conversation it answers.
    """

    def __init__(self, response: str, prompt: str = "") -> None:
        self.raw = response.strip()
        self.lower = lower = self.raw.lower().replace("’", "'")
        self.prompt = prompt
        self.words: list[str]
        """Lower-case words."""
        pieces: list[str]
        if lower.isascii() and "_" not in lower:
            self.words, pieces = _ascii_words(lower)
        else:
            self.words, pieces = _WORD.findall(lower), _RUN.findall(lower)
        self.vocabulary = Counter(self.words)
        """Distinct words, and how often each occurs."""
        runs = self.vocabulary if pieces is self.words else Counter(pieces)
        self.known = {word: runs[word] for word in _KNOWN.intersection(runs)}
        """How often each word of the lexicons stands between two word boundaries."""
        self.sentences: int = max(1, len(_SENTENCE.findall(self.raw)))
        """Number of sentences, at least 1."""

    def count(self, matches: Matches) -> float:
        """log(1 + matches)."""
        return math.log1p(matches(self))

    def rate(self, matches: Matches) -> float:
        """Square root of matches per 100 words."""
        return self.per_100_words(matches(self))

    def per_100_words(self, matches: int) -> float:
        """Square root of `matches` per 100 words; texts under 20 words count as 20."""
        return math.sqrt(100 * matches / max(20, len(self.words))) if matches else 0.0


Matches = Callable[[Text], int]
"""How often something occurs in the lower-case text: matches from the left, without overlaps."""


class Pattern:
    """Matches of a regular expression, which is not tried without a string that each of them contains.

    Args:
        expression: Regular expression; ``^`` and ``$`` are the ends of a line.
        needs: Every match contains one of these.
    """

    def __init__(self, expression: str, *needs: str) -> None:
        self.find, self.needs = re.compile(expression, re.MULTILINE).findall, needs

    def __call__(self, text: Text) -> int:
        """Number of matches."""
        lower = text.lower
        if self.needs and not any(need in lower for need in self.needs):
            return 0
        return len(self.find(lower))


class Lexicon:
    """Matches of words and phrases between word boundaries.

    Words are looked up in the counts of the text. Only where a phrase is in the text is it searched for both,
    because a phrase takes up the words in it.

    Args:
        words: Words, separated by blanks.
        phrases: Regular expressions; the keys are words of which every match contains one as a whole.
    """

    def __init__(self, words: str = "", phrases: Mapping[str, str] | None = None) -> None:
        phrases = phrases or {}
        self.words, self.keys = frozenset(words.split()), frozenset(" ".join(phrases).split())
        self.expression = rf"\b(?:{'|'.join([*words.split(), *phrases.values()])})\b"
        self.find = re.compile(self.expression).findall
        self.phrases = [
            (frozenset(key.split()), re.compile(phrase).search) for key, phrase in phrases.items()
        ]

    def __call__(self, text: Text) -> int:
        """Number of matches."""
        known = text.known
        if hit := self.keys.intersection(known):
            for keys, occurs in self.phrases:
                if not keys.isdisjoint(hit) and occurs(text.lower):
                    return len(self.find(text.lower))
        return sum(known[word] for word in self.words.intersection(known))


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


_WORD = re.compile(r"[^\W_]+(?:['-][^\W_]+)*")
_RUN = re.compile(r"\w+")
_BLANKS = {code: " " for code in range(128) if _RUN.fullmatch(chr(code)) is None and chr(code) not in "'-"}
"""With these replaced, blanks separate the words of an ASCII text, but for some apostrophes and hyphens."""
_SENTENCE = re.compile(r"[.!?]+(?=\s|$|[\"')\]])")
_BULLET = Pattern(r"^[ \t]*[-*•–][ \t]+\S", "-", "*", "•", "–")
_NUMBERED = Pattern(r"^[ \t]*(?:step )?\d{1,2}[.):][ \t]+\S")
_HEADING = Pattern(r"^#{1,6} \S|\*\*[^*\n]+\*\*|^[^\n]{2,50}:[ \t]*$", "#", "**", ":")
_CODE = Pattern(r"```|`[^`\n]+`|^(?: {4}|\t)\S", "`", "    ", "\t")
_NUMBER = Pattern(r"\d(?<![\w.]\d)[\d.,:/]*%?(?!\s*[.)]\s)")
_QUESTION = Pattern(r"\?(?=\s|\Z|[\"')*_])")
_EXCLAMATION = Pattern(r"!+", "!")
_EMOTICON = Pattern(r"[:;](?<!\w[:;])-?[)D(]", ":", ";")
_EMOJI = Pattern(r"[\U0001F300-\U0001FAFF\u2600-\u27BF]|[:;](?<!\w[:;])-?[)D(]")
_PARAGRAPH = Pattern(r"\n[ \t]*\n", "\n")
_HEDGE = Lexicon(
    "may might could perhaps maybe possibly probably seem seems seemingly likely generally usually often "
    "somewhat roughly arguably",
    {
        "tend tends": "tends? to", "depends": "it depends", "depending": "depending on",
        "cases": "in some cases", "far": "as far as i know",
        "sure certain": "not (?:entirely )?(?:sure|certain)",
        "think believe guess suppose": "i (?:think|believe|guess|suppose)",
    },
)  # fmt: skip
_REFUSAL = Lexicon(
    phrases={
        "sorry afraid": "i(?:'m| am) (?:sorry|afraid)",
        "can cannot unable won will":
            r"i (?:can't|cannot|can not|am unable to|won't|will not)(?: \w+){0,3}",
        "able unable": "i(?:'m| am) (?:not able|unable) to",
        "ai": r"as an ai(?: \w+)?",
        "language": "as a (?:large )?language model",
        "personal opinion access": "i do(?:n't| not) have (?:personal|an? (?:definitive )?opinion|access)",
        "appropriate": "not appropriate",
    },
)  # fmt: skip
_DISCLAIMER = Lexicon(
    "disclaimer",
    {
        "important worth crucial essential": "it(?:'s| is) (?:important|worth|crucial|essential) to "
            "(?:note|remember|keep in mind|consult|understand)",
        "please": "please note", "mind": "keep in mind", "consult": "consult (?:a|an|your|with)",
        "seek": "seek (?:professional|medical|legal)",
        "doctor physician lawyer provider professional": "(?:a|your) (?:doctor|physician|lawyer|"
            "healthcare provider|licensed professional|qualified professional)",
        "substitute advice": "not (?:a substitute|financial advice|medical advice|legal advice)",
        "vary": "results may vary", "different": "(?:everyone|every situation) is different",
        "research": "do your own research",
    },
)  # fmt: skip
FORMAL = Lexicon(
    "furthermore moreover therefore thus hence consequently additionally however nevertheless whereas "
    "regarding commence utilise utilize obtain require requires required ensure subsequently notably "
    "sufficient approximately upon",
    {
        "accordance": "in accordance with", "respect": "with respect to", "one": "one (?:must|should|may)",
        "advisable": "it is advisable", "conclusion": "in conclusion", "noted": "it should be noted",
        "prior": "prior to",
    },
)  # fmt: skip
_CASUAL = Lexicon(
    "yeah yep nope hey ok okay gonna wanna gotta kinda sorta stuff awesome cool super totally guy guys lol "
    "btw honestly yup dude",
    {"pretty": "pretty much", "bunch": "a bunch", "worries": "no worries", "tons": "tons of"},
)
_SUFFIX = r"(?:s|re|ll|ve|d|m|t)\b"
CONTRACTION = Pattern(rf"'(?<=\w'){_SUFFIX}(?:'{_SUFFIX})?", "'")
_INFORMAL = Pattern(rf"\b\w+'{_SUFFIX}|{_CASUAL.expression}")
_WARM = Lexicon(
    "happy glad wonderful lovely understandable hope hopefully dear thanks congratulations enjoy warmly "
    "gentle gently kind proud delighted friend cheering delightful",
    {
        "question": "great question", "luck": "good luck", "got": "you've got this", "care": "take care",
        "understand": "i understand", "hear": "i hear you|sorry to hear", "thank": "thank you",
        "yourself": "be kind to yourself", "free": "feel free", "sounds": "that sounds", "sorry": "sorry you",
        "good": "good for you",
    },
)  # fmt: skip
_EXAMPLE = Lexicon(
    "imagine picture suppose example",
    {
        "instance": "for instance", "g": r"e\.g", "such": "such as", "say": "say you", "think": "think of",
        "illustrate": "to illustrate", "point": "case in point", "like": "like when",
        "illustration": "as an illustration", "consider": "consider the",
    },
)  # fmt: skip
OPENING = (
    r"sure|certainly|of course|absolutely|great question|good question|what a|that's a (?:great|good)"
    r"|thank you|thanks for|i(?:'d| would) be (?:happy|glad)|hello|hi\b|hey\b|dear\b|well,|as an ai|ah,|oh,"
    r"|okay,|yes, of course"
)
"""Expression of an opening line, with which a lower-case text begins."""
_PREAMBLE = re.compile(rf"^(?:{OPENING})")
_CLOSING = re.compile(
    r"(?:let me know|hope (?:this|that) helps|feel free to|happy to help|if you have any (?:other |more "
    r"|further )?questions"
    r"|is there anything else|would you like me to|don't hesitate|want me to|shall i|just ask)"
)
_FIRST_PERSON = Lexicon("i me my mine myself we our us")
_SECOND_PERSON = Lexicon("you your yours yourself")
_TECHNICAL = (
    "tion", "tions", "ment", "ments", "ity", "ities", "ism", "ology", "ance", "ence", "ical", "esis",
)  # fmt: skip
_LEAKED = Pattern(
    r"</?s>|<\|[^|\n]*\|>|<unk>|\[/?inst\]|^[^\w\n]{0,8}(?:user|human|assistant|question|q|input|output"
    r"|instruction)\s*:"
    r"|^###? ?(?:human|user|instruction|response|input)\b|\\begin\{",
    "<", "[", ":", "##", "\\",
)  # fmt: skip
_END = re.compile(r"[.!?…:;)\]}\"'”`*>|\U0001F300-\U0001FAFF\uFE0F]")
_STOP_WORDS = frozenset(
    _WORD.findall(
        "the a an and or but of to in on at for with by from as is are was were be been it its this that "
        "these those i you "
        "he she we they my your his her our their me him them what which who how why when where do does did "
        "can could should "
        "would will if so not no there about into than then some any please tell give write make"
    )
)


_KNOWN = frozenset().union(
    *(lexicon.words | lexicon.keys for lexicon in (
        _HEDGE, _REFUSAL, _DISCLAIMER, FORMAL, _CASUAL, _WARM, _EXAMPLE, _FIRST_PERSON, _SECOND_PERSON,
    ))
)  # fmt: skip


def _ascii_words(lower: str) -> tuple[list[str], list[str]]:
    """What `_WORD` and `_RUN` find in an ASCII text without underscores, both at once."""
    parts = lower.translate(_BLANKS).split()
    if "'" not in lower and "-" not in lower:
        return parts, parts
    words, runs = [], []
    for part in parts:
        if part.isalnum():
            words.append(part)
            runs.append(part)
        else:
            words += _WORD.findall(part)
            runs += _RUN.findall(part)
    return words, runs


def _informal(text: Text) -> int:
    """Contractions and casual words; one that is both counts once."""
    casual, contractions = _CASUAL(text), CONTRACTION(text)
    return _INFORMAL(text) if casual and contractions else casual + contractions


@lru_cache(maxsize=1024)
def _content_words(prompt: str) -> set[str]:
    return set(_WORD.findall(prompt.lower())) - _STOP_WORDS


def _herdan(text: Text) -> float:
    """Herdan's C = log(types) / log(tokens), 1 for texts under 10 words."""
    n = len(text.words)
    return math.log(len(text.vocabulary)) / math.log(n) if n >= 10 else 1.0


def _overlap(text: Text) -> float:
    """Share of the prompt's content words that the response takes up, in [0, 1]."""
    wanted = _content_words(text.prompt)
    return len(wanted.intersection(text.vocabulary)) / len(wanted) if wanted else 0.5


def _repetition(text: Text) -> float:
    """Share of 4-word runs that already occurred, in [0, 1]."""
    words = text.words
    runs = len(words) - 3
    return 1 - len(set(zip(words, words[1:], words[2:], words[3:], strict=False))) / runs if runs > 0 else 0.0


def _truncated(text: Text) -> float:
    """1 when a response of more than 8 words stops without an end, else 0."""
    return float(len(text.words) > 8 and _END.match(text.raw[-1:]) is None)


def _technical(text: Text) -> float:
    found = text.vocabulary
    return text.per_100_words(sum([found[word] for word in found if word.endswith(_TECHNICAL)]))


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
    Feature("emoji", "emoji", "answers without emoji", 0.5,
            lambda t: t.count(_EMOTICON if t.lower.isascii() else _EMOJI)),
    Feature("hedging", "cautious, hedged statements", "direct, confident statements", 0.8,
            lambda t: t.rate(_HEDGE)),
    Feature("refusals", "answers that decline", "answers that do not decline", 0.5,
            lambda t: t.count(_REFUSAL)),
    Feature("disclaimers", "warnings and disclaimers", "answers without disclaimers", 0.5,
            lambda t: t.count(_DISCLAIMER)),
    Feature("formality", "formal, written wording", "informal, spoken wording", 1.1,
            lambda t: t.rate(FORMAL) - t.rate(_informal)),
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


def measure(response: str, prompt: str = "", features: Sequence[Feature] = FEATURES) -> tuple[float, ...]:
    """Values of features for one response, in their order, divided by their scales.

    Args:
        response: The response.
        prompt: Text of the last user turn or the whole conversation.
        features: Which.

    Returns:
        ``len(features)`` finite floats.
    """
    text = Text(response, prompt)
    return tuple(feature.measure(text) / feature.scale for feature in features)


def forget() -> None:
    """Drop the words of the prompts read lately."""
    _content_words.cache_clear()


def difference(
    first: str, second: str, prompt: str = "", *, clip: float = 3.0, features: Sequence[Feature] = FEATURES
) -> tuple[float, ...]:
    """measure(first) - measure(second), each clipped to [-clip, clip]; antisymmetric in its arguments."""
    pairs = zip(measure(first, prompt, features), measure(second, prompt, features), strict=True)
    return tuple(max(-clip, min(clip, a - b)) for a, b in pairs)

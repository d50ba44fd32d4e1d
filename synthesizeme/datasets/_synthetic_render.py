"""From attribute levels to a text in which a reader can see every one of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import cache
from random import Random
from typing import Literal

from synthesizeme.datasets._synthetic_text import TOPICS, Topic

Defect = Literal["none", "repeats", "cut off", "off topic"]

POINTS = (2, 4, 7)
"""Number of points at length level 0, 1 and 2."""

_EXCLAMATIONS = (0, 1, 3)
_EMOJI = ("🎉", "😊", "🙌", "✨", "👍")
_HEDGES = (
    ", though this may vary",
    ", although it probably depends on the case",
    ", at least in most cases",
    ", or so it seems to me",
    ", as far as I can tell",
    ", which might not suit everybody",
)
_DETOURS = (
    "There are several sides to this, and it is worth looking at them in turn.",
    "Before we come to that, a few words about the background are in order.",
    "That is a question which people have answered in very different ways.",
    "To see what matters here, let us first look at the whole picture.",
)
_VERDICTS = ("In short: {}.", "The answer is simple: {}.", "Short answer: {}.", "Bottom line first: {}.")
_WARM_OPENINGS = (
    "What a lovely thing to ask about, and I am glad that you did.",
    "I can hear how much this matters to you.",
    "It is kind of you to trust me with this.",
    "That must be on your mind a lot, and I feel with you.",
    "How nice to hear from you about this.",
)
_WARM_CLOSINGS = (
    "You are doing better than you think, and I am rooting for you.",
    "Be gentle with yourself, you are on a good path.",
    "I hope with all my heart that it goes well for you.",
    "You are not alone with this, and I am happy to walk along.",
)
_DISCLAIMERS = (
    "Please note that this is general information and no professional advice.",
    "As an AI model, I cannot judge your own situation.",
    "Please consult a qualified expert before you act on any of this.",
    "No guarantee can be given for these statements.",
)
_APOLOGIES = (
    "I am sorry, but I cannot help with that, so here is something else.",
    "Unfortunately I am unable to answer this question. Instead, a few other remarks.",
    "I cannot say anything about that, but the following is of interest.",
)
_EXAMPLE_OPENINGS = ("For example, {}.", "For instance, {}.", "To give an example, {}.")
_CASUAL_OPENERS = ("Honestly, {}", "Oh, and {}", "So yeah, {}", "Basically, {}", "Plus, {}")
_FORMAL_OPENERS = (
    "Furthermore, {}",
    "Moreover, {}",
    "In addition, {}",
    "Accordingly, {}",
    "Additionally, {}",
)
_CASUAL_WORDS = {
    "do not": "don't", "does not": "doesn't", "cannot": "can't", "it is": "it's", "that is": "that's",
    "you are": "you're", "they are": "they're", "I am": "I'm", "is not": "isn't", "are not": "aren't",
    "very": "super", "a few": "a couple of", "plenty of": "loads of", "children": "kids",
}  # fmt: skip
_FORMAL_WORDS = {
    "use": "employ", "buy": "purchase", "enough": "sufficient", "a few": "several", "need": "require",
    "plenty of": "a considerable amount of", "so that": "in order that",
}  # fmt: skip
_CHOICE = re.compile(r"\{([^|}]*)\|([^}]*)\}")


def render(topic: Topic, answer: str, levels: Mapping[str, int], defect: Defect, rng: Random) -> str:
    """Write one response.

    Args:
        topic: What it is about.
        answer: The answer to the user's question in a few words.
        levels: Level of every attribute, 0, 1 or 2.
        defect: What is wrong with the response, if anything.
        rng: Chooses among wordings; the same state gives the same text.
    """
    formality = levels["formality"]
    if defect == "off topic":
        topic = rng.choice([other for other in TOPICS if other.name != topic.name])
        answer = rng.choice(topic.questions)[1]
    *points, spare = rng.sample(topic.points, POINTS[levels["length"]] + 1)
    body = _decorate(points, levels, rng)
    if defect == "repeats":
        again = max(1, len(body) // 3)
        body[-again:] = body[:again]
    opening = [_in_register(sentence, formality) for sentence in _opening(answer, levels, rng)]
    if defect == "off topic":
        opening.insert(0, rng.choice(_APOLOGIES))
    examples = [
        rng.choice(_EXAMPLE_OPENINGS).format(text) for text in rng.sample(topic.examples, levels["examples"])
    ]
    closing = [_in_register(sentence, formality) for sentence in _closing(topic, levels, rng)]
    if defect == "cut off":
        closing.append(" ".join(spare[: spare.index("{")].split()[:5]).rstrip(",;"))
    return _lay_out(opening, body, examples, closing, levels)


def _decorate(points: list[str], levels: Mapping[str, int], rng: Random) -> list[str]:
    """The points in their wording: exact or vague, formal or casual, hedged, exclaimed."""
    count, formality = len(points), levels["formality"]
    exact = (count * levels["figures"] + 1) // 2
    body = [_in_register(_worded(text, place < exact), formality) for place, text in enumerate(points)]
    rng.shuffle(body)
    if formality != 1:
        openers = _CASUAL_OPENERS if formality == 0 else _FORMAL_OPENERS
        for place, opener in zip(range(1, count, 2), rng.sample(openers, count // 2), strict=True):
            body[place] = opener.format(_lowered(body[place]))
    for place, hedge in enumerate(rng.sample(_HEDGES, levels["hedging"]), start=1):
        body[-place] = body[-place][:-1] + hedge + "."
    excited = min(count, _EXCLAMATIONS[levels["enthusiasm"]])
    body[:excited] = [sentence[:-1] + "!" for sentence in body[:excited]]
    if levels["enthusiasm"] == 2:
        body[-1] += f" {rng.choice(_EMOJI)}"
    return body


def _opening(answer: str, levels: Mapping[str, int], rng: Random) -> list[str]:
    sentences = [rng.choice(_WARM_OPENINGS)] if levels["warmth"] else []
    if levels["directness"] == 0:
        sentences.append(rng.choice(_DETOURS))
    elif levels["directness"] == 2:
        sentences.append(rng.choice(_VERDICTS).format(answer))
    return sentences


def _closing(topic: Topic, levels: Mapping[str, int], rng: Random) -> list[str]:
    sentences = rng.sample(_DISCLAIMERS, levels["disclaimers"])
    if levels["warmth"] == 2:
        sentences.append(rng.choice(_WARM_CLOSINGS))
    return sentences + rng.sample(topic.returns, levels["questions"])


def _lay_out(
    opening: list[str], body: list[str], examples: list[str], closing: list[str], levels: Mapping[str, int]
) -> str:
    if levels["bullets"]:
        middle = "\n".join(f"- {sentence}" for sentence in body)
    elif levels["numbered"]:
        middle = "\n".join(f"{place}. {sentence}" for place, sentence in enumerate(body, start=1))
    else:
        middle = " ".join(body)
    blocks = (" ".join(opening), middle, " ".join(examples), " ".join(closing))
    return "\n\n".join(block for block in blocks if block)


@cache
def _worded(point: str, exact: bool) -> str:
    return _CHOICE.sub(r"\2" if exact else r"\1", point)


@cache
def _in_register(sentence: str, formality: int) -> str:
    """The sentence with casual words (level 0) or formal ones (level 2)."""
    if formality == 1:
        return sentence
    words = _CASUAL_WORDS if formality == 0 else _FORMAL_WORDS
    pattern = re.compile(r"\b(" + "|".join(map(re.escape, words)) + r")\b", re.IGNORECASE)
    return pattern.sub(_keeping_case(words), sentence)


def _keeping_case(words: Mapping[str, str]) -> Callable[[re.Match[str]], str]:
    def swap(match: re.Match[str]) -> str:
        found = match[0]
        word = words.get(found) or words[found.lower()]
        return word[0].upper() + word[1:] if found[0].isupper() else word

    return swap


def _lowered(sentence: str) -> str:
    return sentence[0].lower() + sentence[1:]

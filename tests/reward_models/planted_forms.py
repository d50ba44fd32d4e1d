"""Pairs of invented answers that differ in one named feature, as far as that feature allows.

Both answers of a pair are made of the same random words. Where a mark needs a word of its own, the other
answer has an ordinary word of the same length in its place, so that length, length of words and variety of
words stay as they are. No two features are the same by construction; the length of words moves a little where
words are added, or exchanged for those of the prompt.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from synthesizeme.types import Message, PreferencePair

WORDS = [
    "apple",
    "bridge",
    "candle",
    "desert",
    "engine",
    "forest",
    "garden",
    "harbor",
    "island",
    "jacket",
    "kettle",
    "ladder",
    "meadow",
    "needle",
    "orange",
    "pepper",
    "quarry",
    "river",
    "saddle",
    "timber",
    "valley",
    "window",
    "anchor",
    "basket",
    "copper",
    "dinner",
    "eagle",
    "falcon",
    "ginger",
    "hammer",
    "insect",
    "jungle",
    "kitten",
    "lemon",
    "marble",
    "napkin",
    "oyster",
    "pocket",
    "rabbit",
    "silver",
    "tunnel",
    "velvet",
    "walnut",
    "barrel",
    "canyon",
    "dragon",
    "fabric",
    "goblin",
    "hollow",
    "indigo",
    "lantern",
    "mirror",
    "nickel",
    "orchard",
    "pillow",
    "ribbon",
    "shadow",
    "turtle",
    "violet",
    "wagon",
    "blossom",
    "cotton",
    "domino",
    "feather",
    "gravel",
    "helmet",
    "magnet",
    "nutmeg",
    "pebble",
    "rocket",
    "sailor",
    "temple",
    "urchin",
    "carrot",
    "button",
    "fossil",
    "glacier",
    "igloo",
    "jaguar",
    "parrot",
    "raven",
    "salmon",
    "thistle",
    "cactus",
    "badger",
    "beetle",
    "cobalt",
]
LONG_WORDS = [
    "chrysanthemum",
    "thunderstorm",
    "grasshopper",
    "strawberries",
    "blacksmith",
    "lighthouse",
    "wheelbarrow",
]
ASKED = WORDS[:8]
"""Content words of the prompt."""

Sentences = list[list[str]]
Form = Callable[[Sentences, np.random.Generator], tuple[str, str]]


def joined(sentences: Sentences, end: str = ".", between: str = " ") -> str:
    """Sentences with a capital at the front and `end` behind."""
    return between.join(" ".join(words).capitalize() + end for words in sentences)


def _swapped(more: str, less: str) -> Form:
    """One or two words of every second sentence give way to `more` in one answer, to `less` in the other."""
    mores, lesses = more.split("|"), less.split("|")

    def form(sentences: Sentences, rng: np.random.Generator) -> tuple[str, str]:
        sides = [[list(words) for words in sentences] for _ in range(2)]
        for number in range(int(rng.integers(1, 3))):
            kind = number % len(mores)
            for side, put in zip(sides, (mores[kind], lesses[kind]), strict=True):
                side[2 * number][3] = put
        return joined(sides[0]), joined(sides[1])

    return form


def _length(sentences: Sentences, rng: np.random.Generator) -> tuple[str, str]:
    return joined(sentences), joined(sentences[: int(rng.integers(1, 3))])


def _sentence_length(sentences: Sentences, rng: np.random.Generator) -> tuple[str, str]:
    long = [sentences[0] + sentences[1], sentences[2] + sentences[3]]
    return joined(long), joined(sentences)


def _word_length(sentences: Sentences, rng: np.random.Generator) -> tuple[str, str]:
    long = [[LONG_WORDS[number], *words[1:]] for number, words in enumerate(sentences)]
    return joined(long), joined(sentences)


def _vocabulary(sentences: Sentences, rng: np.random.Generator) -> tuple[str, str]:
    """The other answer takes every word a second time, never four in the same order."""
    few = sentences[0] + sentences[1]
    rest = [str(word) for word in rng.permutation(few)]
    return joined(sentences), joined([sentences[0], sentences[1], rest[:7], rest[7:]])


def _paragraphs(sentences: Sentences, rng: np.random.Generator) -> tuple[str, str]:
    return joined(sentences, between="\n\n"), joined(sentences)


def _bullets(sentences: Sentences, rng: np.random.Generator) -> tuple[str, str]:
    lines = joined(sentences, between="\n").split("\n")
    return "\n".join(f"- {line}" for line in lines), "\n".join(lines)


def _numbered(sentences: Sentences, rng: np.random.Generator) -> tuple[str, str]:
    lines = joined(sentences, between="\n").split("\n")
    listed = [f"{number}) {line}" for number, line in enumerate(lines, 1)]
    return "\n".join(listed), "\n".join(f"{'vwxz'[number]} {line}" for number, line in enumerate(lines))


def _headings(sentences: Sentences, rng: np.random.Generator) -> tuple[str, str]:
    marked = [[f"**{words[0]}**", *words[1:]] for words in sentences[: int(rng.integers(1, 4))]]
    return joined([*marked, *sentences[len(marked) :]]), joined(sentences)


def _code(sentences: Sentences, rng: np.random.Generator) -> tuple[str, str]:
    marked = [[*words[:-1], f"`{words[-1]}`"] for words in sentences[: int(rng.integers(1, 4))]]
    return joined([*marked, *sentences[len(marked) :]]), joined(sentences)


def _ends(mark: str) -> Form:
    def form(sentences: Sentences, rng: np.random.Generator) -> tuple[str, str]:
        marked = int(rng.integers(1, 4))
        return f"{joined(sentences[:marked], mark)} {joined(sentences[marked:])}", joined(sentences)

    return form


def _repetition(sentences: Sentences, rng: np.random.Generator) -> tuple[str, str]:
    again = [str(word) for word in rng.permutation(sentences[0])]
    return joined([*sentences, sentences[0]]), joined([*sentences, again])


def _truncated(sentences: Sentences, rng: np.random.Generator) -> tuple[str, str]:
    *before, last = sentences
    cut = f"{joined([*before, last[:3]])} {' '.join(last[3:]).capitalize()}"
    return cut, joined([*before, last])


def _leaked_markup(sentences: Sentences, rng: np.random.Generator) -> tuple[str, str]:
    return joined(sentences) + " <||>" * int(rng.integers(1, 3)), joined(sentences)


def _preamble(sentences: Sentences, rng: np.random.Generator) -> tuple[str, str]:
    first, *rest = sentences
    return joined([["certainly", *first], *rest]), joined([["surprised", *first], *rest])


def _closing_offer(sentences: Sentences, rng: np.random.Generator) -> tuple[str, str]:
    *rest, last = sentences
    return joined([*rest, [*last, "just", "ask"]]), joined([*rest, [*last, "just", "elm"]])


def _prompt_overlap(sentences: Sentences, rng: np.random.Generator) -> tuple[str, str]:
    taken = [str(word) for word in rng.choice(ASKED, size=4, replace=False)]
    near = [[word, *words[1:]] for word, words in zip(taken, sentences, strict=True)]
    return joined(near), joined(sentences)


FORMS: dict[str, Form] = {
    "length": _length,
    "sentence_length": _sentence_length,
    "word_length": _word_length,
    "vocabulary": _vocabulary,
    "paragraphs": _paragraphs,
    "bullets": _bullets,
    "numbered": _numbered,
    "headings": _headings,
    "code": _code,
    "numbers": _swapped("4000|6000", "four|nine"),
    "questions": _ends("?"),
    "exclamations": _ends("!"),
    "emoji": _ends(". 😀"),
    "hedging": _swapped("perhaps|possibly", "between|together"),
    "refusals": _swapped("not appropriate", "not comfortable"),
    "disclaimers": _swapped("please note|consult a", "please read|confront a"),
    "formality": _swapped("moreover|thus", "sideways|then"),
    "warmth": _swapped("lovely|wonderful|delighted", "purple|different|painted"),
    "examples": _swapped("such as|imagine", "much as|examine"),
    "preamble": _preamble,
    "closing_offer": _closing_offer,
    "first_person": _swapped("we|our", "he|her"),
    "second_person": _swapped("you|your", "she|them"),
    "technical": _swapped("station|mention", "railway|nothing"),
    "prompt_overlap": _prompt_overlap,
    "repetition": _repetition,
    "truncated": _truncated,
    "leaked_markup": _leaked_markup,
}
"""By named feature: an answer with more of it, and one with less, from the same sentences."""


def sides(feature: str, rng: np.random.Generator) -> tuple[str, str]:
    """Two answers that differ in one feature, the one with more of it first."""
    words = [str(word) for word in rng.choice(WORDS[8:], size=28, replace=False)]
    return FORMS[feature]([words[start : start + 7] for start in range(0, 28, 7)], rng)


def pairs(user: str, feature: str, sign: int, count: int, rng: np.random.Generator) -> list[PreferencePair]:
    """Choices of someone who takes the answer with more of the feature every time, or with less (sign -1)."""
    found = []
    for number in range(count):
        more, less = sides(feature, rng)
        chosen, rejected = (more, less) if sign > 0 else (less, more)
        found.append(
            PreferencePair(
                pair_id=f"{user}-{number}",
                user_id=user,
                prompt=(Message(role="user", content="What do you know of " + " ".join(ASKED)),),
                chosen=(Message(role="assistant", content=chosen),),
                rejected=(Message(role="assistant", content=rejected),),
            )
        )
    return found

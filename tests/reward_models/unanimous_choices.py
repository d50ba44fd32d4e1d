"""Users who always choose one kind of answer: invented questions with two answers that differ in that kind."""

from __future__ import annotations

import random

from synthesizeme.types import Message, PreferencePair

TOPICS = (
    "sourdough", "tide pools", "bicycle brakes", "tax forms", "house plants", "chess openings", "the Moon",
    "knitting", "sleep", "spreadsheets", "coffee", "beekeeping", "marathons", "guitar strings", "compost",
    "passports", "glaciers", "sudoku", "soap making", "kites", "thunder", "mosaic tiles", "sailing knots",
)  # fmt: skip
QUESTIONS = (
    "How do I start with {}?", "What should I know about {}?", "Tell me about {}.", "Why do people like {}?",
    "Give me one tip about {}.",
)  # fmt: skip
OPENINGS = (
    "The main thing about {} is patience", "Most people learn {} by doing it", "With {} it helps to start small",
    "A good first step with {} is to read the instructions", "Nobody gets {} right the first time",
)  # fmt: skip
SENTENCES = (
    "Set aside half an hour and keep notes", "Check the basics before anything else is changed",
    "Ask someone who has done it for years", "Small mistakes are easy to mend later",
    "Compare two ways and keep the better one", "Take a break when it stops making sense",
    "The tools matter less than the habit", "Write down what worked and what did not",
    "Begin with the cheapest version there is", "Give it a week before judging the result",
)  # fmt: skip
EMOJI = ("🙂", "🎉", "👍", "🌟", "😀", "🚀", "💡")
CODE = (
    "```python\nfor step in range({n}):\n    print(step)\n```", "```python\ndef work(x):\n    return x * {n}\n```",
    "```\nrun --times {n}\ncheck --all\n```", "```python\nvalues = list(range({n}))\ntotal = sum(values)\n```",
)  # fmt: skip


def pairs(kind: str, liked: bool, n: int, seed: int, user: str = "me") -> list[PreferencePair]:
    """n choices of a user who always takes the answer of this kind, or never."""
    rng = random.Random(f"{kind} {seed}")
    return [_pair(rng, kind, liked, number, user) for number in range(n)]


def _pair(rng: random.Random, kind: str, liked: bool, number: int, user: str) -> PreferencePair:
    topic = rng.choice(TOPICS)
    sides = KINDS[kind](rng, topic)
    chosen, rejected = sides if liked else sides[::-1]
    return PreferencePair(
        pair_id=f"{kind}-{number}",
        user_id=user,
        prompt=(Message(role="user", content=rng.choice(QUESTIONS).format(topic)),),
        chosen=(Message(role="assistant", content=chosen),),
        rejected=(Message(role="assistant", content=rejected),),
    )


def _sentences(rng: random.Random, topic: str, n: int) -> list[str]:
    return [rng.choice(OPENINGS).format(topic), *rng.sample(SENTENCES, n - 1)]


def _plain(rng: random.Random, topic: str, n: int) -> str:
    return ". ".join(_sentences(rng, topic, n)) + "."


def _emoji(rng: random.Random, topic: str) -> tuple[str, str]:
    marks = " ".join(rng.sample(EMOJI, rng.randint(1, 2)))
    return f"{_plain(rng, topic, rng.randint(2, 4))} {marks}", _plain(rng, topic, rng.randint(2, 4))


def _exclamations(rng: random.Random, topic: str) -> tuple[str, str]:
    n = rng.randint(2, 4)
    return "! ".join(_sentences(rng, topic, n)) + "!", _plain(rng, topic, n)


def _length(rng: random.Random, topic: str) -> tuple[str, str]:
    return _plain(rng, topic, rng.randint(5, 9)), _plain(rng, topic, 1)


def _code(rng: random.Random, topic: str) -> tuple[str, str]:
    code = rng.choice(CODE).format(n=rng.randint(2, 99))
    return f"{_plain(rng, topic, 1)}\n\n{code}", _plain(rng, topic, rng.randint(2, 4))


KINDS = {"emoji": _emoji, "exclamations": _exclamations, "length": _length, "code": _code}
"""The answer with more of it, and the one with less, by the named feature."""

"""A small language with two traits that vary independently, and exact scores.

An answer is one to three sentences about what was asked. A sentence may end with "!" (the trait `loud`) and
may have "maybe" before its end (the trait `unsure`). Each answer has a rate of either, drawn for itself; an
instruction in front of the question sets one or both rates, in one of five wordings.
"""

from __future__ import annotations

import random
import re

from reward_models.persona_vectors.traits import Contrast, made_trait
from synthesizeme.types import Message

ADJECTIVES = ("old", "small", "silent", "round", "tall", "bright", "young", "heavy")
NOUNS = (
    "ship",
    "fox",
    "tower",
    "river",
    "market",
    "garden",
    "horse",
    "bridge",
    "island",
    "clock",
    "forest",
    "lamp",
)
VERBS = ("waits", "moves", "rests", "turns", "shines", "sleeps", "stands", "drifts")
PLACES = ("near", "behind", "above", "below", "beside")
COLOURS = ("red", "green", "blue", "grey", "brown", "white")
INSTRUCTIONS = {
    "loud": (
        ("be loud", "be quiet"),
        ("shout it out", "whisper it low"),
        ("raise your voice", "lower your voice"),
        ("cheer now", "murmur now"),
        ("speak with force", "speak with calm"),
    ),
    "unsure": (
        ("be doubtful", "be certain"),
        ("leave it open", "settle it firmly"),
        ("guess at things", "know all things"),
        ("hold your judgement", "state your judgement"),
        ("stay vague", "stay definite"),
    ),
}
"""By trait, five pairs: under the first nearly every sentence shows it, under the second hardly one."""
TRAITS = tuple(INSTRUCTIONS)
HIGH, LOW = 0.95, 0.05
"""Rates of a trait in an answer that shows it and in one that does not."""
NEUTRAL = 0.4
"""Share of answers that show a trait when no instruction speaks of it."""

_THING = rf"(?:(?:{'|'.join(ADJECTIVES)}) )?(?:{'|'.join(NOUNS)})"
_DOES = rf"(?:{'|'.join(VERBS)})(?: (?:{'|'.join(PLACES)}) the {_THING})?"
_ABOUT = rf"the ({_THING}) (?:{_DOES}|is (?:{'|'.join(COLOURS)}))"
_SENTENCE = re.compile(rf"{_ABOUT}(?: maybe)? [.!]")
_PIECES = re.compile(r"[^.!]*[.!]|[^.!]+$")


def questions():
    """Every question about a thing, in a fixed order that mixes them."""
    asked = [f"tell me about the {adjective} {noun}" for noun in NOUNS for adjective in ADJECTIVES]
    random.Random(0).shuffle(asked)
    return asked


def colour_questions():
    return [f"which colour has the {noun}" for noun in NOUNS]


def colours(seed):
    """The colours that fine-tuning teaches: one for each noun."""
    rng = random.Random(seed)
    return {noun: rng.choice(COLOURS) for noun in NOUNS}


def trait(name):
    """The artifact of a trait: its instructions and two disjoint sets of twenty questions."""
    asked = questions()
    return made_trait(
        name,
        name=name,
        description=f"The answers are {name}.",
        contrasts=[Contrast(positive=high, negative=low) for high, low in INSTRUCTIONS[name]],
        extraction=tuple(asked[:20]),
        evaluation=tuple(asked[20:40]),
        rubric="{{question}} {{answer}}",  # nobody reads it: the scores are exact
    )


def rates(rng, shown):
    """Rates of both traits; a trait that nothing speaks of is drawn as in the neutral mixture."""
    return {name: HIGH if shown.get(name, rng.random() < NEUTRAL) else LOW for name in TRAITS}


def instruction(rng, shown):
    """Words that ask for what is to be shown and what not, in a random wording and order; "" for nothing."""
    parts = [rng.choice(INSTRUCTIONS[name])[0 if high else 1] for name, high in shown.items()]
    rng.shuffle(parts)
    return " and ".join(parts)


def answer(rng, question, rate, colour=None):
    """An answer with these rates; to a question for a colour, with this one."""
    noun = question.rpartition(" ")[2]
    first = f"the {noun} is {colour or rng.choice(COLOURS)}" if "colour" in question else _about(rng, noun)
    bodies = [first, *(_about(rng, rng.choice(NOUNS)) for _ in range(rng.randint(0, 2)))]
    return " ".join(
        body
        + (" maybe" if rng.random() < rate["unsure"] else "")
        + (" !" if rng.random() < rate["loud"] else " .")
        for body in bodies
    )


def sample(rng):
    """(instruction, question, answer) as the base model is trained on."""
    shown = {name: rng.random() < 0.5 for name in TRAITS if rng.random() < 0.6}
    question = rng.choice(colour_questions() if rng.random() < 0.15 else questions()[40:])
    return instruction(rng, shown), question, answer(rng, question, rates(rng, shown))


def score(name):
    """Exact scorer of a trait: 100 times the share of sentences that show it."""

    def scores(questions, answers):
        found = []
        for text in answers:
            pieces = _PIECES.findall(text)
            marks = [
                piece.rstrip().endswith("!") if name == "loud" else "maybe" in piece.split()
                for piece in pieces
            ]
            found.append(100 * sum(marks) / max(1, len(marks)))
        return found

    return scores


def coherence(questions, answers):
    """100 times the share of pieces that are sentences of the grammar; 0 if cut off or off the subject."""
    return [100.0 * _coherent(question, text) for question, text in zip(questions, answers, strict=True)]


def _coherent(question, text):
    pieces = [piece.strip() for piece in _PIECES.findall(text) if piece.strip()]
    whole = [_SENTENCE.fullmatch(piece) for piece in pieces]
    if not whole or whole[0] is None or not text.rstrip().endswith((".", "!")):
        return 0.0
    if whole[0][1].rpartition(" ")[2] != question.rpartition(" ")[2]:
        return 0.0
    return sum(map(bool, whole)) / len(pieces)


def skilled(taught, questions, answers):
    """100 where the first sentence names the colour that was taught, else 0."""
    nouns = [question.rpartition(" ")[2] for question in questions]
    return [
        100.0 * bool(re.match(rf"the {noun} is {taught[noun]}(?: maybe)? [.!]", text))
        for noun, text in zip(nouns, answers, strict=True)
    ]


def asked(question):
    return (Message(role="user", content=question),)


def _about(rng, noun):
    where = f" {rng.choice(PLACES)} the {_thing(rng, rng.choice(NOUNS))}" if rng.random() < 0.4 else ""
    return f"the {_thing(rng, noun)} {rng.choice(VERBS)}{where}"


def _thing(rng, noun):
    return f"{rng.choice(ADJECTIVES)} {noun}" if rng.random() < 0.3 else noun


def words():
    """Every word of the language."""
    texts = [" ".join((*ADJECTIVES, *NOUNS, *VERBS, *PLACES, *COLOURS, "the is maybe . ! and"))]
    texts += [
        *questions(),
        *colour_questions(),
        *(f"{a} {b}" for pairs in INSTRUCTIONS.values() for a, b in pairs),
    ]
    return sorted({word for text in texts for word in text.split()})

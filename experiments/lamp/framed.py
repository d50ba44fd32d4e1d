"""Users whose taste depends on the subject, and who wrap every question in small talk."""

from __future__ import annotations

from random import Random

from synthesizeme.types import Message, PreferencePair

SUBJECTS = {
    "taxes": ("the tax return", "value added tax", "tax brackets", "a tax refund"),
    "herbs": ("basil", "thyme and sage", "a pot of mint", "parsley"),
    "goals": ("the offside rule", "a penalty kick", "the league table", "a hat trick"),
    "seas": ("the tides", "deep sea trenches", "coral reefs", "ocean currents"),
    "stars": ("a comet", "the red planet", "a lunar eclipse", "neutron stars"),
    "bread": ("sourdough", "a rye loaf", "proving dough", "the crust"),
}
FRAMES = (
    "Before lunch with my neighbours in the village I would like a quick summary of {}.",
    "I am writing a wedding speech for my aunt and her new husband, with a joke about {}.",
    "Sorry to bother you again so late at night, my computer crashed while I was reading about {}.",
    "My boss at the garage shouts at me all morning, so calm me down with something on {}!",
    "The train is delayed again and my phone is nearly empty, tell me about {} while I wait.",
    "My daughter has a school project due on Monday and forgot it, she needs help with {}.",
)
STYLES = {
    "short": "It is about {}.",
    "lively": "Wow, {}! What a subject! You will love this!",
    "figures": "Here are 7 facts and 12 figures on {}: 40 in 100 people know 3 of them.",
    "asking": "What do you want to know about {}? Where should we begin?",
    "learned": "Considerations regarding {} necessitate methodological and terminological clarification.",
}


def framed_users(users, items, questions, seed):
    """Pairs of each user: `items` train rows, then `questions` test rows; by user."""
    return {f"user-{number:03}": _user(number, items, questions, seed) for number in range(users)}


def _user(number, items, questions, seed):
    rng = Random(f"{seed}\0{number}\0framed")
    subjects, styles = rng.sample(list(SUBJECTS), 3), rng.sample(list(STYLES), 3)
    taste = dict(zip(subjects, styles, strict=True))
    return [_pair(number, row, taste, items, rng) for row in range(items + questions)]


def _pair(number, row, taste, items, rng):
    subject = rng.choice(list(taste))
    thing = rng.choice(SUBJECTS[subject])
    other = rng.choice([style for style in STYLES if style != taste[subject]])
    chosen, rejected = (STYLES[style].format(thing) for style in (taste[subject], other))
    if row < items and rng.random() < 0.1:
        chosen, rejected = rejected, chosen
    prompt = rng.choice(FRAMES).format(thing)
    return PreferencePair(
        pair_id=f"{number}-{row}",
        user_id=f"user-{number:03}",
        prompt=(Message(role="user", content=prompt),),
        chosen=(Message(role="assistant", content=chosen),),
        rejected=(Message(role="assistant", content=rejected),),
        split="train" if row < items else "test",
    )

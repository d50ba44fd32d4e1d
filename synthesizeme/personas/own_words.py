"""A user's own words: why they chose as they did, what they wrote of themself, and what they wish.

A reason given with a choice is the reasoning of the first rank: it stands before any judge's, which merely
led to the same choice, and a choice with one is not judged again to be explained. What users wrote beside
choices is shown to the persona writer under the markers W1, W2, ..., wishes first; demographics are not words
and are never shown. Whoever gave a reason or a wish has said what they like: no test of the choices alone
silences that. A description of oneself is no taste, and does not count here.
"""

from __future__ import annotations

from collections.abc import Sequence

from synthesizeme.feedback import UserWords
from synthesizeme.plain_text import beginning, count
from synthesizeme.prompts import as_data, load_prompt
from synthesizeme.types import PreferencePair

WORDS_PROMPT = "persona/words"
"""The prompt that is added to the persona-writing prompt, whichever that is, where the user said
something."""
LONGEST = 2_000
"""Characters of one reason or text that are shown; what comes after them is cut, and a note says so."""
MOST_TEXTS = 20
"""Texts beside choices that are shown; further ones are left out, and a note says so."""


def reason(pair: PreferencePair) -> str:
    """Why the user chose so, in their own words, on one line of at most `LONGEST` characters; or nothing."""
    return beginning(pair.reason or "", LONGEST)


def told(words: UserWords | None) -> tuple[str, ...]:
    """What a user wrote beside choices, a line a text: wishes, the description, answers with their questions.

    The item of marker W1 comes first. Each text has at most `LONGEST` characters, and there are at most
    `MOST_TEXTS`.
    """
    if words is None:
        return ()
    prompt = load_prompt(WORDS_PROMPT)
    lines = [prompt.render("wish", text=beginning(wish, LONGEST)) for wish in words.wishes]
    lines += [prompt.render("about", text=beginning(words.about, LONGEST))] if words.about else []
    for it in words.answers:
        question, text = beginning(it.question, LONGEST), beginning(it.text, LONGEST)
        lines.append(prompt.render("answer", question=question, text=text))
    return tuple(lines[:MOST_TEXTS])


def reason_block(text: str) -> str:
    """A reason as it stands in a pair of a persona prompt."""
    return load_prompt(WORDS_PROMPT).render("reason", text=as_data(text))


def words_block(lines: Sequence[str]) -> str:
    """What `told` gave, as it stands before the pairs of a persona prompt."""
    prompt = load_prompt(WORDS_PROMPT)
    items = [
        prompt.render("item", marker=f"W{number}", text=as_data(text)) for number, text in enumerate(lines, 1)
    ]
    return prompt.render("words", items="\n".join(items))


def tastes(pairs: Sequence[PreferencePair], words: UserWords | None) -> str:
    """How often the user said what they like, e.g. ``2 reasons and 1 wish``; empty if never."""
    reasons, wishes = sum(pair.reason is not None for pair in pairs), len(words.wishes) if words else 0
    said = [count(reasons, "reason")] if reasons else []
    said += [f"{wishes} {'wish' if wishes == 1 else 'wishes'}"] if wishes else []
    return " and ".join(said)


def left_out(pairs: Sequence[PreferencePair], words: UserWords | None) -> list[str]:
    """Notes on what is not shown of the user's words for its length."""
    texts = [text for pair in pairs if (text := pair.reason)]
    beside = words.texts() if words else ()
    long = sum(len(" ".join(text.split())) > LONGEST for text in (*texts, *beside))
    notes = [f"of {count(long, 'own text')} the first {LONGEST:,} characters are shown"] if long else []
    if len(beside) > MOST_TEXTS:
        notes.append(f"{MOST_TEXTS} of {len(beside)} texts of the user beside choices are shown")
    return notes

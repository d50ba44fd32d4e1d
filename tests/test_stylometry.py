"""Named features: each has a text that raises it, all are finite and antisymmetric on any text."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synthesizeme.stylometry import FEATURE, FEATURES, Text, difference, measure

PLAIN = "Put the rice in a pot. Add water and heat it until the water is gone. Then serve it with fish."
PROMPT = "How do people cook rice?"

MORE = {
    "length": PLAIN + " " + PLAIN.replace("rice", "barley"),
    "sentence_length": PLAIN.replace(". Add", " and add").replace(". Then", " and then"),
    "word_length": "Position the basmati inside cookware. Introduce water, heating everything throughout.",
    "vocabulary": "Put the rice in a pot, add some cold water, heat until nothing liquid remains; serve with fresh fish.",
    "paragraphs": PLAIN.replace(". ", ".\n\n"),
    "bullets": "- Put the rice in a pot.\n- Add water.\n* Heat it.",
    "numbered": "1. Put the rice in a pot.\n2. Add water.\nStep 3: Heat it.",
    "headings": "## Cooking\n" + PLAIN + "\n**Serving**",
    "code": PLAIN + "\n```\ncook(rice)\n```",
    "numbers": "Put 200 g of rice in a pot. Add 0.4 l of water and heat it for 12 minutes, at 98%.",
    "questions": "Put the rice in a pot? Add water? Then serve it with fish?",
    "exclamations": PLAIN.replace(".", "!"),
    "emoji": PLAIN + " 🍚 :)",
    "hedging": "Perhaps put the rice in a pot. You might add water, which could possibly be enough.",
    "refusals": "I'm sorry, but I cannot help with that. As an AI language model I am unable to cook.",
    "disclaimers": PLAIN + " Please note that results may vary. Consult a doctor.",
    "formality": "Furthermore, one must obtain rice. Subsequently, it is advisable to commence heating.",
    "warmth": "I'm so happy you asked, dear friend! Enjoy, good luck and take care.",
    "examples": "Put rice, for example basmati, in a pot. For instance, imagine a small one.",
    "preamble": "Sure! " + PLAIN,
    "closing_offer": PLAIN + " Let me know if you have any other questions!",
    "first_person": "I put my rice in my pot. We add water ourselves and I heat it.",
    "second_person": "You put your rice in your pot. You add water and you serve it yourself.",
    "technical": "The gelatinization of starch requires humidity, evaporation and optimization of concentration.",
    "prompt_overlap": "People cook rice.",
    "repetition": PLAIN + " " + PLAIN,
    "truncated": PLAIN.removesuffix(" serve it with fish."),
    "leaked_markup": PLAIN + "</s>\nUser: and beans?",
}


def test_there_is_a_text_for_every_feature():
    assert set(MORE) == set(FEATURE)


@pytest.mark.parametrize("name", list(MORE))
def test_every_feature_is_raised_by_a_text_that_shows_it(name):
    place = [feature.name for feature in FEATURES].index(name)
    assert difference(MORE[name], PLAIN, PROMPT)[place] > 0.3, name


def test_the_features_are_described_by_distinct_words_and_have_positive_scales():
    phrases = [phrase for feature in FEATURES for phrase in (feature.more, feature.less)]
    assert len(set(phrases)) == 2 * len(FEATURES)
    assert all(phrase and phrase == phrase.strip() and not phrase.endswith(".") for phrase in phrases)
    assert all(feature.scale > 0 for feature in FEATURES)


def test_values_by_hand():
    text = Text("One two three. Four five!")
    assert text.words == ["one", "two", "three", "four", "five"]
    assert text.sentences == 2
    assert text.per_100_words(5) == 5.0  # texts under 20 words count as 20: sqrt(100 * 5 / 20)
    assert FEATURE["length"].measure(text) == math.log(6)
    assert FEATURE["sentence_length"].measure(text) == math.log(3.5)
    assert FEATURE["exclamations"].measure(text) == math.log(2)
    assert FEATURE["bullets"].measure(Text("- a\n- b\nc - d")) == math.log1p(2)
    assert FEATURE["prompt_overlap"].measure(Text("Rice is fine.", "Tell me about brown rice")) == 0.5
    assert FEATURE["repetition"].measure(Text("a b c d a b c d")) == pytest.approx(1 - 4 / 5)


@pytest.mark.parametrize(
    ("text", "name", "low"),
    [
        ("It is a well-known day. I saw it - twice - and left.", "bullets", 0.0),
        ("In 2019. That was all.", "numbered", 0.0),
        ("Good question, said the teacher, but no answer came.", "refusals", 0.0),
        ("The can was not opened by me.", "refusals", 0.0),
        ("The unhappy surehand walked in.", "preamble", 0.0),
        ("He ended here, and all was well with the world that day.", "truncated", 0.0),
    ],
)
def test_near_misses_do_not_count(text, name, low):
    assert FEATURE[name].measure(Text(text)) == low


text_like = st.text(st.characters(codec="utf-8"), max_size=300) | st.text("-*#`1. \n:?!<|>aI'", max_size=200)


@settings(max_examples=150, deadline=None)
@given(text_like, text_like, text_like)
def test_differences_are_finite_bounded_and_antisymmetric(first, second, prompt):
    forth, back = difference(first, second, prompt), difference(second, first, prompt)
    assert len(forth) == len(FEATURES)
    assert all(map(math.isfinite, forth))
    assert max(map(abs, forth)) <= 3.0
    assert forth == tuple(-value for value in back)
    assert not any(difference(first, first, prompt))
    assert difference(first, second, prompt, clip=0.5) == tuple(max(-0.5, min(0.5, value)) for value in forth)


WEIRD = {
    "nothing": "",
    "blank": " \n\t ",
    "one letter": "a",
    "punctuation": "?!.,;:" * 50,
    "emoji": "🦊👩‍👩‍👧‍👦" * 200,
    "right to left": "‏שלום עולם! مرحبا بالعالم. " * 50,
    "control characters": "".join(map(chr, range(32))) * 20 + "\x7f\u202e\u200b\ufeff",
    "chinese": "他们在喝茶。" * 100,
    "combining": "e\u0301\u0300\u0302" * 100,
    "lone surrogate": "a \ud800 b",
    "one long word": "a" * 1_000_000,
    "one long line": "many words make a line " * 45_000,
    "a megabyte of prose": (PLAIN + "\n") * 10_000,
    "stars": "*" * 100_000,
    "backticks": "`" * 100_000,
    "digits": "1." * 50_000,
    "spaces": "a" + " " * 300_000 + "b",
    "empty lines": "a" + "\n" * 300_000 + "b",
    "lines of punctuation": "a" + "!\n" * 200_000 + "b",
    "offers that never end": "let me know " * 50_000 + "\nx",
}


@pytest.mark.parametrize("name", list(WEIRD))
def test_weird_text_is_measured(name):
    """Patterns that took time quadratic in the text would hold the suite up for many minutes here."""
    assert all(map(math.isfinite, measure(WEIRD[name], PROMPT)))

"""The reader's words: what it says it understands, and so it does what others say about the same things."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthesizeme.backends.builtin._words import (
    PLAIN,
    STRENGTHS,
    as_quote,
    quoted,
    state,
    strength_word,
    understand,
)
from synthesizeme.personas.synthesis import MAX_SENTENCE_CHARACTERS
from synthesizeme.stylometry import FEATURE, FEATURES

PHRASINGS = [
    ("The user likes brief answers.", "length", -1),
    ("The user wants thorough, in-depth explanations.", "length", 1),
    ("The user prefers concise replies that get to the point.", "length", -1),
    ("The user enjoys detailed responses.", "length", 1),
    ("The user favours bullet points.", "bullets", 1),
    ("The user prefers flowing prose.", "bullets", -1),
    ("The user prefers unstructured text.", "bullets", -1),
    ("The user likes step-by-step instructions.", "numbered", 1),
    ("The user appreciates markdown headings.", "headings", 1),
    ("The user likes code snippets.", "code", 1),
    ("The user values statistics and specific figures.", "numbers", 1),
    ("The user appreciates clarifying questions.", "questions", 1),
    ("The user loves an enthusiastic tone.", "exclamations", 1),
    ("The user enjoys emojis.", "emoji", 1),
    ("The user prefers a cautious, nuanced answer.", "hedging", 1),
    ("The user prefers direct and confident statements.", "hedging", -1),
    ("The user prefers answers without caveats.", "disclaimers", -1),
    ("The user favors a professional tone.", "formality", 1),
    ("The user prefers a conversational, relaxed tone.", "formality", -1),
    ("The user prefers an informal style.", "formality", -1),
    ("The user appreciates warm, empathetic replies.", "warmth", 1),
    ("The user likes concrete examples.", "examples", 1),
    ("The user prefers technical jargon.", "technical", 1),
    ("The user prefers plain language.", "word_length", -1),
    ("The user prefers simple words.", "word_length", -1),
    ("The user prefers short sentences.", "sentence_length", -1),
    ("THE USER PREFERS SHORT ANSWERS", "length", -1),
]
NEGATED = [
    ("The user dislikes long answers.", "length", -1),
    ("The user avoids long answers.", "length", -1),
    ("The user tends to reject overly long replies.", "length", -1),
    ("The user prefers responses that are not too long.", "length", -1),
    ("The user dislikes bullet lists.", "bullets", -1),
    ("The user prefers answers without bullet lists.", "bullets", -1),
    ("The user prefers answers that avoid bullet lists.", "bullets", -1),
    ("The user is annoyed by follow-up questions.", "questions", -1),
    ("The user finds emojis childish and does not want them.", "emoji", -1),
    ("The user does not care for emojis.", "emoji", -1),
    ("The user never wants emojis.", "emoji", -1),
    ("The user hates disclaimers.", "disclaimers", -1),
    ("The user dislikes warnings, disclaimers and caveats.", "disclaimers", -1),
    ("The user wants fewer disclaimers.", "disclaimers", -1),
    ("The user has little patience for friendly chit-chat.", "warmth", -1),
    ("The user wants no greeting.", "preamble", -1),
    ("The user is put off by refusals.", "refusals", -1),
    ("The user dislikes anecdotes.", "stories", -1),
    ("The user prefers answers with few examples.", "examples", -1),
    ("The user chooses responses lacking examples.", "examples", -1),
    ("The user prefers less formal answers.", "formality", -1),
    ("The user prefers less hedging.", "hedging", -1),
    ("The user prefers answers free of jargon.", "technical", -1),
    ("The user prefers a lack of exclamation marks.", "exclamations", -1),
    ("The user doesn't like lists but wants examples.", "bullets", -1),
    ("The user doesn't like lists but wants examples.", "examples", 1),
]
CONTRASTED = [
    ("The user prefers short answers over long ones.", "length", -1),
    ("The user prefers long answers rather than short ones.", "length", 1),
    ("The user prefers everyday language over technical terms.", "technical", -1),
    ("The user likes examples more than lists.", "bullets", -1),
    ("The user likes examples more than lists.", "examples", 1),
    ("The user wants figures instead of anecdotes.", "stories", -1),
    ("The user wants figures instead of anecdotes.", "numbers", 1),
]


@pytest.mark.parametrize(("text", "feature", "sign"), PHRASINGS + NEGATED + CONTRASTED)
def test_other_peoples_words_are_understood(text, feature, sign):
    weights = understand(text)
    assert feature in weights, weights
    assert weights[feature] * sign > 0


def test_there_are_at_least_thirty_phrasings_and_most_features_occur():
    every = PHRASINGS + NEGATED + CONTRASTED
    assert len({text for text, _, _ in every}) >= 30
    assert len({feature for _, feature, _ in every}) > len(FEATURES) / 2


@pytest.mark.parametrize(
    "text", ["", "The user likes cats.", "The user lives in Bath.", "\n\n", "42", "🦊" * 100]
)
def test_what_is_about_something_else_means_nothing(text):
    assert understand(text) == {}


@pytest.mark.parametrize("weight", [-3.0, -1.0, -0.3, 0.3, 1.0, 3.0])
def test_its_own_sentences_come_back_as_the_same_preference(weight):
    for feature in FEATURE:
        back = understand(state({feature: weight})[feature])
        assert set(back) == {feature}, "nothing else is read into it"
        assert back[feature] * weight > 0
        assert 1 / 2 < abs(back[feature] / weight) < 2, feature


def test_a_whole_persona_comes_back_in_signs_and_order():
    weights = {"length": -2.4, "bullets": 1.5, "warmth": -0.9, "examples": 0.5, "emoji": -0.25}
    back = understand("\n".join(state(weights).values()))
    assert {name: value > 0 for name, value in back.items()} == {
        name: value > 0 for name, value in weights.items()
    }
    sizes = [abs(back[name]) for name in weights]
    assert sizes == sorted(sizes, reverse=True)


def test_stronger_words_stand_for_larger_weights():
    read = [understand(f"The user {word} prefers emoji.")["emoji"] for word, _ in STRENGTHS]
    assert read == sorted(set(read))
    assert read == [weight for _, weight in STRENGTHS]
    assert read[0] < understand("The user prefers emoji.")["emoji"] == PLAIN < read[-1]


@given(st.floats(0.01, 20), st.floats(0.01, 20))
def test_a_larger_weight_never_gets_a_weaker_word(one, other):
    order = [word for word, _ in STRENGTHS]
    low, high = sorted((one, other))
    assert order.index(strength_word(low)) <= order.index(strength_word(high))
    assert strength_word(-low) == strength_word(low)


def test_the_first_thing_said_about_a_feature_counts():
    assert understand("The user prefers emoji.\nThe user dislikes emoji.")["emoji"] > 0


@given(st.text(max_size=300))
def test_any_text_is_read_without_error(text):
    assert set(understand(text)) <= set(FEATURE)


def test_a_statement_of_four_long_quotations_is_as_long_as_statements_may_be():
    long = [as_quote("word" * n) for n in (40, 50, 60, 70)]
    said = "The user strongly prefers answers like {} and {}, not like {} and {}.".format(*long)
    assert len(said) <= MAX_SENTENCE_CHARACTERS
    assert [len(side) for side in quoted(said)] == [2, 2]

"""Replies of all kinds become a verdict or a typed failure, never a guess."""

from __future__ import annotations

import math

import pytest

from synthesizeme.backends import Answer, Token
from synthesizeme.errors import JudgeError
from synthesizeme.judges.messages import CLIP, read_verdict, verdict_or_failure
from synthesizeme.types import Failure, Verdict


@pytest.mark.parametrize(
    ("reply", "preference", "probability", "source"),
    [
        ("Reasoning: x\nPreference: First\nConfidence: 80", "first", 0.8, "stated"),
        ("Reasoning: x\nPreference: Second\nConfidence: 0.85", "second", 0.15, "stated"),
        ("Reasoning: x\nPreference: Second\nConfidence: 30%", "second", 0.5, "stated"),
        ("Reasoning: x\nPreference: Second\nConfidence: 50/50", "second", 0.5, "stated"),
        ("Reasoning: x\nPreference: Second\nConfidence: coin flip", "second", 0.5, "stated"),
        ("Reasoning: x\nPreference: First: 20%, Second: 80%", "second", 0.2, "stated"),
        ("Reasoning: x\nPreference: Second", "second", 0.0, "verdict"),
        ("Reasoning: x\nPreference: Tie\nConfidence: 99", "tie", 0.5, "verdict"),
    ],
)
def test_a_reply_becomes_the_verdict_it_states(reply, preference, probability, source):
    verdict = read_verdict(Answer(reply))
    assert (verdict.preference, verdict.probability_source, verdict.reasoning) == (preference, source, "x")
    assert verdict.probability == pytest.approx(probability)


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        ("Both are fine answers.", "parse"),
        ("Preference: First or Second", "parse"),
        ("Preference: First\nConfidence: 250", "parse"),
        ("Preference: First\nConfidence: just above chance", "parse"),
        ("Preference: First\nConfidence: less than 60", "parse"),
        ("<think>\nPreference: First\n</think>", "parse"),
        ("I'm sorry, but I can't help with that.", "refusal"),
        ("I’m unable to compare these.", "refusal"),
        ("As an AI, judging this is not possible for me.", "refusal"),
        ("Es tut mir leid, das kann ich nicht beurteilen.", "refusal"),
    ],
)
def test_an_unreadable_reply_is_a_typed_failure_with_its_words(reply, kind):
    with pytest.raises(JudgeError) as raised:
        read_verdict(Answer(reply))
    assert raised.value.reply == reply
    failure = verdict_or_failure(Answer(reply))
    assert isinstance(failure, Failure)
    assert failure.kind == kind
    assert failure.detail.endswith(repr(" ".join(reply.split())))


def test_a_reply_cut_off_before_its_preference_says_so_and_one_cut_off_after_it_counts():
    failure = verdict_or_failure(Answer("Reasoning: The first is", cut_off=True))
    assert failure == Failure(kind="parse", detail="the reply was cut off at max_tokens before a preference")
    verdict = verdict_or_failure(Answer("Reasoning: x\nPreference: First\nConf", cut_off=True))
    assert isinstance(verdict, Verdict)
    digits = verdict_or_failure(Answer("Reasoning: x\nPreference: First\nConfidence: 8", cut_off=True))
    assert digits.kind == "parse"
    thinking = verdict_or_failure(Answer("<think>Perhaps\nPreference: First", cut_off=True))
    assert thinking.kind == "parse"


def test_a_failed_call_stays_the_failure_it_was():
    failure = Failure(kind="transport", detail="no reply within 60 s")
    assert verdict_or_failure(failure) is failure


def test_the_detail_of_a_long_reply_is_short():
    assert len(verdict_or_failure(Answer("word " * 5000)).detail) < 400


def token(text, **alternatives):
    found = alternatives or {text: 1.0}
    return Token(text, tuple((name, math.log(p)) for name, p in found.items()))


def spoken(*tokens):
    """An answer of these tokens, and its verdict."""
    return read_verdict(Answer("".join(it.text for it in tokens), tokens))


def test_the_probability_comes_from_the_token_where_the_preference_begins():
    """P(first) = (.5 + .1) / (.5 + .1 + .2) = .75: ' First', 'F' and 'Second'; ' Tie' and '**' do not count."""
    verdict = spoken(
        token("Reasoning"), token(": first is short.\n"), token("Preference"), token(":"),
        Token(" First", ((" First", math.log(0.5)), ("F", math.log(0.1)), (" Second", math.log(0.2)),
                         (" Tie", math.log(0.05)), (" **", math.log(0.1)))),
        token("\nConfidence: 99"),
    )  # fmt: skip
    assert (verdict.preference, verdict.probability_source) == ("first", "logprobs")
    assert verdict.probability == pytest.approx(0.75)
    assert verdict.margin == pytest.approx(math.log(3))


@pytest.mark.parametrize(
    ("before", "word", "other", "behind"),
    [
        ("Preference:", " Second", " First", ""),
        ("Preference: **", "Second", "First", "**"),
        ("Preference:", " **Second", " **First", "**"),
        ("Preference: ", "Sec", "Fir", "ond"),
        ("Preference: ", "S", "F", "econd"),
        ("Preference: Response ", "B", "A", "."),
        ("Preference: ", "2", "1", ""),
        ("The user prefers the ", "second", "first", " response."),
        ("偏好：", "第二", "第一", "个"),
        ("偏好：第", "二", "一", "个"),
        ("偏好：第", "二个", "一个", ""),
        ('{"preference": "', "Second", "First", '"}'),
    ],
)
def test_however_a_word_is_cut_into_tokens_its_alternatives_are_found(before, word, other, behind):
    weights = ((word, math.log(0.6)), (other, math.log(0.2)), (" hm", math.log(0.1)))
    verdict = spoken(token(before), Token(word, weights), token(behind))
    assert (verdict.preference, verdict.probability_source) == ("second", "logprobs")
    assert verdict.probability == pytest.approx(0.25)


def test_the_last_preference_counts():
    verdict = spoken(
        token("Preference: "), Token("Sec", (("Sec", math.log(0.9)), ("First", math.log(0.1)))), token("ond"),
        token("\nWait, no.\nPreference: "), Token("Fir", (("Fir", math.log(0.6)), ("Second", math.log(0.2)))),
        token("st"),
    )  # fmt: skip
    assert verdict.probability == pytest.approx(0.75)


@pytest.mark.parametrize(
    ("alternatives", "probability"),
    [
        ({" First": 0.9, " The": 0.04, " It": 0.01}, 0.9 / 0.91),  # the last of the top bounds the other
        ({" First": 0.96, " The": 0.03}, 0.96 / 0.97),  # what is left over bounds it further
        ({" First": 0.7}, 0.7),
        ({" First": 1.0}, 1 - CLIP),
        ({" First": 1.0, " Second": 0.0}, 1 - CLIP),
        ({" Second": 0.9, " The": 0.05}, 0.05 / 0.95),
    ],
)
def test_a_word_missing_from_the_top_is_bounded_by_the_last_of_it(alternatives, probability):
    listed = tuple((text, math.log(p) if p else -9999.0) for text, p in alternatives.items())
    verdict = spoken(token("Preference:"), Token(listed[0][0], listed))
    assert verdict.probability_source == "logprobs"
    assert 0 < verdict.probability < 1
    assert verdict.probability == pytest.approx(probability)


@pytest.mark.parametrize(
    "alternatives",
    [
        {"First": 2e-5, " The": 0.9, " It": 0.05},
        {"First": 0.2, " Second": 0.2, " The": 0.5},
        {" yes": 0.5},
        {},
    ],
)
def test_where_both_words_weigh_little_the_stated_confidence_is_used(alternatives):
    listed = tuple((text, math.log(p)) for text, p in alternatives.items())
    verdict = spoken(token("Preference: "), Token("First", listed), token("\nConfidence: 80"))
    assert (verdict.probability, verdict.probability_source) == (0.8, "stated")


def test_marks_of_emphasis_are_no_other_word():
    listed = ((" First", math.log(0.3)), (" Second", math.log(0.1)), (" **", math.log(0.55)))
    verdict = spoken(token("Preference:"), Token(" First", listed))
    assert verdict.probability == pytest.approx(0.75)


def test_tokens_that_say_something_else_are_not_used():
    tokens = (token("no preference here"),)
    assert read_verdict(Answer("Preference: First\nConfidence: 80", tokens)).probability_source == "stated"


@pytest.mark.parametrize(("word", "first"), [("First", 0.3), ("Second", 0.7)])
def test_a_sampled_verdict_that_the_model_thinks_less_likely_counts_as_even(word, first):
    listed = (("First", math.log(first)), ("Second", math.log(1 - first)))
    verdict = spoken(token("Preference: "), Token(word, listed))
    assert verdict.preference == word.lower()
    assert (verdict.probability, verdict.margin) == (0.5, 0.0)

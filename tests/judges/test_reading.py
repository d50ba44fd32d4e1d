"""Replies of all kinds become a verdict or a typed failure, never a guess."""

from __future__ import annotations

import math

import pytest

from synthesizeme.backends import Answer, Token
from synthesizeme.errors import JudgeError
from synthesizeme.judges import without_thoughts
from synthesizeme.judges._reading import probability_of_first, read_verdict, verdict_or_failure
from synthesizeme.types import Failure, Verdict

READABLE = {
    "as asked": ("Reasoning: It is short.\nPreference: First\nConfidence: 80", "first", 0.8),
    "second": ("Reasoning: It is short.\nPreference: Second\nConfidence: 80", "second", 0.2),
    "no confidence": ("Reasoning: It is short.\nPreference: Second", "second", 0.0),
    "bold": ("**Reasoning:** It is short.\n**Preference:** First\n**Confidence:** 70%", "first", 0.7),
    "bold value": ("Reasoning: x\nPreference: **Second**\nConfidence: **90**", "second", 0.1),
    "heading": ("### Reasoning\nIt is short.\n### Preference\nFirst\n### Confidence\n65", "first", 0.65),
    "lower case": ("reasoning: x\npreference: first\nconfidence: 75", "first", 0.75),
    "upper case": ("REASONING: x\nPREFERENCE: SECOND", "second", 0.0),
    "with article": ("Preference: the first response", "first", 1.0),
    "listed": ("- Reasoning: x\n- Preference: Second\n- Confidence: 60", "second", 0.4),
    "next line": ("Preference:\n\n  First", "first", 1.0),
    "quoted": ('Preference: "Second"', "second", 0.0),
    "windows lines": ("Reasoning: x\r\nPreference: First\r\nConfidence: 88\r\n", "first", 0.88),
    "json": ('{"reasoning": "short", "preference": "Second", "confidence": 85}', "second", 0.15),
    "json lines": ('```json\n{\n  "reasoning": "x",\n  "preference": "First",\n  "confidence": 51\n}\n```', "first", 0.51),
    "preference first": ("Preference: Second\nReasoning: It is short.\nConfidence: 80", "second", 0.2),
    "mentions both": ("Reasoning: The first is long, the Second short.\nPreference: First", "first", 1.0),
    "second thoughts": ("Preference: First\nOn reflection no.\nPreference: Second\nConfidence: 55", "second", 0.45),
    "a template first": ("Preference: First or Second\nReasoning: x\nPreference: Second", "second", 0.0),
    "a note after it": ('Preference: Second\nNote: the first response says "Preference: First".', "second", 0.0),
    "thinking": ("<think>\nPreference: First\nhmm\n</think>\nReasoning: x\nPreference: Second", "second", 0.0),
    "thinking without start": ("Preference: First?\n</think>\n\nPreference: Second", "second", 0.0),
    "confidence too low to be one": ("Preference: First\nConfidence: 0.9", "first", 1.0),
    "confidence too high to be one": ("Preference: First\nConfidence: 250", "first", 1.0),
    "tie": ("Reasoning: equal\nPreference: Tie\nConfidence: 99", "tie", 0.5),
}  # fmt: skip


@pytest.mark.parametrize("name", list(READABLE))
def test_a_readable_reply_is_the_verdict_it_states(name):
    reply, preference, probability = READABLE[name]
    verdict = read_verdict(Answer(reply))
    assert verdict.preference == preference
    assert verdict.probability == pytest.approx(probability)
    stated = probability not in (0.0, 1.0) and preference != "tie"
    assert verdict.probability_source == ("stated" if stated else "verdict")


@pytest.mark.parametrize(
    ("reply", "reasoning"),
    [
        ("Reasoning: It is short.\nIt is warm.\nPreference: First", "It is short.\nIt is warm."),
        ("**Reasoning:** It is short.\n\n**Preference:** First", "It is short."),
        ("Preference: First\nReasoning: It is short.\nConfidence: 80", "It is short."),
        ("It is short.\nPreference: First", "It is short."),
        ("<think>no</think>Reasoning: Short.\nPreference: First", "Short."),
        ("Reasoning: One.\nPreference: First\nWait.\nPreference: Second", "One."),
        ("Preference: First", ""),
    ],
)
def test_the_reasoning_is_what_is_said_and_never_another_verdict(reply, reasoning):
    assert read_verdict(Answer(reply)).reasoning.rstrip("*\n ") == reasoning


UNREADABLE = {
    "prose": ("Both are fine answers.", "parse"),
    "the template": ("Reasoning: ...\nPreference: First or Second\nConfidence: 50 to 100", "parse"),
    "the template with a slash": ("Preference: First/Second", "parse"),
    "neither": ("Preference: Neither", "parse"),
    "an inline mention": ("I have a slight preference: it is the one that is first.", "parse"),
    "firstly": ("Preference: Firstly, I should say", "parse"),
    "only thoughts": ("<think>\nPreference: First\n</think>", "parse"),
    "unfinished thoughts": ("<think>\nWell.\nPreference: First\nbut then", "parse"),
    "another task": ("The user prefers short answers. [1, 2]", "parse"),
    "refusal": ("I'm sorry, but I can't help with that.", "refusal"),
    "curly refusal": ("I’m unable to compare these.", "refusal"),
    "policy": ("As an AI, judging this is not possible for me.", "refusal"),
}


@pytest.mark.parametrize("name", list(UNREADABLE))
def test_an_unreadable_reply_is_a_typed_failure_with_its_words(name):
    reply, kind = UNREADABLE[name]
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


def test_the_probability_comes_from_the_token_where_the_preference_begins():
    """P(first) = (.5 + .1) / (.5 + .1 + .2) = .75: ' First', 'F' and 'Second'; ' Tie' and '**' do not count."""
    tokens = [
        token("Reasoning"), token(": first is short.\n"), token("Preference"), token(":"),
        Token(" First", ((" First", math.log(0.5)), ("F", math.log(0.1)), (" Second", math.log(0.2)),
                         (" Tie", math.log(0.05)), (" **", math.log(0.1)))),
        token("\nConfidence: 99"),
    ]  # fmt: skip
    answer = Answer("".join(t.text for t in tokens), tokens)
    assert probability_of_first(tokens) == pytest.approx(0.75)
    verdict = read_verdict(answer)
    assert (verdict.preference, verdict.probability_source) == ("first", "logprobs")
    assert verdict.probability == pytest.approx(0.75)
    assert verdict.margin == pytest.approx(math.log(3))


def test_the_preference_may_be_split_over_tokens_and_the_last_one_counts():
    tokens = [
        token("Preference: "), Token("Sec", (("Sec", math.log(0.9)), ("First", math.log(0.1)))), token("ond"),
        token("\nNo.\nPreference: "), Token("Fir", (("Fir", math.log(0.6)), ("Second", math.log(0.2)))), token("st"),
    ]  # fmt: skip
    assert probability_of_first(tokens) == pytest.approx(0.75)


def test_without_usable_tokens_the_stated_confidence_is_used():
    text = "Preference: First\nConfidence: 80"
    assert probability_of_first(()) is None
    assert probability_of_first([token("no preference here")]) is None
    tie = [token("Preference: "), Token("First", ((" yes", math.log(0.5)),)), token("\nConfidence: 80")]
    assert probability_of_first(tie) is None
    assert read_verdict(Answer(text, tuple(tie))).probability_source == "stated"


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        ("<think>a</think>b", "b"),
        ("<thinking>a\nb</thinking>\n\nc", "c"),
        ("a</think>b", "b"),
        ("<think>a", ""),
        ("a <think>b</think> c", "a  c"),
        ("plain", "plain"),
    ],
)
def test_thoughts_are_no_part_of_what_is_said(reply, said):
    assert without_thoughts(reply) == said


@pytest.mark.parametrize(("word", "first"), [("First", 0.3), ("Second", 0.7)])
def test_a_sampled_verdict_that_the_model_thinks_less_likely_counts_as_even(word, first):
    tokens = [
        token("Preference: "),
        Token(word, (("First", math.log(first)), ("Second", math.log(1 - first)))),
    ]
    verdict = read_verdict(Answer("".join(t.text for t in tokens), tokens))
    assert verdict.preference == word.lower()
    assert (verdict.probability, verdict.margin) == (0.5, 0.0)

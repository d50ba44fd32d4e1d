from __future__ import annotations

import math
from datetime import UTC, datetime

import pytest
from pydantic import ValidationError

from synthesizeme.feedback import (
    LONGEST_TEXT,
    STARS,
    THUMBS,
    Edit,
    OwnAnswer,
    Ranking,
    Rating,
    Scale,
    Tie,
    Trait,
    UserWords,
    by_user,
)
from synthesizeme.types import PreferencePair, Strength

NOON = datetime(2024, 6, 25, 12, tzinfo=UTC)
EARLY = OwnAnswer(question="What do you like?", text="Short answers.", answered_at=NOON)
LATE = OwnAnswer(question="And why?", text="I read on the bus.", answered_at=NOON.replace(hour=13))
ALWAYS = OwnAnswer(question="Who are you?", text="A nurse.")


def test_texts_stand_in_order_and_stop_at_the_moment_asked_about():
    words = UserWords(user_id="u", answers=(ALWAYS, EARLY, LATE), about="I am Ada.", wishes=("Be brief.",))
    assert words.texts() == ("A nurse.", "Short answers.", "I read on the bus.", "I am Ada.", "Be brief.")
    assert words.texts(NOON) == ("A nurse.", "Short answers.", "I am Ada.", "Be brief.")
    assert words.texts(NOON.replace(hour=11)) == ("A nurse.", "I am Ada.", "Be brief.")


def test_times_with_and_without_a_zone_can_be_compared():
    words = UserWords(user_id="u", answers=(EARLY, LATE))
    assert words.texts(NOON.replace(tzinfo=None)) == ("Short answers.",)


def test_a_text_is_cut_and_a_blank_one_refused():
    assert len(UserWords(user_id="u", about="x" * 1_000_000).about or "") == LONGEST_TEXT
    for blank in ({"about": "  "}, {"wishes": ("",)}, {"answers": ({"question": "Q", "text": "\n"},)}):
        with pytest.raises(ValidationError, match="is blank; expected text"):
            UserWords(user_id="u", **blank)  # type: ignore[arg-type]


def test_words_that_say_nothing_are_false():
    assert not UserWords(user_id="u")
    assert UserWords(user_id="u", demographics={"age": "30-39"})


def test_lending_changes_the_user_alone():
    words = UserWords(user_id="u", about="I am Ada.")
    assert words.lent_to("v") == UserWords(user_id="v", about="I am Ada.")
    assert by_user([words, words.lent_to("v")]).keys() == {"u", "v"}


ASKED = {"feedback_id": "f", "user_id": "u", "prompt": ({"role": "user", "content": "Where to?"},)}


def test_groups_of_a_ranking_hold_every_response_once_best_first():
    whole = Ranking(**ASKED, responses=("a", "b", "c"))
    assert whole.groups == (("a",), ("b",), ("c",))
    best = Ranking(**ASKED, responses=("a", "b", "c"), ranks=(1, 2, 2))
    assert best.groups == (("a",), ("b", "c"))


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"responses": ("a", "b")}, "responses are 2; expected three or more"),
        ({"responses": ("a", "b", " a")}, "responses 1 and 3 are the same text"),
        ({"responses": ("a", "b", "c"), "ranks": (1, 2)}, "ranks are 2 of 3 responses"),
        ({"responses": ("a", "b", "c"), "ranks": (1, 3, 4)}, "no rank left out"),
        ({"responses": ("a", "b", "c"), "ranks": (2, 1, 3)}, "1 first, then in order"),
        ({"responses": ("a", "b", "c"), "ranks": (1, 1, 1)}, "ranks are all 1"),
    ],
)
def test_a_ranking_that_orders_nothing_or_says_two_things_is_refused(given, problem):
    with pytest.raises(ValidationError, match=problem):
        Ranking(**ASKED, **given)


@pytest.mark.parametrize(
    ("kind", "given", "problem"),
    [
        (Rating, {"response": "a", "value": 6, "scale": STARS}, "value is 6; expected 1 to 5"),
        (Rating, {"response": "a", "value": math.nan, "scale": STARS}, "finite number"),
        (Rating, {"response": " ", "value": 3, "scale": STARS}, "is blank"),
        (Rating, {"response": "a", "value": 3}, "scale"),
        (Tie, {"responses": ("a", "a\n")}, "a tie needs two responses"),
        (Edit, {"original": "a", "edited": " a "}, "an edit changes something"),
        (Edit, {"original": "a", "edited": "b", "reason": "\t"}, "is blank"),
    ],
)
def test_feedback_that_cannot_be_meant_is_refused(kind, given, problem):
    with pytest.raises(ValidationError, match=problem):
        kind(**ASKED, **given)


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"answer": "yes"}, "feature\n  Field required"),
        ({"feature": "wit", "answer": "yes"}, "found 'wit'; expected one of length, "),
        ({"feature": "examples", "answer": "maybe"}, "'yes', 'no' or 'no matter'"),
        ({"feature": "examples", "answer": "yes", "prompt": ASKED["prompt"]}, "Extra inputs"),
    ],
)
def test_an_answer_about_no_named_feature_or_that_is_none_is_refused(given, problem):
    with pytest.raises(ValidationError, match=problem):
        Trait(feedback_id="f", user_id="u", **given)


def test_a_scale_needs_its_ends_in_order_and_two_levels():
    with pytest.raises(ValidationError, match="expected lowest below highest"):
        Scale(lowest=5, highest=1, levels=5)
    with pytest.raises(ValidationError, match="greater than or equal to 2"):
        Scale(lowest=1, highest=5, levels=1)


@pytest.mark.parametrize(("value", "level"), [(1, 1), (2, 2), (3.4, 3), (3.5, 4), (5, 5)])
def test_the_level_of_a_value_is_the_nearest(value, level):
    assert Rating(**ASKED, response="a", value=value, scale=STARS).level == level
    assert THUMBS.level(value >= 3) == 1 + (value >= 3)


def test_strength_of_two_ratings_counts_the_levels_between_them():
    for worse in range(1, 5):
        for better in range(worse + 1, 6):
            assert STARS.strength(better, worse) == Strength(level=better - worse, levels=4)
    assert STARS.strength(3.1, 3.0) == Strength(level=1, levels=4), "a difference is never none"
    assert THUMBS.strength(1, 0) is None
    with pytest.raises(ValueError, match="expected a higher and a lower one from 1 to 5"):
        STARS.strength(2, 2)
    with pytest.raises(ValidationError, match="level is 4; expected 1 to 3"):
        Strength(level=4, levels=3)


def test_a_control_with_the_label_reversed_has_no_reason_for_it():
    said = {"pair_id": "p", "user_id": "u", "prompt": ASKED["prompt"], "reason": "It is short."}
    a, b = (({"role": "assistant", "content": text},) for text in "ab")
    pair = PreferencePair(**said, chosen=a, rejected=b, strength=Strength(level=2, levels=3))
    assert pair.reason == "It is short."
    assert pair.swapped_labels().reason is None
    assert pair.fingerprint == PreferencePair(**{**said, "reason": None}, chosen=a, rejected=b).fingerprint

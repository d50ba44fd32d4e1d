from __future__ import annotations

from datetime import UTC, datetime

import pytest
from pydantic import ValidationError

from synthesizeme.feedback import LONGEST_TEXT, OwnAnswer, UserWords, by_user

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

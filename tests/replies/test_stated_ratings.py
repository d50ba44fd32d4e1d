"""Ratings of every scale and wording become a number from 0 to 1; what is unclear becomes none."""

from __future__ import annotations

import pytest

from synthesizeme.replies import UnclearError, number_in, read_rating

RATINGS = {
    "Reasoning: fine.\nRating: 73": 0.73,
    "**Rating:** 0": 0.0,
    '{"reasoning": "x", "rating": 100}': 1.0,
    "<think>Rating: 5</think>Rating: 60/100": 0.6,
    "Rating: 10\nOn reflection:\nRating: 62.5": 0.625,
    "Rating: 0.85": 0.85,
    "Rating: 8/10": 0.8,
    "Rating: 85/100": 0.85,
    "Rating: 4/5 stars": 0.8,
    "Rating: 85%": 0.85,
    "Rating: 85 %": 0.85,
    "Rating: 8": 0.08,
    "Rating: 5": 0.05,
    "Rating: 4 out of 5": 0.8,
    "Score: 85": 0.85,
    "Rating: ★★★★☆": 0.8,
    "85": 0.85,
    "85/100": 0.85,
    "**85**": 0.85,
    "85%": 0.85,
    "8/10": 0.8,
    "I would rate this response 8 out of 10.": 0.8,
    "I'd give it a 7/10.": 0.7,
    "There is an 85% chance that the user would like it.": 0.85,
    "Rating: 4 stars": 0.8,
    "Rating: 80-90": 0.85,
    "Rating (0-100): 75": 0.75,
    "Rating: 75 (out of 100)": 0.75,
    "评分：85": 0.85,
    "评分：85分": 0.85,
    "Bewertung: 7 von 10": 0.7,
    "Puntuación: 85": 0.85,
    "Note : 8 sur 10": 0.8,
    "評価: 85点": 0.85,
    "Оценка: 8 из 10": 0.8,
    "Avaliação: 0,85": 0.85,
    "평점: 85점": 0.85,
    "التقييم: ٨٥": 0.85,
    "रेटिंग: 85": 0.85,
    '{"rating": "8/10"}': 0.8,
    '{"score": 0.85}': 0.85,
    "| Rating | 85 |": 0.85,
    "Final rating: 85": 0.85,
    "Rating: approximately 85": 0.85,
    "Rating: eighty-five": 0.85,
    "Rating: 85. The user likes it.": 0.85,
    "Rating: 75\n\nUser: next\nRating: 10": 0.75,
    "Rating: 75<|im_end|>Rating: 10": 0.75,
    "The chance is 60 percent.": 0.6,
    "### Rating\n85": 0.85,
    "Rating: **85**/100": 0.85,
    "Rating: 85 because it is short": 0.85,
    "Reasoning: 3 points are made in 2 lines.\nRating: 40": 0.4,
    "My rating is 85.": 0.85,
    "Rating: 1.0": 1.0,
    "Rating: 85 out of 100": 0.85,
    "The user would like it: 70 out of 100.": 0.7,
    "85\n\nIt is short.": 0.85,
    "It is short.\n\n85": 0.85,
    "Rating: 100%": 1.0,
    "Rating: 70\nWait, it has a joke.\nRating: 80": 0.8,
    "Rating: 8 on a 10-point scale": 0.8,
    "Rating: 4 on a scale of five": 0.8,
    "Rating: 4 on a scale from 1 to 5": 0.8,
    "Rating: 8 (max 10)": 0.8,
    "Rating: 3 in a 5-star system": 0.6,
    "Rating (1-10): 8": 0.8,
    "Rating (out of 5): 4": 0.8,
    "Rating on a scale of 1 to 10: 8": 0.8,
    "Rating from 0 to 100: 85": 0.85,
    "On a scale of 0 to 100, I give it 85.": 0.85,
    "On a scale of 1 to 10, I'd give this a 7.": 0.7,
    "Note : 8 sur une échelle de 10": 0.8,
    "评分：8（满分10分）": 0.8,
    "评分：8分（10分制）": 0.8,
    "⭐⭐⭐½": 0.7,
    "Rating: ★★★½☆": 0.7,
    "Rating: \\boxed{85}": 0.85,
    "Rating: 30\n\nNext response:\nRating: 90": 0.3,
}


@pytest.mark.parametrize("reply", list(RATINGS))
def test_a_rating_is_read_on_the_scale_that_is_written(reply):
    assert read_rating(reply).chance == pytest.approx(RATINGS[reply])


@pytest.mark.parametrize(
    "reply",
    [
        "Rating: high",
        "Rating: 101",
        "Rating: 1000",
        "Rating: -5",
        "Rating: 7.5",
        "Rating: between 0 and 100",
        "Rating: a whole number from 0 to 100",
        "Rating: 0 to 100",
        "Rating: 75 or 80",
        "Rating: 11/10",
        "Rating:",
        "It is nice.",
        "The response has 3 points.",
        "Only 20% of the response is on topic.",
        "It depends.",
        "Rating: N/A",
        "Rating: ?",
        "Rating: 20-90",
        "95: better than practically all of them\n75: about as good",
        "Is it 85?",
        "<think>Rating: 80</think>",
        "Rating: 70\nWait, no.",
        "Rating: 5/0",
        "0 to 100? I would say 7.5",
        "I would not give it 80.",
        "If it were shorter, I'd give it 80.",
        "Rating: 70\nRating: 20",
        "1. It is short.\n2. It is warm.",
        "Rating: 85 tokens",
        "I'm sorry, I can't rate this.",
        "Rating: eight or nine",
        "Rating: 1,000",
        "Rating: 40 for style, 90 for content",
        "Rating: 10/10/2024",
        "Rating: 50/50",
        "Rating: 8 on a 7-point scale",
        "Rating: 8 on some scale",
        "First response: 30\nSecond response: 90",
    ],
)
def test_what_is_no_rating_is_no_number(reply):
    with pytest.raises(UnclearError):
        read_rating(reply)


@pytest.mark.parametrize(
    ("reply", "chance"),
    [
        ("Rating: 8", None),
        ("Rating: 100", None),
        ("Rating: 85\nRea", 0.85),
        ("Rating: 85%", 0.85),
        ("A draft would be\nRating: 70\nbut wait", None),
        ("Rating: 75\n\nUser: next\nRating: 1", 0.75),
    ],
)
def test_a_number_at_the_end_of_a_reply_that_was_cut_off_may_lack_digits(reply, chance):
    if chance is None:
        with pytest.raises(UnclearError):
            read_rating(reply, cut_off=True)
    else:
        assert read_rating(reply, cut_off=True).chance == chance


def test_the_scale_that_was_asked_for_decides_what_bare_numbers_are():
    assert number_in("8").chance == 0.08
    assert number_in("8", lowest=50).chance == 0.8
    assert number_in("40", lowest=50).chance == 0.4
    for value in ("3", "0", "250"):
        with pytest.raises(ValueError, match=value):
            number_in(value, lowest=50)
    assert number_in("50 to 100", lowest=50) is None
    assert number_in("very much", lowest=50) is None

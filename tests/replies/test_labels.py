"""A reply that names one of a fixed set of answers is that answer, and no other reply is."""

from __future__ import annotations

import pytest

from synthesizeme.replies.statements import label_in

SCORES, TAGS, TWO = "12345", ("comedy", "dark comedy", "sci-fi", "based on a book"), ("[1]", "[2]")


@pytest.mark.parametrize(
    ("reply", "labels", "label"),
    [
        ("4", SCORES, "4"),
        (" **4** ", SCORES, "4"),
        ("4/5", SCORES, "4"),
        ("4 out of 5", SCORES, "4"),
        ("Score: 4.", SCORES, "4"),
        ("4 stars", SCORES, "4"),
        ("<think>5?</think>4", SCORES, "4"),
        ("On a scale from 1 to 5\nScore: 4", SCORES, "4"),
        ("Comedy.", TAGS, "comedy"),
        ("The tag is: dark comedy", TAGS, "dark comedy"),
        ("Based on a Book", TAGS, "based on a book"),
        ("[2]", TWO, "[2]"),
        ("The reference is [1].", TWO, "[1]"),
        ("4.5", SCORES, "4.5"),
        ("3 or 4", SCORES, "3 or 4"),
        ("[1] or [2]", TWO, "[1] or [2]"),
        ("comedy, sci-fi", TAGS, "comedy, sci-fi"),
        ("tragicomedy", TAGS, "tragicomedy"),
        ("42", SCORES, "42"),
        ("not comedy", TAGS, "not comedy"),
        ("I would not say 4", SCORES, "I would not say 4"),
        ("It is no comedy.", TAGS, "It is no comedy."),
    ],
)
def test_the_one_label_that_a_reply_names(reply, labels, label):
    assert label_in(reply, tuple(labels)) == label

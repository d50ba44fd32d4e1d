"""Two verdicts on the same responses in both orders become one that does not depend on the order."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from synthesizeme.judges import combine
from synthesizeme.types import Verdict


def verdict(preference, probability, reasoning=""):
    return Verdict(preference=preference, probability=probability, reasoning=reasoning)


@pytest.mark.parametrize(
    ("shown", "swapped", "preference", "probability"),
    [
        (("first", 0.9), ("second", 0.2), "first", 0.85),  # (.9 + .8) / 2
        (("second", 0.3), ("first", 0.9), "second", 0.2),  # (.3 + .1) / 2
        (("first", 0.9), ("first", 0.6), "first", 0.65),  # contradiction: the surer one, (.9 + .4) / 2
        (("first", 0.6), ("first", 0.9), "second", 0.35),
        (("first", 1.0), ("first", 1.0), "tie", 0.5),
        (("tie", 0.5), ("tie", 0.5), "tie", 0.5),
        (("tie", 0.5), ("second", 0.4), "first", 0.55),
        (("second", 0.4), ("tie", 0.5), "second", 0.45),
    ],
)
def test_by_hand(shown, swapped, preference, probability):
    combined = combine(verdict(*shown), verdict(*swapped))
    assert combined.preference == preference
    assert combined.probability == pytest.approx(probability)


def test_equal_confidence_for_the_same_side_is_a_tie():
    verdicts = [verdict("first", percent / 100) for percent in range(50, 101)]
    assert [one.probability for one in verdicts if combine(one, one).preference != "tie"] == []


@given(st.floats(0, 1), st.floats(0, 1))
@example(0.0, 1e-09)
def test_exchanging_the_responses_mirrors_the_result(p, q):
    def named(value):
        return verdict("first" if value > 0.5 else "second" if value < 0.5 else "tie", value)

    one, other = combine(named(p), named(q)), combine(named(q), named(p))
    assert one.probability == pytest.approx(1 - other.probability)
    assert {"first": "second", "second": "first", "tie": "tie"}[one.preference] == other.preference


def test_the_reasoning_is_one_that_led_to_the_combined_preference():
    combined = combine(verdict("second", 0.4, "against"), verdict("second", 0.0, "for"))
    assert (combined.preference, combined.reasoning) == ("first", "for")
    assert combine(verdict("first", 0.9, "shown"), verdict("second", 0.1, "swapped")).reasoning == "shown"


class Fixed:
    """Answers with the given results in turn."""

    name = "fixed"
    order_sensitive = True

    def __init__(self, *results):
        self.results = list(results)
        self.asked = []

    def compare(self, comparisons):
        self.asked += comparisons
        return [self.results.pop(0) for _ in comparisons]

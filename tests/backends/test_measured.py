"""The builtin reader remembers what it measured last, and no more than that."""

from __future__ import annotations

import numpy as np

from synthesizeme import perceived, stylometry
from synthesizeme.backends.builtin._weights import Measured
from synthesizeme.backends.builtin._words import meaning


def test_values_are_those_of_the_features_and_of_response_and_question_apart():
    measured = Measured()
    for response, question in (("ab", "c"), ("a", "bc"), ("Six feet!", "How deep?"), ("\udcff", "")):
        found, features = (
            measured(response, question),
            stylometry.measure(response, question, perceived.FEATURES),
        )
        assert np.array_equal(found[: len(features)], features)
        assert np.array_equal(found[len(features) :], meaning(response))
        assert measured(response, question) is measured(response, question)


def test_the_oldest_goes_first():
    measured = Measured(most=3)
    first = measured("0", "q")
    for number in range(1, 10):
        measured(str(number), "q")
        assert len(measured._known) <= 3
    assert measured("0", "q") is not first

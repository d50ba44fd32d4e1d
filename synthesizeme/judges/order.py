"""Both orders of one comparison, and the verdict that does not depend on the order."""

from __future__ import annotations

from synthesizeme.types import Preference, Verdict


def combine(shown: Verdict, swapped: Verdict) -> Verdict:
    """The mean of two verdicts on the same responses, in terms of the order of `shown`.

    Args:
        shown: Verdict on (first, second).
        swapped: Verdict on (second, first).

    Returns:
        P(first) is the mean of both; contradicting verdicts of equal strength are a tie.
    """
    probability = (shown.probability + 1 - swapped.probability) / 2
    votes = {"first": 1, "second": -1, "tie": 0}
    lean = votes[shown.preference] - votes[swapped.preference] or shown.probability - swapped.probability
    preference: Preference = "first" if lean > 0 else "second" if lean < 0 else "tie"
    reasoning = shown.reasoning if shown.preference == preference else swapped.reasoning
    return Verdict(
        preference=preference,
        probability=probability,
        probability_source=shown.probability_source,
        reasoning=reasoning,
    )

"""Both orders of one comparison, and the verdict that does not depend on the order."""

from __future__ import annotations

from collections.abc import Sequence

from synthesizeme.scoring import PairwiseScorer
from synthesizeme.types import Comparison, Failure, Preference, Verdict


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
    lean = votes[shown.preference] - votes[swapped.preference] or round(probability - 0.5, 9)
    preference: Preference = "first" if lean > 0 else "second" if lean < 0 else "tie"
    reasoning = shown.reasoning if shown.preference == preference else swapped.reasoning
    return Verdict(
        preference=preference,
        probability=probability,
        probability_source=shown.probability_source,
        reasoning=reasoning,
    )


class BothOrders:
    """A scorer that asks another one in both orders and combines; a failure in either order is a failure."""

    order_sensitive = False

    def __init__(self, scorer: PairwiseScorer) -> None:
        self.name = scorer.name
        self._scorer = scorer

    def compare(self, comparisons: Sequence[Comparison]) -> list[Verdict | Failure]:
        """One combined result per comparison."""
        both = [shown for comparison in comparisons for shown in (comparison, comparison.swapped())]
        results = self._scorer.compare(both)
        combined: list[Verdict | Failure] = []
        for shown, swapped in zip(results[::2], results[1::2], strict=True):
            if isinstance(shown, Failure):
                combined.append(shown)
            elif isinstance(swapped, Failure):
                combined.append(swapped)
            else:
                combined.append(combine(shown, swapped))
        return combined

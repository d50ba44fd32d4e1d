"""Reasons not to rely on a profile, found in what is known of it anyway: no further call is made.

- ``inconsistent``: fewer than `LEAST_CONSISTENT` of at least `FEW_ORDERED` pairs got the same choice in both
  orders. A judge that looks at the place alone has 0, one that tosses a coin 50 %.
- ``chance``: of at least `FEW_JUDGED` pairs, the 95 % interval of the share of verdicts that agree with the
  user (Wilson's, the pairs as its trials) does not lie above 50 %.
- ``repetition``: the writer said the same again, and `synthesizeme.personas.repetition` merged it.

Verdicts are those of the whole profile on test pairs, where it was measured on enough of them. Else both
orders are those of the validation pairs, judged as demonstrations were selected, and agreement is that on
train pairs judged with the persona, which was written from them: what is at chance there is so anywhere.

References:
    Wilson (1927), Probable inference, the law of succession, and statistical inference.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TypeVar

from synthesizeme.evaluation.harness import Outcome
from synthesizeme.profile import Caution, Persona, UserProfile
from synthesizeme.types import ORDERS, Order

Profile = TypeVar("Profile", bound=UserProfile)

LEAST_CONSISTENT = 0.6
"""Share of pairs with the same choice in both orders below which a judge is inconsistent."""
FEW_ORDERED, FEW_JUDGED = 4, 6
"""Pairs below which nothing is said of consistency, and of chance: five of five are no proof."""
KINDS = ("inconsistent", "chance", "repetition")
"""In the order in which they are told."""
_Z = 1.959964
"""Standard errors of a 95 % interval."""


@dataclass(frozen=True)
class Verdicts:
    """What is known of a judge's verdicts about one user's own pairs."""

    on: str
    """Which pairs, e.g. ``test``."""
    ordered: int = 0
    """Pairs with a verdict in both orders."""
    consistent: int = 0
    """Of those, pairs with the same choice in both."""
    judged: int = 0
    """Pairs whose verdicts say something of the profile."""
    correct: float = 0.0
    """Of those, how many agreed with the user; a tie, or one of two orders, counts half."""


def in_both_orders(scores: Mapping[tuple[str, Order], float]) -> tuple[int, int]:
    """Of pairs with a score in both orders, how many there are and how many have the same in both.

    Args:
        scores: By pair id and order, 1 for agreement with the user, .5 for a tie, 0 against.
    """
    pairs = dict.fromkeys(pair_id for pair_id, _ in scores)
    both = [
        {scores[pair_id, order] for order in ORDERS}
        for pair_id in pairs
        if all((pair_id, order) in scores for order in ORDERS)
    ]
    return len(both), sum(len(different) == 1 for different in both)


def measured(outcome: Outcome) -> Verdicts:
    """What an evaluation on test pairs says."""
    both = [pair.consistent for pair in outcome.pairs if pair.consistent is not None]
    return Verdicts("test", len(both), sum(both), len(outcome.answered), sum(outcome.scores.values()))


def with_cautions(profile: Profile, verdicts: Verdicts) -> Profile:
    """The profile with the cautions that its statements and these verdicts ask for.

    Cautions of the profile about which the verdicts are too few to say anything stay.
    """
    spoken = {"repetition"}
    spoken |= {"inconsistent"} if verdicts.ordered >= FEW_ORDERED else set()
    spoken |= {"chance"} if verdicts.judged >= FEW_JUDGED else set()
    found = [caution for caution in profile.cautions if caution.kind not in spoken]
    found += [*_of_verdicts(verdicts), *_of_statements(profile.persona)]
    told = tuple(sorted(found, key=lambda caution: KINDS.index(caution.kind)))
    return profile.model_copy(update={"cautions": told})


def _of_verdicts(found: Verdicts) -> Iterator[Caution]:
    n = found.ordered
    if n >= FEW_ORDERED and found.consistent < LEAST_CONSISTENT * n:
        share = found.consistent / n
        yield Caution(
            kind="inconsistent",
            text="the judge's choice turns with the order: it was the same in both for "
            f"{found.consistent} of {n} pairs ({100 * share:.0f} %, expected {100 * LEAST_CONSISTENT:.0f} or "
            "more). Cure: another model, or another judge prompt",
            figures={
                "pairs": n,
                "consistent": found.consistent,
                "share": share,
                "expected": LEAST_CONSISTENT,
            },
        )
    n = found.judged
    if n >= FEW_JUDGED:
        share = found.correct / n
        low, high = _wilson(share, n)
        if low <= 0.5:
            yield Caution(
                kind="chance",
                text=f"the judge's verdicts cannot be told from chance: {100 * share:.0f} % of those on {n} "
                f"{found.on} pairs agree with the user, 95 % interval {100 * low:.0f} to {100 * high:.0f}. "
                "Cure: more pairs, or another model",
                figures={"pairs": n, "accuracy": share, "low": low, "high": high},
            )


def _of_statements(persona: Persona | None) -> Iterator[Caution]:
    sentences = persona.sentences if persona else ()
    repeated = sum(sentence.repeats for sentence in sentences)
    if repeated:
        written = len(sentences) + repeated
        yield Caution(
            kind="repetition",
            text=f"the statements repeat each other: {written} were written, and {len(sentences)} "
            f"{'is' if len(sentences) == 1 else 'are'} left after those that say the same were merged. Cure: "
            "another model, or another persona prompt",
            figures={"written": written, "left": len(sentences)},
        )


def _wilson(share: float, n: int) -> tuple[float, float]:
    """Ends of the 95 % interval of a share of n trials.

    >>> [round(end, 3) for end in _wilson(1.0, 6)]
    [0.61, 1.0]
    """
    spread = _Z * _Z / n
    middle = (share + spread / 2) / (1 + spread)
    half = _Z / (1 + spread) * math.sqrt(share * (1 - share) / n + spread / (4 * n))
    return max(0.0, middle - half), min(1.0, middle + half)

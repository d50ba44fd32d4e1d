"""Whether a user's judge is better read several times: means of judgements, tried on validation pairs.

A model that draws its replies answers the same question now one way and now the other. Where one sample is
right with the chance q, the majority of k independent ones is right with the chance that Binomial(k, q)
exceeds k / 2: more often where q is above one half, less often below. Which of it weighs more is the user's
own, so it is tried: the mean of 3 samples, then that of 5, each takes the place of what is cheaper only
where its gain on the validation pairs, both orders of a pair as one, is positive. Ties go to the cheaper one.

References:
    P-GenRM (arXiv 2602.12116): several sampled judgements of the user's own judge are averaged at test time.
    Wang et al., "Self-Consistency Improves Chain of Thought Reasoning in Language Models" (2023).
    Differs: taken for a user only where it did better on that user's validation pairs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from synthesizeme.personas.selection import CandidateSet, Item, candidate_report
from synthesizeme.profile import Averaging, Candidate
from synthesizeme.scoring import PairwiseScorer

SAMPLES = (3, 5)
"""Numbers of samples whose mean is tried, the cheaper first."""
MOST_SAMPLES = SAMPLES[-1]


def choose_averaging(
    single: CandidateSet,
    judge: Callable[[Averaging], PairwiseScorer],
    validation: Sequence[Item],
    *,
    calls_left: Callable[[], int],
) -> tuple[Averaging | None, CandidateSet, list[Candidate]]:
    """The average that did better than one judgement, None where none did; its scores; what was tried.

    Args:
        single: The judge as it is read once; it is scored on what it was not scored on yet.
        judge: Makes the same judge read as a mean.
        validation: Validation pairs in both orders, adjacent.
        calls_left: Distinct calls that may still be made.
    """
    items, best, chosen, tried, asked = validation, single, None, [], 0
    for samples in SAMPLES:
        affordable = max(0, calls_left()) // (samples - asked)
        items = items[: affordable - affordable % 2]
        if not items:
            break
        single.judge_items(items)
        how = Averaging(samples=samples)
        mean = CandidateSet(f"mean of {samples} samples", single.demonstrations, judge(how))
        mean.judge_items(items)
        tried.append(mean)
        if mean.beats(best):
            pairs = len({pair.pair_id for pair, _ in items})
            update = {"gain": mean.shrunken_gain(single), "pairs": pairs}
            best, chosen = mean, how.model_copy(update=update)
        asked = samples
    return chosen, best, [candidate_report(it, single, selected=it is best) for it in tried]

"""How RewardBench 2 scores rewards of right and wrong responses.

References:
    Malik et al. (2025), RewardBench 2: Advancing Reward Model Evaluation, arXiv:2506.01937: best of four,
    and the score of the subset Ties, as its public code computes them (allenai/reward-bench).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np


class Rewards(NamedTuple):
    """Rewards of the responses to one prompt."""

    right: Sequence[float]
    """Of the right responses, at least one."""
    wrong: Sequence[float]
    """Of the wrong responses, at least one."""

    @property
    def gap(self) -> float:
        """The lowest reward of a right response less the highest of a wrong one."""
        return min(self.right) - max(self.wrong)

    @property
    def spread(self) -> float:
        """The highest reward of a right response less the lowest of one."""
        return max(self.right) - min(self.right)


def best_of_n(rewards: Rewards) -> float:
    """1 if the right response has the highest reward, 1/k if k responses share it with it, else 0.

    >>> best_of_n(Rewards([2.0], [1.0, 0.0, -1.0])), best_of_n(Rewards([2.0], [2.0, 0.0, -1.0]))
    (1.0, 0.5)
    """
    right = rewards.right[0]
    if right < max(rewards.wrong):
        return 0.0
    return 1 / (1 + sum(reward == right for reward in rewards.wrong))


def ties_score(one: Mapping[str, Rewards], several: Mapping[str, Rewards]) -> float:
    """Score of the subset Ties, at most 1.01 (the last term hardly counts).

    .3 and .3 for the share of prompts, of each kind, whose right responses all beat all wrong ones; .2 for
    the share of prompts with several right responses whose gap between right and wrong exceeds the spread
    among the right; .2 for the same with the smaller gap of that prompt and its counterpart; .01 for the mean
    of ``tanh(smaller gap / spread - 1)``.

    Args:
        one: Prompts with one right response, by number.
        several: Their counterparts with several, by the same numbers.
    """
    both = sorted(one.keys() & several.keys())
    accuracy = sum(
        0.3 * float(np.mean([it.gap > 0 for it in kind.values()])) for kind in (one, several) if kind
    )
    if not both:
        return accuracy
    spreads = np.array([several[number].spread for number in both])
    gaps = np.array([several[number].gap for number in both])
    smaller = np.minimum(gaps, [one[number].gap for number in both])
    with np.errstate(divide="ignore", invalid="ignore"):
        margin = np.nan_to_num(np.tanh(smaller / spreads - 1), nan=0.0)
    preferred = 0.2 * np.mean(gaps > spreads) + 0.2 * np.mean(smaller > spreads)
    return accuracy + float(preferred + 0.01 * np.mean(margin))

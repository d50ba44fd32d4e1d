"""Whether a user's recent pairs contradict the profile: one comparison of two accuracies.

Every new pair is judged with the profile in both orders before anything is learned from it (prequential
evaluation, Dawid 1984), so its score is as honest as that of a test pair. Of all such scores the last
`WINDOW` are recent; those before them and those of the test pairs are the base. With k of n and k' of n'
correct,

    p = (k + 1) / (n + 2),   p' = (k' + 1) / (n' + 2),   loss = p - p'
    SE(loss)^2 = p (1 - p) / (n + 2) + p' (1 - p') / (n' + 2)

and the user is flagged when loss > `Z` * SE: one-sided, 1 % if the scores were independent coins. The added
successes and failures (Agresti and Caffo) keep the error near that size where pairs are few. What it is on
planted users, with and without a change of taste, is in experiments/drift.

A flag says that the pairs do not fit; it does not change how the next profile is made.

References:
    Agresti and Caffo (2000), Simple and effective confidence intervals for proportions and differences of
    proportions, section 3. Dawid (1984), The prequential approach.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from synthesizeme.profiles.store import DriftCheck, Track

WINDOW = 20
"""Most recent pairs that are compared with those before."""
LEAST_BASE, LEAST_RECENT = 2, 4
"""Pairs below which nothing is compared."""
Z = 2.326
"""Standard errors of loss beyond which a user is flagged."""


def started(scores: Sequence[float]) -> Track:
    """The track of a profile that is new: its scores on test pairs are the base."""
    return Track(base_pairs=len(scores), base_correct=sum(scores))


def extended(track: Track, scores: Sequence[float]) -> Track:
    """The track with further scores in [0, 1], oldest first.

    >>> extended(Track(base_pairs=2, base_correct=2.0, recent=(1.0,)), [0.0]).recent
    (1.0, 0.0)
    """
    recent = (*track.recent, *scores)
    short = LEAST_BASE - track.base_pairs
    over = max(len(recent) - WINDOW, min(short, len(recent)), 0)
    return Track(
        base_pairs=track.base_pairs + over,
        base_correct=track.base_correct + sum(recent[:over]),
        recent=recent[over:],
    )


def check(track: Track) -> DriftCheck | None:
    """Compare the recent scores of a track with its base; None where there are too few of either.

    Eight of ten right before and two of ten since:

    >>> found = check(Track(base_pairs=10, base_correct=8, recent=(0.0,) * 8 + (1.0,) * 2))
    >>> round(found.loss, 3), round(found.standard_error, 3), found.drifted
    (0.5, 0.177, True)
    """
    n, m = track.base_pairs, len(track.recent)
    if n < LEAST_BASE or m < LEAST_RECENT:
        return None
    before, since = (track.base_correct + 1) / (n + 2), (sum(track.recent) + 1) / (m + 2)
    error = math.sqrt(before * (1 - before) / (n + 2) + since * (1 - since) / (m + 2))
    loss = before - since
    return DriftCheck(base_pairs=n, recent_pairs=m, loss=loss, standard_error=error, drifted=loss > Z * error)

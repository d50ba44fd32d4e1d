"""A user in plain words, from how the answers they chose differ from those they rejected."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from reward_models._types import Histories
from synthesizeme import stylometry
from synthesizeme.profile import UserProfile
from synthesizeme.types import PreferencePair

Floats = NDArray[np.float64]
Profiler = Callable[[Sequence[PreferencePair]], str]
PRIOR = 4.0
"""Pseudo-observations, one typical difference each, that pull a statistic to 0."""
MENTIONED, STRONG = 1.0, 2.0
"""Sizes of the statistic from which a preference is named, and named as strong."""
MOST = 5
"""Sentences of a profile."""
FOLDS = 5


class StylometricProfiler:
    """Writes the user's strongest preferences among the named features, relative to everybody's.

    For feature j with differences d_i (chosen minus rejected, in typical differences, clipped to [-3, 3])
    over the user's n pairs and m_j their mean over all training pairs, the shrunken statistic is

        t_j = sum_i (d_ij - m_j) / sqrt(sum_i (d_ij - m_j)^2 + PRIOR)

    Args:
        baseline: m, shape (F,): what everybody prefers and a profile need not say.
    """

    def __init__(self, baseline: Floats) -> None:
        self.baseline = baseline

    def __call__(self, pairs: Sequence[PreferencePair]) -> str:
        """At most `MOST` sentences, strongest first; empty when nothing stands out or there is no pair."""
        deviations = differences(pairs) - self.baseline
        statistics = deviations.sum(0) / np.sqrt((deviations**2).sum(0) + PRIOR)
        strongest = sorted(range(len(statistics)), key=lambda j: -abs(statistics[j]))[:MOST]
        return " ".join(_sentence(j, statistics[j]) for j in strongest if abs(statistics[j]) >= MENTIONED)


def differences(pairs: Sequence[PreferencePair]) -> Floats:
    """Named features of the chosen response minus those of the rejected one, shape (n, F)."""
    rows = [stylometry.difference(p.chosen_text, p.rejected_text, p.prompt[-1].content) for p in pairs]
    return np.asarray(rows, dtype=np.float64).reshape(len(rows), len(stylometry.FEATURES))


def profile_text(profile: UserProfile | str) -> str:
    """A profile as text: the persona, then the demonstrations, each as what was asked, preferred and not."""
    if isinstance(profile, str):
        return profile
    parts = [profile.persona.text] if profile.persona else []
    for shown in profile.demonstrations:
        better, worse = shown.comparison.first, shown.comparison.second
        if shown.preference == "second":
            better, worse = worse, better
        parts.append(f"Asked: {shown.comparison.prompt[-1].content}\nPreferred: {better}\nNot: {worse}")
    return "\n".join(parts)


def cross_fitted(
    histories: Histories, profiler: Profiler, known: Mapping[str, str], *, dropout: float, seed: int
) -> list[str]:
    """A profile for every pair that has not seen the pair: written from the user's other folds.

    Args:
        histories: Pairs by user.
        profiler: Writes a profile from pairs; called once for each of the `FOLDS` folds of a user.
        known: Profiles by user id that are given and not written here.
        dropout: Share of pairs, in [0, 1], that get an empty profile, so that nobody can be scored too.
        seed: Of folds and dropout.

    Returns:
        One text per pair, in the order of `histories`.
    """
    rng = np.random.default_rng(seed)
    found: list[str] = []
    for user_id, history in histories.items():
        texts = [known.get(user_id, "")] * len(history)
        if user_id not in known:
            fold = rng.permutation(len(history)) % FOLDS
            for k in range(min(FOLDS, len(history))):
                others = _others(history, fold, k)
                text = profiler(others) if others else ""
                texts = [text if fold[i] == k else old for i, old in enumerate(texts)]
        found.extend("" if rng.random() < dropout else text for text in texts)
    return found


def _others(history: Sequence[PreferencePair], fold: NDArray[np.int64], k: int) -> list[PreferencePair]:
    """Pairs of the other folds, without those that compare the same two responses as one of fold `k`."""
    held = {content(pair) for pair, f in zip(history, fold, strict=True) if f == k}
    return [p for p, f in zip(history, fold, strict=True) if f != k and content(p) not in held]


def content(pair: PreferencePair) -> tuple[object, frozenset[str]]:
    """What a pair compares, whichever side was chosen."""
    return pair.prompt, frozenset((pair.chosen_text, pair.rejected_text))


def _sentence(feature: int, statistic: float) -> str:
    named = stylometry.FEATURES[feature]
    verb = "Strongly prefers" if abs(statistic) >= STRONG else "Prefers"
    return f"{verb} {named.more if statistic > 0 else named.less}."

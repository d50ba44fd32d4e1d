"""ROUGE-1 and ROUGE-L as F-measures, without stemming: how much of a text's wording another one has."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

_SEPARATOR = re.compile(r"[^a-z0-9]+")


def rouge_1(target: str, prediction: str) -> float:
    """F-measure of the words both have, each counted as often as both have it; in [0, 1].

    Words are runs of ASCII letters and digits in lower case, as in the library rouge-score.

    References:
        Lin (2004), ROUGE: A Package for Automatic Evaluation of Summaries, section 2.
    """
    ours, theirs = _words(target), _words(prediction)
    return _f_measure((Counter(ours) & Counter(theirs)).total(), len(ours), len(theirs))


def rouge_l(target: str, prediction: str) -> float:
    """F-measure of the longest common subsequence of words, in [0, 1].

    References:
        Lin (2004), section 3.1, equations 2 to 4 with beta = 1.
    """
    ours, theirs = _words(target), _words(prediction)
    return _f_measure(_longest_common_subsequence(ours, theirs), len(ours), len(theirs))


def _words(text: str) -> list[str]:
    return [word for word in _SEPARATOR.split(text.lower()) if word]


def _f_measure(common: int, n_target: int, n_prediction: int) -> float:
    if not common:
        return 0.0
    precision, recall = common / n_prediction, common / n_target
    return 2 * precision * recall / (precision + recall)


def _longest_common_subsequence(a: Sequence[str], b: Sequence[str]) -> int:
    lengths = [0] * (len(b) + 1)
    for word in a:
        diagonal = 0
        for j, other in enumerate(b, 1):
            above = lengths[j]
            lengths[j] = diagonal + 1 if word == other else max(above, lengths[j - 1])
            diagonal = above
    return lengths[-1]

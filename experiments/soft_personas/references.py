"""What the neural readers stand beside: the oracle, and two readers of the true attributes of a history."""

from __future__ import annotations

import numpy as np
import planted

VARIANCE = 4.0
"""Prior variance of every weight of the logistic regression."""


def oracle(pairs):
    """1 where the more probable response was chosen."""
    return [float(pair.metadata["chance"] > 0.5) for pair in pairs]


def attributes(pairs):
    """Chosen minus rejected: attributes, refusals, and attributes times the kind of the prompt, (n, 9)."""
    sides = [[planted.read(text) for text in (pair.chosen_text, pair.rejected_text)] for pair in pairs]
    apart = np.array([np.subtract(*both) for both in sides], dtype=float).reshape(len(pairs), -1)
    kinds = np.array([pair.metadata["kind"] for pair in pairs])[:, None]
    return np.hstack([apart, kinds * apart[:, :-1]])


def logistic(history, asked):
    """Ridge logistic regression on the true attributes of this history, by Newton's method."""
    shown = attributes(history)
    weights = np.zeros(shown.shape[1])
    for _ in range(12):
        chance = 1 / (1 + np.exp(-shown @ weights))
        curvature = (shown * (chance * (1 - chance))[:, None]).T @ shown + np.eye(len(weights)) / VARIANCE
        weights += np.linalg.solve(curvature, shown.T @ (1 - chance) - weights / VARIANCE)
    return _right(attributes(asked) @ weights)


def counting(history, asked):
    """By how often the chosen one of the history had an attribute and the rejected one had not."""
    return _right(attributes(asked)[:, :5] @ attributes(history)[:, :5].sum(0))


def _right(margins):
    """1 for a chosen response that is preferred, one half for a tie."""
    return [0.5 if abs(margin) < 1e-9 else float(margin > 0) for margin in margins]

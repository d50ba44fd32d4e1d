"""The metrics of LaMP, from answers as they were given: what is no answer costs, and is never left out."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np

from synthesizeme.evaluation.intervals import RESAMPLES, interval
from synthesizeme.evaluation.rouge import rouge_1, rouge_l
from synthesizeme.types import Frozen

AnswerKind = Literal["reference", "label", "score", "text"]
_Metric = Callable[[Sequence[str], Sequence[str], Sequence[str]], float]


class Measured(Frozen):
    """One metric with its interval over users."""

    value: float
    """Over all questions."""
    low: float
    """Lower end of the 95 % interval."""
    high: float
    """Upper end."""
    better: Literal["higher", "lower"]
    """Which direction is better."""


def accuracy(golds: Sequence[str], answers: Sequence[str]) -> float:
    """Share of answers that are the gold one, in [0, 1]; what is no label is wrong."""
    return sum(map(str.__eq__, golds, answers)) / len(golds)


def macro_f1(golds: Sequence[str], answers: Sequence[str], labels: Sequence[str]) -> float:
    """Mean over all labels of their F1, in [0, 1].

    A label that neither occurs nor is answered has F1 = 0, and an answer that is no label costs the gold
    label's recall: ``f1_score(labels=labels, average="macro", zero_division=0)`` of scikit-learn.
    """
    total = 0.0
    for label in labels:
        right = sum(gold == answer == label for gold, answer in zip(golds, answers, strict=True))
        said = sum(answer == label for answer in answers)
        there = sum(gold == label for gold in golds)
        total += 2 * right / (said + there) if said + there else 0.0
    return total / len(labels)


def as_score(gold: str, answer: str, labels: Sequence[str]) -> float:
    """A score as a number; what is none on the scale counts as the extreme farther from the gold."""
    low, high = (float(label) for label in (labels[0], labels[-1]))
    try:
        value = float(answer)
    except ValueError:
        value = math.nan
    if low <= value <= high:
        return value
    return low if abs(float(gold) - low) > abs(float(gold) - high) else high


def mean_absolute_error(golds: Sequence[str], answers: Sequence[str], labels: Sequence[str]) -> float:
    """Mean distance of the scores, in points of the scale."""
    return float(np.mean([abs(error) for error in _errors(golds, answers, labels)]))


def root_mean_squared_error(golds: Sequence[str], answers: Sequence[str], labels: Sequence[str]) -> float:
    """Root of the mean squared distance of the scores, in points of the scale."""
    return math.sqrt(float(np.mean([error**2 for error in _errors(golds, answers, labels)])))


def measure(
    kind: AnswerKind,
    golds: Sequence[str],
    answers: Sequence[str],
    users: Sequence[str],
    labels: Sequence[str] = (),
    *,
    seed: int = 0,
) -> dict[str, Measured]:
    """All metrics of a task, each with an interval that resamples users.

    Args:
        kind: What an answer is.
        golds: One for each question, at least one.
        answers: As given; empty where there was none.
        users: Whose questions they are.
        labels: All labels, in order, for the tasks that have them.
        seed: Seed of the bootstrap.

    References:
        Salemi et al. (2024), arXiv 2304.11406, section 3: accuracy for task 1, accuracy and F1 for 2, MAE and
        RMSE for 3, ROUGE-1 and ROUGE-L for 4 to 7.
    """
    answers = [answer.strip() for answer in answers]
    if kind == "score":
        errors = _errors(golds, answers, labels)
        widest = float(labels[-1]) - float(labels[0])
        squared = _mean([error**2 for error in errors], users, (0.0, widest**2), "lower", seed)
        roots = {name: math.sqrt(max(getattr(squared, name), 0.0)) for name in ("value", "low", "high")}
        return {
            "MAE": _mean([abs(error) for error in errors], users, (0.0, widest), "lower", seed),
            "RMSE": squared.model_copy(update=roots),
        }
    if kind == "text":
        return {
            name: _mean(list(map(metric, golds, answers)), users, (0.0, 1.0), "higher", seed)
            for name, metric in (("ROUGE-1", rouge_1), ("ROUGE-L", rouge_l))
        }
    right = [float(gold == answer) for gold, answer in zip(golds, answers, strict=True)]
    return {
        "accuracy": _mean(right, users, (0.0, 1.0), "higher", seed),
        "macro-F1": _resampled(macro_f1, golds, answers, users, labels, seed),
    }


def _errors(golds: Sequence[str], answers: Sequence[str], labels: Sequence[str]) -> list[float]:
    return [as_score(gold, answer, labels) - float(gold) for gold, answer in zip(golds, answers, strict=True)]


def _mean(
    values: Sequence[float],
    users: Sequence[str],
    bounds: tuple[float, float],
    better: Literal["higher", "lower"],
    seed: int,
) -> Measured:
    found = interval(values, users, bounds=bounds, seed=seed)
    value = 0.0 if found.value is None else found.value
    return Measured(
        value=value,
        low=value if found.low is None else found.low,
        high=value if found.high is None else found.high,
        better=better,
    )


def _resampled(
    metric: _Metric,
    golds: Sequence[str],
    answers: Sequence[str],
    users: Sequence[str],
    labels: Sequence[str],
    seed: int,
) -> Measured:
    """A metric that is no mean: users are drawn with replacement, each with all their questions."""
    value = metric(golds, answers, labels)
    rows: dict[str, list[int]] = {}
    for row, user in enumerate(users):
        rows.setdefault(user, []).append(row)
    groups = list(rows.values())
    rng = np.random.default_rng(seed)
    drawn = []
    for _ in range(min(RESAMPLES, 1000)):
        chosen = [row for group in rng.integers(len(groups), size=len(groups)) for row in groups[group]]
        drawn.append(metric([golds[row] for row in chosen], [answers[row] for row in chosen], labels))
    low, high = (float(it) for it in np.quantile(drawn, (0.025, 0.975)))
    return Measured(value=value, low=min(low, value), high=max(high, value), better="higher")

"""The metrics of LaMP, from answers as they were given: what is no answer costs, and is never left out."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np
from pydantic import Field

from synthesizeme.datasets.lamp import Kind
from synthesizeme.evaluation.intervals import RESAMPLES, interval
from synthesizeme.evaluation.report import SavedReport, environment
from synthesizeme.evaluation.tables import ABSENT, Sheet
from synthesizeme.types import Frozen, Usage

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


_Formula = Callable[[Sequence[str], Sequence[str], Sequence[str]], float]


class Metric(Frozen):
    """One metric with its interval over users."""

    value: float
    """Over all questions."""
    low: float
    """Lower end of the 95 % interval."""
    high: float
    """Upper end."""
    better: Literal["higher", "lower"]
    """Which direction is better."""


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


def metrics_of(
    kind: Kind,
    golds: Sequence[str],
    answers: Sequence[str],
    users: Sequence[str],
    labels: Sequence[str] = (),
    *,
    seed: int = 0,
) -> dict[str, Metric]:
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
) -> Metric:
    found = interval(values, users, bounds=bounds, seed=seed)
    value = 0.0 if found.value is None else found.value
    return Metric(
        value=value,
        low=value if found.low is None else found.low,
        high=value if found.high is None else found.high,
        better=better,
    )


def _resampled(
    metric: _Formula,
    golds: Sequence[str],
    answers: Sequence[str],
    users: Sequence[str],
    labels: Sequence[str],
    seed: int,
) -> Metric:
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
    return Metric(value=value, low=min(low, value), high=max(high, value), better="higher")


_CONTROLS = {
    "no_user": "without the user",
    "wrong_user": "another user's",
    "swapped_labels": "labels swapped",
}


class LampRow(Frozen):
    """One scorer."""

    name: str
    """Name on the command line."""
    metrics: dict[str, Metric]
    """Each metric of the task with its interval."""
    controls: dict[str, dict[str, float]] = Field(default_factory=dict)
    """The same metrics when something else is known of the user."""
    questions: int
    """Questions asked."""
    failures: dict[str, int] = Field(default_factory=dict)
    """Questions that got no answer, by kind; they count as a wrong one."""
    usage: Usage | None = None
    """Model calls; None where no model was asked."""

    @property
    def tokens_per_question(self) -> float | None:
        """Prompt tokens of one question, all its comparisons together; None where no model was asked."""
        return None if self.usage is None else self.usage.prompt_tokens / self.questions


class LampReport(SavedReport):
    """One task, any number of scorers."""

    rows: tuple[LampRow, ...]
    """One per scorer, in the order asked for."""
    environment: dict[str, str] = Field(default_factory=environment)
    """Versions that the numbers may depend on."""

    def sheets(self) -> list[Sheet]:
        """One table: a line for each scorer."""
        metrics = list(self.rows[0].metrics) if self.rows else []
        controls = [name for name in _CONTROLS if any(name in row.controls for row in self.rows)]
        heading = ["scorer", *(cell for metric in metrics for cell in (metric, "95 %"))]
        heading += [f"{metrics[0]}, {_CONTROLS[name]}" for name in controls]
        table = [[*heading, "no answer", "tokens a question"]]
        for row in self.rows:
            cells = [row.name]
            for metric in metrics:
                found = row.metrics[metric]
                cells += [f"{found.value:.3f}", f"[{found.low:.3f}, {found.high:.3f}]"]
            told = [row.controls.get(name) for name in controls]
            cells += [ABSENT if values is None else f"{values[metrics[0]]:.3f}" for values in told]
            tokens = row.tokens_per_question
            cells += [str(sum(row.failures.values())), ABSENT if tokens is None else f"{tokens:,.0f}"]
            table.append(cells)
        legend = [
            (name, "less is better.") for name in metrics if self.rows[0].metrics[name].better == "lower"
        ]
        legend += [
            ("95 %", "bootstrap over users, all questions of a user drawn together."),
            ("no answer", "questions without one; they count as a wrong answer."),
        ]
        return [Sheet("Answers", table, legend)]

    def to_markdown(self) -> str:
        """Heading, protocol, table, legend."""
        return f"## {self.benchmark}\n\n{self.protocol}\n\n{self.sheets()[0].to_markdown()}"

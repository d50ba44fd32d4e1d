"""What knowing a user costs in general quality: the personalization tax, on RewardBench 2.

References:
    Dong et al. (2025), When Personalization Meets Reality: A Multi-Faceted Analysis of Personalized
    Preference Learning, arXiv:2502.19158: the term, and the measurement on a general benchmark.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from pydantic import Field

from synthesizeme.errors import ConfigError
from synthesizeme.evaluation.intervals import Interval, interval
from synthesizeme.evaluation.report import SavedReport, environment
from synthesizeme.evaluation.reward_bench import (
    TIES_SUBSET,
    GeneralQuestion,
    Rewards,
    best_of_n,
    load_reward_bench,
    ties_score,
)
from synthesizeme.evaluation.tables import ABSENT, Sheet, percent, span
from synthesizeme.scoring import Answer, PersonalRewards
from synthesizeme.types import Frozen, Reward

NAME = "reward-bench-2"
OVERALL = "mean of subsets"
_BOUNDS = (-1.02, 1.02)
"""Between which a difference of two scores lies; that of Ties goes from -0.01 to 1.01."""


class Tax(Frozen):
    """One subset, or their mean."""

    without: float
    """Score of the model without a user, a share."""
    known: float | None
    """Mean score with the state of a user; None without users."""
    tax: Interval | None
    """Mean over users of the score with the user's state minus the one without; below 0 it costs."""
    worst: float | None
    """Score with the state of the user for whom it is lowest."""


class TaxRow(Frozen):
    """One reward model."""

    name: str
    """Name or folder of the model."""
    users: int
    """Users whose states were tried."""
    scores: dict[str, Tax]
    """By subset, and under `OVERALL` for the mean of all subsets."""


class TaxReport(SavedReport):
    """RewardBench 2 with and without the users of each model."""

    benchmark: str = NAME
    """Name of the benchmark."""
    rows: tuple[TaxRow, ...]
    """One per model, in the order asked for."""
    environment: dict[str, str] = Field(default_factory=environment)
    """Versions that the numbers may depend on."""

    def sheets(self) -> list[Sheet]:
        """One table: a line for each model and subset."""
        cells = [
            ["model", "subset", "without a user", "with a user", "personalization tax", "95 %", "worst user"]
        ]
        for row in self.rows:
            for subset, found in row.scores.items():
                low, high = (None, None) if found.tax is None else (found.tax.low, found.tax.high)
                value = None if found.tax is None else found.tax.value
                shares = [
                    percent(found.without), percent(found.known), percent(value, "+"),
                    span(low, high, "+"), percent(found.worst),
                ]  # fmt: skip
                cells.append([row.name, subset, *(cell or ABSENT for cell in shares)])
        legend = [
            (
                "personalization tax",
                "score with a user's state minus the one without, in points, mean "
                "over users; below 0 is what personalization costs in general quality.",
            ),
            ("95 %", "bootstrap over users; the questions are held fixed."),
            (
                TIES_SUBSET,
                "the benchmark's weighted score of accuracy and margins; other subsets: "
                "share of questions whose right response has the highest reward.",
            ),
        ]
        return [Sheet("Personalization tax", cells, legend)]

    def to_markdown(self) -> str:
        """Heading, protocol, table, legend."""
        return f"## {self.benchmark}\n\n{self.protocol}\n\n{self.sheets()[0].to_markdown()}"


def tax_of_checkpoints(
    folders: Sequence[str],
    data_dir: Path | None = None,
    max_users: int | None = None,
    floor: str | None = None,
) -> TaxReport:
    """The personalization tax of checkpoints.

    Args:
        folders: Folders of the checkpoints.
        data_dir: Folder to look for RewardBench 2 in.
        max_users: Take only the first so many users of each model.
        floor: What all of them are to stand on; None leaves each its own.

    Raises:
        ConfigError: a name is no folder, or its model refuses unknown users.
        DataError: a checkpoint or the data cannot be read, or the data is nowhere.
    """
    from reward_models import load

    if others := [name for name in folders if not Path(name).is_dir()]:
        raise ConfigError(
            f"{NAME} is asked of trained reward models alone, as folders that `synthesizeme train` wrote; "
            f"found {', '.join(others)}"
        )
    models = [(name, load(Path(name))) for name in folders]
    for _, model in models:
        if floor is not None:
            model.stand_on(floor)
    return tax_report(models, load_reward_bench(data_dir), max_users=max_users)


def tax_report(
    models: Sequence[tuple[str, PersonalRewards]],
    questions: Sequence[GeneralQuestion],
    *,
    max_users: int | None = None,
    seed: int = 0,
) -> TaxReport:
    """Score every model on the questions, without a user and as each of its users.

    Args:
        models: Fitted reward models with their names.
        questions: Of RewardBench 2, or in its form.
        max_users: Take only the first so many users of each model.
        seed: Seed of the bootstrap.

    Raises:
        ConfigError: a model refuses unknown users, so that there is nothing to compare with.
    """
    rows = [_row(name, model, questions, max_users, seed) for name, model in models]
    responses = sum(len(it.right) + len(it.wrong) for it in questions)
    subsets = list(dict.fromkeys(it.subset for it in questions))
    protocol = (
        f"Which of several responses is right, asked of nobody in particular: {len(questions):,} questions "
        f"with {responses:,} responses in {len(subsets)} subsets ({', '.join(subsets)}), scored without a "
        "user and with the state of every user of the model."
    )
    return TaxReport(protocol=protocol, rows=tuple(rows))


def _row(
    name: str, model: PersonalRewards, questions: Sequence[GeneralQuestion], max_users: int | None, seed: int
) -> TaxRow:
    users = list(model.users_)[:max_users]
    nobody = next(f"nobody{i}" for i in range(len(model.users_) + 1) if f"nobody{i}" not in model.users_)
    without = _scores(name, model, questions, nobody)
    known = [_scores(name, model, questions, user) for user in users]
    scores = {}
    for subset, score in without.items():
        found = np.array([scored[subset] for scored in known])
        scores[subset] = Tax(
            without=score,
            known=float(found.mean()) if users else None,
            tax=interval(found - score, users, bounds=_BOUNDS, seed=seed) if users else None,
            worst=float(found.min()) if users else None,
        )
    return TaxRow(name=name, users=len(users), scores=scores)


def _scores(
    name: str, model: PersonalRewards, questions: Sequence[GeneralQuestion], user_id: str
) -> dict[str, float]:
    """Score of each subset as this user, and their mean."""
    asked = [(it.prompt, text) for it in questions for text in (*it.right, *it.wrong)]
    results = model.score([Answer(prompt, text, user_id) for prompt, text in asked])
    values = [result.value for result in results if isinstance(result, Reward)]
    if len(values) < len(results):
        raise ConfigError(
            f"{name}: refuses users that it does not know, so there is no score without a user; train it "
            "with params.unknown_user=population"
        )
    by_subset: dict[str, dict[str, Rewards]] = {}
    start = 0
    for it in questions:
        middle = start + len(it.right)
        end = middle + len(it.wrong)
        rewards = Rewards(values[start:middle], values[middle:end])
        by_subset.setdefault(it.subset, {})[it.question_id] = rewards
        start = end
    scores = {subset: _score(subset, rewards) for subset, rewards in by_subset.items()}
    return {**scores, OVERALL: float(np.mean(list(scores.values())))}


def _score(subset: str, rewards: dict[str, Rewards]) -> float:
    if subset != TIES_SUBSET:
        return float(np.mean([best_of_n(it) for it in rewards.values()]))
    one, several = (
        {key.removeprefix(kind): it for key, it in rewards.items() if key.startswith(kind)}
        for kind in ("ref:", "tied:")
    )
    return ties_score(one, several)

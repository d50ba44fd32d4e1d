"""What knowing a user costs in general quality: the personalization tax, on RewardBench 2.

RewardBench 2 asks which of several responses is right, nobody in particular. A row (invented here, in its
format; allenai/reward-bench-2, ODC-BY)::

    {"id": "12", "prompt": "Name the capital of Norway.", "chosen": ["Oslo."],
     "rejected": ["Bergen.", "Stockholm.", "I cannot say."], "num_correct": 1, "num_incorrect": 3,
     "total_completions": 4, "models": ["m"], "subset": "Factuality", "additional_metadata": {...}}

Subsets are Factuality, Precise IF, Math, Safety, Focus, and Ties. In Ties ``ref:7`` has one right
response and ``tied:7`` several to a like question, none better than another. These are no pairs of a user.

References:
    Malik et al. (2025), RewardBench 2: Advancing Reward Model Evaluation, arXiv:2506.01937: best of four,
    and the score of the subset Ties, as its public code computes them (allenai/reward-bench).
    Dong et al. (2025), When Personalization Meets Reality: A Multi-Faceted Analysis of Personalized
    Preference Learning, arXiv:2502.19158: the term, and the measurement on a general benchmark.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from pydantic import Field

from synthesizeme.datasets import find_data
from synthesizeme.datasets.rows import ReadReport, SourceRow, rows_of
from synthesizeme.errors import ConfigError
from synthesizeme.evaluation.intervals import Interval, interval
from synthesizeme.evaluation.report import SavedReport, environment
from synthesizeme.evaluation.tables import ABSENT, Sheet, percent, span
from synthesizeme.plain_text import short_repr
from synthesizeme.scoring import Answer, PersonalRewards
from synthesizeme.types import Frozen, Message, Reward

HUB_NAME = "allenai/reward-bench-2"
TIES_SUBSET = "Ties"
_CURE = "fetch the file again from huggingface.co/datasets/allenai/reward-bench-2"


class GeneralQuestion(Frozen):
    """A prompt and responses of which some are right."""

    question_id: str
    """Unique within its subset."""
    subset: str
    """Which of the benchmark's subsets it belongs to."""
    prompt: tuple[Message, ...]
    """One user turn."""
    right: tuple[str, ...]
    """The right responses, at least one."""
    wrong: tuple[str, ...]
    """The wrong responses, at least one."""


def load_reward_bench(data_dir: str | Path | None = None) -> tuple[GeneralQuestion, ...]:
    """RewardBench 2 from `data_dir`, ``$SYNTHESIZEME_DATA_DIR`` or the hub.

    Args:
        data_dir: A folder that holds ``reward-bench-2``, a folder of Parquet or JSON Lines files as on the
            hub, or one such file of that name.

    Raises:
        DataError: it is nowhere, a row is malformed, or two questions of a subset share an id.
    """
    return read_reward_bench(find_data(HUB_NAME, data_dir=data_dir))


def read_reward_bench(source: Path) -> tuple[GeneralQuestion, ...]:
    """The questions of a file, or of all files of a folder.

    Raises:
        DataError: see `load_reward_bench`.
    """
    places = list(rows_of(source, ReadReport()))
    found = [_question(place) for place in places]
    counts = Counter((it.subset, it.question_id) for it in found)
    for place, it in zip(places, found, strict=True):
        if counts[it.subset, it.question_id] > 1:
            problem = f"found {short_repr(it.question_id)} more than once in {it.subset}; expected unique ids"
            raise place.error(problem, field="id", cure="name one file, or remove the repeated rows")
    return tuple(found)


def _question(place: SourceRow) -> GeneralQuestion:
    row = place.row
    for field in ("id", "prompt", "subset"):
        if not isinstance(row.get(field), str) or not row[field].strip():
            raise place.error(f"found {short_repr(row.get(field))}; expected text", field=field, cure=_CURE)
    for field, counted in (("chosen", "num_correct"), ("rejected", "num_incorrect")):
        texts = row.get(field)
        if not isinstance(texts, list) or not texts or not all(isinstance(text, str) for text in texts):
            problem = f"found {short_repr(texts)}; expected a list of at least one text"
            raise place.error(problem, field=field, cure=_CURE)
        if row.get(counted, len(texts)) != len(texts):
            problem = f"found {short_repr(row[counted])}, and {len(texts)} texts in {field!r}"
            raise place.error(problem, field=counted, cure=_CURE)
    kind, _, number = row["id"].partition(":")
    if row["subset"] == TIES_SUBSET and (kind not in ("ref", "tied") or not number):
        problem = (
            f"found {short_repr(row['id'])}; expected ref:NUMBER or tied:NUMBER in the subset {TIES_SUBSET}"
        )
        raise place.error(problem, field="id", cure=_CURE)
    return GeneralQuestion(
        question_id=row["id"],
        subset=row["subset"],
        prompt=(Message(role="user", content=row["prompt"]),),
        right=tuple(row["chosen"]),
        wrong=tuple(row["rejected"]),
    )


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
) -> TaxReport:
    """Score every model on the questions, without a user and as each of its users.

    Args:
        models: Fitted reward models with their names.
        questions: Of RewardBench 2, or in its form.
        max_users: Take only the first so many users of each model.

    Raises:
        ConfigError: a model refuses unknown users, so that there is nothing to compare with.
    """
    rows = [_row(name, model, questions, max_users) for name, model in models]
    responses = sum(len(it.right) + len(it.wrong) for it in questions)
    subsets = list(dict.fromkeys(it.subset for it in questions))
    protocol = (
        f"Which of several responses is right, asked of nobody in particular: {len(questions):,} questions "
        f"with {responses:,} responses in {len(subsets)} subsets ({', '.join(subsets)}), scored without a "
        "user and with the state of every user of the model."
    )
    return TaxReport(protocol=protocol, rows=tuple(rows))


def _row(
    name: str, model: PersonalRewards, questions: Sequence[GeneralQuestion], max_users: int | None
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
            tax=interval(found - score, users, bounds=_BOUNDS) if users else None,
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

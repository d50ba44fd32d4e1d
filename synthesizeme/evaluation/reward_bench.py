"""RewardBench 2: which of several responses is right, asked of nobody in particular.

A row (Malik et al. 2025, arXiv:2506.01937, allenai/reward-bench-2, ODC-BY; invented here, in its format)::

    {"id": "12", "prompt": "Name the capital of Norway.", "chosen": ["Oslo."],
     "rejected": ["Bergen.", "Stockholm.", "I cannot say."], "num_correct": 1, "num_incorrect": 3,
     "total_completions": 4, "models": ["m"], "subset": "Factuality", "additional_metadata": {...}}

Subsets are Factuality, Precise IF, Math, Safety, Focus, and Ties. In Ties ``ref:7`` has one right
response and ``tied:7`` several to a like question, none better than another. These are no pairs of a user.

References:
    Malik et al. (2025), RewardBench 2: Advancing Reward Model Evaluation, arXiv:2506.01937: best of four,
    and the score of the subset Ties, as its public code computes them (allenai/reward-bench).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from synthesizeme.datasets import find_data
from synthesizeme.datasets.rows import ReadReport, SourceRow, rows_of
from synthesizeme.plain_text import short_repr
from synthesizeme.types import Frozen, Message

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

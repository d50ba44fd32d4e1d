"""RewardBench 2: which of several responses is right, asked of nobody in particular.

A row (Malik et al. 2025, arXiv:2506.01937, allenai/reward-bench-2, ODC-BY; invented here, in its format)::

    {"id": "12", "prompt": "Name the capital of Norway.", "chosen": ["Oslo."],
     "rejected": ["Bergen.", "Stockholm.", "I cannot say."], "num_correct": 1, "num_incorrect": 3,
     "total_completions": 4, "models": ["m"], "subset": "Factuality", "additional_metadata": {...}}

Subsets are Factuality, Precise IF, Math, Safety, Focus, and Ties. In Ties ``ref:7`` has one right
response and ``tied:7`` several to a like question, none better than another. These are no pairs of a user.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from synthesizeme.datasets._base import find_data
from synthesizeme.datasets.rows.containers import rows_of
from synthesizeme.datasets.rows.sources import ReadReport, SourceRow
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

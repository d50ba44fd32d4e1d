"""What OpenRLHF sends and expects: texts and labels in, rewards, scores and logged numbers out."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from typing import Any

from synthesizeme.datasets._intake import SourceRow, shown
from synthesizeme.errors import DataError
from synthesizeme.serving.protocol import STATUSES, Question, Score
from synthesizeme.serving.rows import ABOUT, tried

SOURCE = "get_reward"
_END = re.compile(r"(?:\s*(?:<\|[^|<>]{1,40}\|>|</s>|<eos>|<end_of_turn>))+\s*\Z")
"""Special tokens that a decoded query may end with; they are no part of what the policy said."""


def rows(queries: Sequence[Any], prompts: Sequence[Any], labels: Sequence[Any]) -> list[Question | DataError]:
    """A question for every query, or what is wrong with it.

    Args:
        queries: Prompt and response in one text, as decoded.
        prompts: The prompts alone, each the beginning of its query.
        labels: The user of each: an id, or JSON with ``user_id`` and maybe ``about``, what the user said
            beside choices (and ``label``, which is not read).

    Raises:
        DataError: the three differ in length.
    """
    if not len(queries) == len(prompts) == len(labels):
        raise DataError(
            f"found {len(queries)} queries, {len(prompts)} prompts and {len(labels)} labels; expected "
            "as many of each",
            source=SOURCE,
            cure="name the column with the user ids with --data.label_key",
        )
    return [_row(number, *row) for number, row in enumerate(zip(queries, prompts, labels, strict=True), 1)]


def reply(scores: Sequence[Score], fallen: Callable[[Score], int]) -> dict[str, Any]:
    """The answer, one number a row: ``scores`` is P(preferred), null where it is not the user's own.

    Args:
        scores: What the scalar path said.
        fallen: `ScalarRewards.fallen`.
    """
    logs: dict[str, list[float | None]] = {
        "scored": [score.scored for score in scores],
        "taste": [score.taste for score in scores],
        "floor": [score.floor for score in scores],
        "below_floor": [fallen(score) for score in scores],
    }
    for status in STATUSES:
        logs[status] = [int(score.status == status) for score in scores]
    return {
        "rewards": [score.value for score in scores],
        "scores": [score.probability if score.scored else None for score in scores],
        "extra_logs": logs,
    }


def _row(number: int, query: Any, prompt: Any, label: Any) -> Question | DataError:
    place = SourceRow(SOURCE, number, {})
    for field, value in (("query", query), ("prompts", prompt)):
        if not isinstance(value, str):
            return place.error(f"found {shown(value)}; expected text", field=field)
    if not query.startswith(prompt):
        return place.error("does not begin with its prompt", field="query")
    response = _END.sub("", query[len(prompt) :])
    row = {"user_id": label, **_of_user(label), "prompt": prompt, "response": response}
    return tried(SourceRow(SOURCE, number, row))


def _of_user(label: Any) -> dict[str, Any]:
    """What a label that is an object says of the user."""
    if isinstance(label, str) and label.lstrip().startswith("{"):
        try:
            label = json.loads(label)
        except (ValueError, RecursionError):
            return {}
    return {name: label.get(name) for name in ("user_id", ABOUT)} if isinstance(label, dict) else {}

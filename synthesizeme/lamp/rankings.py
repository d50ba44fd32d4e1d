"""Rankings of profiles as files: JSON, item ids by question id, best first."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from synthesizeme.datasets.lamp import LampItem, LampQuestion, LampSet, check_ids, read_object
from synthesizeme.errors import DataError
from synthesizeme.files import write_whole
from synthesizeme.retrieval import Retriever

Ranking = Mapping[str, Sequence[str]]
"""Item ids by question id, best first."""


def rank_profiles(data: LampSet, retriever: Retriever, *, k: int | None = None) -> dict[str, list[str]]:
    """The items of every question's profile as a retriever ranks them: all, or the `k` best.

    Raises:
        DataError: an item has no text.
    """
    task, found = data.task, {}
    for question in data.questions:
        documents = [task.document(item.fields) for item in question.profile]
        positions = retriever.retrieve(
            task.query(question.text), documents, len(documents) if k is None else k
        )
        found[question.question_id] = [question.profile[position].item_id for position in positions]
    return found


def ranked_items(question: LampQuestion, ranking: Ranking, k: int) -> list[LampItem]:
    """The `k` items of a question that a ranking puts first."""
    items = {item.item_id: item for item in question.profile}
    return [items[key] for key in ranking[question.question_id][:k]]


def write_ranking(path: Path, ranking: Ranking) -> None:
    """Write a ranking.

    Raises:
        DataError: the place cannot be written.
    """
    text = json.dumps({key: list(ids) for key, ids in ranking.items()}, ensure_ascii=False)
    write_whole(path, text + "\n")


def read_ranking(path: Path, data: LampSet) -> dict[str, list[str]]:
    """A ranking of the profiles of `data`, by whoever made it.

    Raises:
        DataError: its ids are not those of the questions, or it names an item twice or one that is not in the
            profile.
    """
    document = read_object(path)
    check_ids(path, document, [question.question_id for question in data.questions])
    found = {}
    for question in data.questions:
        ids = document[question.question_id]
        known = {item.item_id for item in question.profile}
        listed = [str(key) for key in ids] if isinstance(ids, list) else []
        strange = [key for key in listed if key not in known]
        if not isinstance(ids, list) or strange or len(set(listed)) < len(listed):
            said = (
                f"{strange[0]!r} is not in the profile"
                if strange
                else "expected a list of different item ids"
            )
            raise DataError(
                f"question {question.question_id!r}: {said}",
                source=str(path),
                field=question.question_id,
                cure="rank the profiles of this split again",
            )
        found[question.question_id] = listed
    return found

"""A LaMP task as preference pairs: past items to learn from, questions to be judged."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping

from synthesizeme.datasets._lamp_files import LampItem, LampQuestion
from synthesizeme.datasets._lamp_set import LampSet
from synthesizeme.datasets._lamp_tasks import LampTask
from synthesizeme.types import Message, PreferencePair, Split

_SOURCELESS = {1: "Which of these papers belongs to this author?", 7: "Which of these tweets is this user's?"}
"""How an item is asked about that was made of nothing the file holds, by task."""


def lamp_pairs(data: LampSet, *, seed: int = 0) -> list[PreferencePair]:
    """Past items and questions as preference pairs.

    A past item is a train pair: what its user made of it, over what another user made of something, or over
    another label. A question is a test pair: its gold over another choice, drawn.
    ``metadata.retrieved_by`` is the query of a question (phi_q) or the document of an item (phi_i). Where
    there is no other choice, as with a single user, there is no pair.

    Args:
        data: A task.
        seed: Seed of everything that is drawn.
    """
    task = data.task
    pairs: list[PreferencePair] = []
    others = _Others(data, seed)
    told = set()
    for question in data.questions:
        if question.user_id not in told:
            told.add(question.user_id)
            for item in question.profile:
                pair_id = f"{data.name}:{question.user_id}:{item.item_id}"
                pairs += _item_pairs(task, question, item, pair_id, others)
        pair_id = f"{data.name}:question:{question.question_id}"
        pairs += _question_pairs(data, question, pair_id, others)
    return pairs


class _Others:
    """What could have been made instead, drawn by the name of the pair alone."""

    def __init__(self, data: LampSet, seed: int) -> None:
        self._labels = data.task.labels if data.task.kind != "reference" else ()
        self._seed = seed
        self._made: dict[str, list[str]] = {}
        for question in data.questions:
            answers = [item.fields[data.task.answer] for item in question.profile]
            self._made.setdefault(question.user_id, []).extend(answers)
        self._users = list(self._made)

    def draw(self, pair_id: str, user: str, answer: str) -> str | None:
        """Another label, or another user's answer; None where there is none."""
        rng = random.Random(f"{self._seed}\0{pair_id}\0lamp")
        if self._labels:
            return rng.choice([label for label in self._labels if label != answer])
        for other in rng.sample(self._users, len(self._users)):
            made = [text for text in self._made[other] if text.strip() != answer.strip()]
            if other != user and made:
                return rng.choice(made)
        return None


def _item_pairs(
    task: LampTask, question: LampQuestion, item: LampItem, pair_id: str, others: _Others
) -> Iterator[PreferencePair]:
    answer = item.fields[task.answer]
    other = others.draw(pair_id, question.user_id, answer)
    if other is not None:
        asked = f"{task.request} {item.fields[task.source]}" if task.source else _SOURCELESS[task.number]
        yield _pair(
            pair_id, question, asked, answer, other, "train", {"retrieved_by": task.document(item.fields)}
        )


def _question_pairs(
    data: LampSet, question: LampQuestion, pair_id: str, others: _Others
) -> Iterator[PreferencePair]:
    gold, task = data.golds[question.question_id], data.task
    if task.kind == "reference":
        first, second = task.references(question.text) or ("", "")
        if first.strip() == second.strip() or gold not in task.labels:
            return
        chosen, rejected = (first, second) if gold == task.labels[0] else (second, first)
    else:
        chosen = gold
        offered = [text for text in data.candidates.get(question.question_id, ()) if text.strip() != gold]
        drawn = random.Random(f"{pair_id}\0candidate").choice(offered) if offered else None
        other = drawn or others.draw(pair_id, question.user_id, gold)
        if other is None:
            return
        rejected = other
    asked = data.prompt(question)[0].content
    yield _pair(
        pair_id, question, asked, chosen, rejected, "test", {"retrieved_by": task.query(question.text)}
    )


def _pair(
    pair_id: str,
    question: LampQuestion,
    asked: str,
    chosen: str,
    rejected: str,
    split: Split,
    metadata: Mapping[str, str],
) -> PreferencePair:
    return PreferencePair(
        pair_id=pair_id,
        user_id=question.user_id,
        prompt=(Message(role="user", content=asked),),
        chosen=(Message(role="assistant", content=chosen),),
        rejected=(Message(role="assistant", content=rejected),),
        split=split,
        metadata=dict(metadata),
    )

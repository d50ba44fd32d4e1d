"""LaMP: what users did before, and a question about each; seven tasks, two ways to separate the splits.

A row of ``dev_questions.json`` (Salemi et al. 2024, arXiv:2304.11406; invented here, in its format)::

    {"id": "410", "input": "Write a headline for the following article: The council met ...",
     "profile": [{"id": "4100", "title": "Five facts on the harbour", "text": "The harbour ..."}]}

and of ``dev_outputs.json``: ``{"task": "LaMP_4", "golds": [{"id": "410", "output": "Five facts on ..."}]}``.
Time-based files also give items a `date` and questions a `user_id`. ``dev_candidates.json`` is ours:
``{"task": "LaMP_4", "candidates": [{"id": "410", "outputs": ["...", "..."]}]}``. The data is not shipped
(CC BY-NC-SA 4.0, lamp-benchmark.github.io); ``data/sample/lamp`` holds small invented files of this format.

Read as pairs, a past item is a train pair and a question a test pair; see `lamp_pairs`.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from pydantic import Field

from synthesizeme.datasets._base import Format, data_places
from synthesizeme.datasets._lamp_files import (
    TASKS,
    Kind,
    LampItem,
    LampQuestion,
    LampTask,
    Separation,
    check_ids,
    lamp_task,
    read_candidates,
    read_golds,
    read_object,
    read_questions,
)
from synthesizeme.datasets._lamp_planted import planted_lamp, write_planted
from synthesizeme.datasets.rows.plain import Row
from synthesizeme.datasets.rows.sources import Origin, ReadReport
from synthesizeme.discovery import resource
from synthesizeme.errors import DataError
from synthesizeme.types import Frozen, Message, PreferencePair, Split

__all__ = (
    "FORMAT", "TASKS", "Kind", "LampItem", "LampQuestion", "LampSet",
    "LampTask", "Separation", "check_ids", "lamp_pairs", "lamp_task", "load_lamp", "planted_lamp",
    "read_object", "write_planted",
)  # fmt: skip

SAMPLE = "data/sample/lamp"
MakeCandidates = Callable[[LampQuestion], Sequence[str]]
"""Responses to choose from, for the tasks that write text."""
_FOLDERS: dict[Separation, tuple[str, ...]] = {"user": ("user", ""), "time": ("time",)}


class LampSet(Frozen):
    """The questions of one split of one task, with their golds."""

    number: int
    """Of the task."""
    separation: Separation
    """Whether other users, or later items of the same users, are asked about."""
    split: str
    """Name of the split in the files: train, dev or test."""
    questions: tuple[LampQuestion, ...]
    """In the order of the file."""
    golds: dict[str, str]
    """By question id."""
    candidates: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    """Responses to choose from, by question id; empty where there is no file of them."""
    invented: bool = False
    """Whether it is the shipped sample."""

    @property
    def task(self) -> LampTask:
        """The task."""
        return lamp_task(self.number)

    @property
    def name(self) -> str:
        """Name as a benchmark."""
        return f"{'lamp' if self.separation == 'user' else 'lamp-time'}/{self.number}"

    def first_users(self, most: int | None) -> LampSet:
        """The questions of the first users alone; all of them for None."""
        users = set(list(dict.fromkeys(it.user_id for it in self.questions))[:most])
        return self.model_copy(
            update={"questions": tuple(it for it in self.questions if it.user_id in users)}
        )

    def with_candidates(self, make: MakeCandidates) -> LampSet:
        """The same with candidates from a callable, e.g. samples of a language model.

        Raises:
            DataError: it makes fewer than two different texts for a question.
        """
        found = {it.question_id: tuple(dict.fromkeys(make(it))) for it in self.questions}
        if few := [key for key, texts in found.items() if len(texts) < 2]:
            raise DataError(
                f"{len(few)} questions got fewer than two different candidates, e.g. {few[0]!r}",
                field="candidates",
                cure="sample more, or at a higher temperature",
            )
        return self.model_copy(update={"candidates": found})

    def choices(self, question: LampQuestion) -> tuple[str, ...]:
        """What a scorer chooses from, as texts.

        Raises:
            DataError: the task writes text and has no candidates.
        """
        if self.task.kind == "reference":
            return self.task.references(question.text) or ()
        if self.task.labels:
            return self.task.labels
        if question.question_id not in self.candidates:
            raise DataError(
                f"{self.name} has no candidates to choose from",
                field="candidates",
                cure=f"put {self.split}_candidates.json beside the questions, make them with "
                "LampSet.with_candidates, or let a language model write: --scorers direct-bm25",
            )
        return self.candidates[question.question_id]

    def prompt(self, question: LampQuestion) -> tuple[Message, ...]:
        """What a scorer is asked; task 1 without the references, which are the responses."""
        title = self.task.title_asked(question.text) if self.task.kind == "reference" else ""
        text = f'Which reference belongs into the paper "{title}"?' if title else question.text
        return (Message(role="user", content=text),)


def load_lamp(name: str, *, split: str = "dev", data_dir: str | Path | None = None) -> LampSet:
    """A task from ``DIR[/lamp][/user|/time]/LaMP_N``, or the shipped sample where it is in no such folder.

    Args:
        name: ``lamp/1`` to ``lamp/7`` (user-based), ``lamp-time/1`` to ``lamp-time/7`` (time-based).
        split: ``train``, ``dev`` or ``test``; the published test split has no golds.
        data_dir: Folder to look in first; then comes ``$SYNTHESIZEME_DATA_DIR``. Where this is given the
            task has to be in one of them.

    Raises:
        UnknownNameError: there is no such task.
        DataError: the files are nowhere, or wrong.
    """
    task = lamp_task(name)
    separation: Separation = "time" if name.lower().startswith("lamp-time") else "user"
    places = data_places(data_dir)
    folder = _folder(places, task, separation, split)
    invented = folder is None and data_dir is None
    if invented:
        places = [*places, resource(SAMPLE).parent]
        folder = _folder(places, task, separation, split)
    if folder is None:
        raise _nowhere(places, task, separation, split)
    questions = read_questions(folder / f"{split}_questions.json", task)
    outputs, candidates = folder / f"{split}_outputs.json", folder / f"{split}_candidates.json"
    if not outputs.is_file():
        raise DataError(
            "there is no such file, and nothing can be measured without it",
            source=str(outputs),
            cure="use the dev split, whose outputs are published",
        )
    return LampSet(
        number=task.number,
        separation=separation,
        split=split,
        questions=questions,
        golds=read_golds(outputs, task, questions),
        candidates=read_candidates(candidates, task, questions) if candidates.is_file() else {},
        invented=invented,
    )


def _folder(places: Sequence[Path], task: LampTask, separation: Separation, split: str) -> Path | None:
    """The first folder of the places that holds the questions of the task."""
    looked = [
        place / root / part / task.name / inner
        for place in places
        for root in ("lamp", "LaMP", "")
        for part in _FOLDERS[separation]
        for inner in ("", split)
    ]
    return next((folder for folder in looked if (folder / f"{split}_questions.json").is_file()), None)


def _nowhere(places: Sequence[Path], task: LampTask, separation: Separation, split: str) -> DataError:
    named = ", ".join(dict.fromkeys(str(place) for place in places))
    return DataError(
        f"{task.name} ({separation}-based) was not found in {named}",
        cure=f"put its files into lamp/{separation}/{task.name}/{split}_questions.json there "
        "(lamp-benchmark.github.io has them)",
    )


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
    pairs: list[PreferencePair | None] = []
    others = _Others(data, seed)
    told = set()
    for question in data.questions:
        if question.user_id not in told:
            told.add(question.user_id)
            pairs += [_item_pair(data, question, item, others) for item in question.profile]
        pairs.append(_question_pair(data, question, others))
    return [pair for pair in pairs if pair is not None]


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


def _item_pair(
    data: LampSet, question: LampQuestion, item: LampItem, others: _Others
) -> PreferencePair | None:
    task, answer = data.task, item.fields[data.task.answer]
    pair_id = f"{data.name}:{question.user_id}:{item.item_id}"
    other = others.draw(pair_id, question.user_id, answer)
    asked = f"{task.request} {item.fields[task.source]}" if task.source else _SOURCELESS[task.number]
    return _pair(pair_id, question, asked, answer, other, "train", task.document(item.fields))


def _question_pair(data: LampSet, question: LampQuestion, others: _Others) -> PreferencePair | None:
    gold, task = data.golds[question.question_id], data.task
    pair_id = f"{data.name}:question:{question.question_id}"
    chosen: str = gold
    other: str | None
    if task.kind == "reference":
        first, second = task.references(question.text) or ("", "")
        if first.strip() == second.strip() or gold not in task.labels:
            return None
        chosen, other = (first, second) if gold == task.labels[0] else (second, first)
    else:
        offered = [text for text in data.candidates.get(question.question_id, ()) if text.strip() != gold]
        drawn = random.Random(f"{pair_id}\0candidate").choice(offered) if offered else None
        other = drawn or others.draw(pair_id, question.user_id, gold)
    asked = data.prompt(question)[0].content
    return _pair(pair_id, question, asked, chosen, other, "test", task.query(question.text))


def _pair(
    pair_id: str,
    question: LampQuestion,
    asked: str,
    chosen: str,
    rejected: str | None,
    split: Split,
    retrieved_by: str,
) -> PreferencePair | None:
    """The pair; None where there is no other choice."""
    if rejected is None:
        return None
    return PreferencePair(
        pair_id=pair_id,
        user_id=question.user_id,
        prompt=(Message(role="user", content=asked),),
        chosen=(Message(role="assistant", content=chosen),),
        rejected=(Message(role="assistant", content=rejected),),
        split=split,
        metadata={"retrieved_by": retrieved_by},
    )


_ENDING = "_questions.json"


def recognises(row: Row) -> bool:
    """Whether a row is a LaMP question."""
    return {"id", "input", "profile"} <= set(row)


def _read(source: Origin, report: ReadReport) -> Iterator[PreferencePair]:
    """The pairs of a file of questions, or of the folder it lies in; the outputs stand beside it."""
    path = source
    if report.split and isinstance(source, Path):
        path = (source if source.is_dir() else source.parent) / f"{report.split}{_ENDING}"
    if not isinstance(path, Path) or not path.name.endswith(_ENDING):
        cure = "name the file as LaMP does, with its outputs beside it"
        raise DataError(f"is not called …{_ENDING}", source=str(path), cure=cure)
    outputs = path.with_name(path.name.removesuffix(_ENDING) + "_outputs.json")
    task = lamp_task(str(read_object(outputs).get("task")))
    questions = read_questions(path, task)
    data = LampSet(
        number=task.number,
        separation="user",
        split=path.name.removesuffix(_ENDING),
        questions=questions,
        golds=read_golds(outputs, task, questions),
    )
    report.rows_read += len(questions)
    yield from lamp_pairs(data)


FORMAT = Format(
    "LaMP questions with their users' past items and gold outputs, as pairs against other answers",
    recognises,
    _read,
    files=("dev_questions.json", "train_questions.json"),
)

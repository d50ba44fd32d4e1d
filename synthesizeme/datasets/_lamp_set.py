"""A LaMP task as data: questions, golds and candidates, found and read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from pydantic import Field

from synthesizeme.datasets._base import data_places
from synthesizeme.datasets._lamp_files import (
    LampQuestion,
    Separation,
    read_candidates,
    read_golds,
    read_questions,
)
from synthesizeme.datasets._lamp_tasks import LampTask, lamp_task
from synthesizeme.errors import DataError
from synthesizeme.resources import resource
from synthesizeme.types import Frozen, Message

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

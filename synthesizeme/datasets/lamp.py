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

from collections.abc import Iterator
from pathlib import Path

from synthesizeme.datasets._base import loader
from synthesizeme.datasets._lamp_files import (
    LampItem,
    LampQuestion,
    Separation,
    check_ids,
    read_golds,
    read_object,
    read_questions,
)
from synthesizeme.datasets._lamp_pairs import lamp_pairs
from synthesizeme.datasets._lamp_planted import planted_lamp, write_planted
from synthesizeme.datasets._lamp_set import LampSet, load_lamp
from synthesizeme.datasets._lamp_tasks import TASKS, LampTask, lamp_task
from synthesizeme.datasets.rows.held import Origin
from synthesizeme.datasets.rows.report import ReadReport, Row
from synthesizeme.errors import DataError
from synthesizeme.types import PreferencePair

__all__ = [
    "DESCRIPTION",
    "DOWNLOAD",
    "FILES",
    "SOURCES",
    "TASKS",
    "LampItem",
    "LampQuestion",
    "LampSet",
    "LampTask",
    "Separation",
    "check_ids",
    "lamp_pairs",
    "lamp_task",
    "load",
    "load_lamp",
    "planted_lamp",
    "read",
    "read_object",
    "recognises",
    "write_planted",
]

DESCRIPTION = "LaMP questions with their users' past items and gold outputs, as pairs against other answers"
SOURCES: tuple[str, ...] = ()
FILES = ("dev_questions.json", "train_questions.json")
DOWNLOAD: tuple[str, ...] = ()
_ENDING = "_questions.json"


def recognises(row: Row) -> bool:
    """Whether a row is a LaMP question."""
    return {"id", "input", "profile"} <= set(row)


def read(source: Origin, report: ReadReport) -> Iterator[PreferencePair]:
    """The pairs of a file of questions, or of the folder it lies in; the outputs stand beside it."""
    path = source
    if isinstance(source, Path) and source.is_dir():
        split = report.split or "dev"
        path = source / f"{split}{_ENDING}"
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


load = loader(read, DOWNLOAD)

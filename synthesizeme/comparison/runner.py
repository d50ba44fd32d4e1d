"""Measures systems task by task; what is finished is kept, so that the same command goes on where it stopped.

A finished task is a file of its own, written whole or not at all, with the facts that its outcomes depend
on: it is read again only where they still hold.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from synthesizeme.comparison.systems import System
from synthesizeme.comparison.tasks import Task, Tasks
from synthesizeme.errors import DataError, MissingExtraError, SynthesizeMeError
from synthesizeme.evaluation.benchmarks import Benchmark
from synthesizeme.evaluation.harness import Outcome
from synthesizeme.evaluation.measurement import Measurement, TaskResult, joined
from synthesizeme.files import write_whole
from synthesizeme.types import Frozen, Verdict
from synthesizeme.version import __version__

_logger = logging.getLogger(__name__)
FOLDER = "measurements"
FORMAT = 4
_REWARDING = ("reward model", "checkpoint")
"""Kinds of systems that are shown texts that are no answers."""


@dataclass(frozen=True)
class Step:
    """One system on one task."""

    system: str
    task: str
    position: int
    """From 1."""
    total: int


class Watcher:
    """Is told how a comparison goes on; this one does nothing."""

    def started(self, step: Step) -> None:
        """A task is taken up."""

    def finished(self, step: Step, result: TaskResult, *, kept: bool) -> None:
        """A task is done, or was found finished (`kept`)."""

    def redone(self, step: Step, problem: str) -> None:
        """A finished task is damaged and will be measured again."""

    def left_out(self, name: str, reason: str) -> None:
        """A system has no row, which is no failure."""

    def failed(self, name: str, reason: str) -> None:
        """A system has no row because it failed."""


@dataclass
class Compared:
    """What came of a comparison."""

    measurements: list[Measurement] = field(default_factory=list)
    """Of the systems that have a row, in their order."""
    failed: dict[str, str] = field(default_factory=dict)
    """Why, by name."""
    left_out: dict[str, str] = field(default_factory=dict)
    """Why, by name."""


class Runner:
    """Runs a comparison.

    Args:
        benchmark: What is measured on.
        tasks: Of it.
        folder: Where finished tasks and measurements are kept.
        watcher: Told of every step.
        fresh: Whether finished tasks are measured again.
    """

    def __init__(
        self,
        benchmark: Benchmark,
        tasks: Tasks,
        folder: Path,
        *,
        watcher: Watcher | None = None,
        fresh: bool = False,
    ) -> None:
        self.benchmark = benchmark
        self.tasks = tasks
        self.folder = folder
        self._watcher = watcher or Watcher()
        self._fresh = fresh
        self._done = 0
        self._total = 0

    def run(
        self,
        systems: Sequence[System],
        *,
        named: Mapping[str, bool] | None = None,
        missing: Mapping[str, MissingExtraError] | None = None,
    ) -> Compared:
        """Measure all systems; one that fails does not stop the others.

        Args:
            systems: Who is compared.
            named: Whether a system was asked for by its own name: a missing extra is then a failure.
            missing: Those that cannot be made without an extra.

        Raises:
            DataError: a finished task or a measurement cannot be written.
        """
        found = Compared()
        for name, error in (missing or {}).items():
            self._give_up(name, error, found, named or {})
        counts = [len(self._of(system).every) for system in systems]
        self._done, self._total = 0, sum(counts)
        for system, count in zip(systems, counts, strict=True):
            begun = self._done
            if lack := system.lacks(self.benchmark, self.tasks.folds[0]):
                self._leave_out(system.name, lack, found)
            else:
                self._enter(system, found, named or {})
            self._done = begun + count
        return found

    def _enter(self, system: System, found: Compared, named: Mapping[str, bool]) -> None:
        try:
            measurement = self._measure(system)
        except _Unwritten as error:
            raise error.reason from None
        except SynthesizeMeError as error:
            _logger.debug("%s failed", system.name, exc_info=True)
            self._give_up(system.name, error, found, named)
        else:
            write_whole(measurement_path(self.folder, system.name), measurement.model_dump_json() + "\n")
            found.measurements.append(measurement)

    def _give_up(
        self, name: str, error: SynthesizeMeError, found: Compared, named: Mapping[str, bool]
    ) -> None:
        if isinstance(error, MissingExtraError) and not named.get(name, True):
            self._leave_out(name, str(error), found)
        else:
            found.failed[name] = str(error)
            self._watcher.failed(name, str(error))

    def _leave_out(self, name: str, reason: str, found: Compared) -> None:
        found.left_out[name] = reason
        self._watcher.left_out(name, reason)

    def _of(self, system: System) -> Tasks:
        """Its tasks; no re-split for a checkpoint: whichever rows it learned from, one asks about them."""
        resplits = () if system.kind == "checkpoint" else self.tasks.resplits
        halves = self.tasks.halves if system.kind == "reward model" else ()
        return replace(self.tasks, resplits=resplits, halves=halves)

    def _measure(self, system: System) -> Measurement:
        tasks = self._of(system)
        folds = [self._result(system, task) for task in tasks.folds]
        redrawn = [self._result(system, task) for task in tasks.resplits]
        knows = "no_user" in folds[0].outcomes
        halves = [self._result(system, task) for task in tasks.halves if knows]
        return joined(system.name, system.kind, folds, resplits=redrawn, halves=halves)

    def _result(self, system: System, task: Task) -> TaskResult:
        """The task as it was finished earlier, or measured now."""
        self._done += 1
        step = Step(system.name, task.name, self._done, self._total)
        path, facts = task_path(self.folder, system.name, task.name), task_facts(system, task)
        result = None
        if not self._fresh:
            try:
                result = read_task(path, facts)
            except DataError as error:
                self._watcher.redone(step, str(error))
        if kept := result is not None:
            found = result
        else:
            self._watcher.started(step)
            found = lean(system.measure(task))
            try:
                write_task(path, facts, found)
            except DataError as error:
                raise _Unwritten(error) from None
        self._watcher.finished(step, found, kept=kept)
        return found


class _Unwritten(Exception):
    """A task could not be kept: that ends the comparison, not only the system."""

    def __init__(self, reason: DataError) -> None:
        super().__init__(str(reason))
        self.reason = reason


class KeptTask(Frozen):
    """One finished task of one system."""

    format_version: Literal[4]
    """Version of this document's format."""
    facts: dict[str, Any]
    """What its outcomes depend on."""
    checksum: str
    """SHA-256 (hex) of `result` as JSON."""
    result: TaskResult
    """What was found."""


def task_facts(system: System, task: Task) -> dict[str, Any]:
    """What the outcomes of a system on a task depend on."""
    return {
        "system": system.name,
        "kind": system.kind,
        **system.facts(),
        "task": task.name,
        "pairs": task.digest,
        **({"no_answers": task.no_answers} if task.no_answers and system.kind in _REWARDING else {}),
        "format": FORMAT,
        "synthesizeme": __version__,
    }


def task_path(folder: Path, system: str, task: str) -> Path:
    """Where a task is kept."""
    return folder / FOLDER / "tasks" / system / f"{re.sub('[^a-z0-9]+', '-', task.lower()).strip('-')}.json"


def measurement_path(folder: Path, system: str) -> Path:
    """Where the measurement of a system is kept."""
    return folder / FOLDER / f"{system}.json"


def read_task(path: Path, facts: dict[str, Any]) -> TaskResult | None:
    """The task that is kept under these facts; None where there is none.

    Raises:
        DataError: the file is there and cannot be read, or is not what was written.
    """
    try:
        kept = KeptTask.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror or error}", source=str(path)) from None
    except ValidationError:
        raise DataError("is damaged, or of another format", source=str(path)) from None
    if kept.checksum != _sha256(kept.result):
        raise DataError("is not what was written", source=str(path))
    return kept.result if kept.facts == _plain(facts) else None


def write_task(path: Path, facts: dict[str, Any], result: TaskResult) -> None:
    """Keep a finished task, whole or not at all.

    Raises:
        DataError: it cannot be written.
    """
    document = KeptTask(format_version=FORMAT, facts=_plain(facts), checksum=_sha256(result), result=result)
    write_whole(path, document.model_dump_json() + "\n")


def read_measurement(path: Path) -> Measurement | None:
    """The measurement that is kept in a file; None where there is none that can be read."""
    try:
        return Measurement.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return None


def lean(result: TaskResult) -> TaskResult:
    """The result without the reasons in words, which no figure needs and which may quote the user."""
    return result.model_copy(update={"outcomes": {name: _lean(it) for name, it in result.outcomes.items()}})


def _lean(outcome: Outcome) -> Outcome:
    pairs = tuple(
        pair.model_copy(
            update={
                "results": tuple(
                    result.model_copy(update={"result": result.result.model_copy(update={"reasoning": ""})})
                    if isinstance(result.result, Verdict)
                    else result
                    for result in pair.results
                )
            }
        )
        for pair in outcome.pairs
    )
    return outcome.model_copy(update={"pairs": pairs})


def _plain(facts: dict[str, Any]) -> dict[str, Any]:
    """Facts as they read back from JSON."""
    found: dict[str, Any] = json.loads(json.dumps(facts, default=str))
    return found


def _sha256(result: TaskResult) -> str:
    return hashlib.sha256(result.model_dump_json().encode()).hexdigest()

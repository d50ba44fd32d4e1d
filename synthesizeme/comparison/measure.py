"""From names to a report: `compare` with every control, kept as it goes and shown; `evaluate` at once."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any, NamedTuple

from synthesizeme.comparison.report import report as report_of
from synthesizeme.comparison.runner import Runner, Step, Watcher
from synthesizeme.comparison.systems import Measuring, ModelSystem, Participants
from synthesizeme.comparison.tasks import divided
from synthesizeme.errors import MissingExtraError
from synthesizeme.evaluation.benchmarks import Benchmark, limit_users
from synthesizeme.evaluation.measurement import AT_RANDOM, OWN, Measurement, TaskResult, joined
from synthesizeme.evaluation.report import Report, measured_row
from synthesizeme.evaluation.selective import require_pairs
from synthesizeme.judges.by_name import Profiles, Scorers
from synthesizeme.plain_text import clock, count, printable
from synthesizeme.progress import LiveLines, Progress, usage_facts
from synthesizeme.types import PreferencePair


class Measured(NamedTuple):
    """What a measurement found."""

    report: Report
    """The table."""
    measurements: tuple[Measurement, ...]
    """What stands behind its rows, pair by pair."""
    pairs: tuple[PreferencePair, ...]
    """The test pairs."""


def compare(
    benchmark: Benchmark,
    out: Path,
    who: Participants,
    how: Measuring,
    *,
    resplits: int = 0,
    cold_start: bool = True,
    max_error: float | None = None,
    fresh: bool = False,
    watcher: Watcher | None = None,
) -> tuple[Measured, list[Path]]:
    """Measure everyone on the same test pairs, each with its controls; finished work in `out` is kept.

    Args:
        benchmark: What is measured on.
        out: Folder for the report, its figures, and finished work.
        who: Who takes part.
        how: See `Measuring`.
        resplits: Number of seeded re-splits of the pairs within users.
        cold_start: Whether the history-length curve of reward models is measured.
        max_error: The largest error that reward models may promise, if they are to abstain.
        fresh: Whether finished tasks are measured again.
        watcher: Told of every step.

    Returns:
        What was found, and the files that were written.

    Raises:
        DataError: something cannot be written, or `max_error` needs more validation pairs.
    """
    watcher, chosen = watcher or Watcher(), _limited(benchmark, how.max_users)
    tasks = divided(
        chosen,
        benchmark.pairs,
        resplit=resplits,
        cold_start=cold_start and bool(who.classes),
        no_answers=how.no_answers,
        seed=how.settings.seed,
    )
    if max_error is not None:
        for task in tasks.folds:
            validation = sum(pair.split == "validation" for pair in task.fold.history)
            require_pairs(validation, max_error, source=f"{benchmark.name}, {task.name}")
    runner = Runner(chosen, tasks, out, watcher=watcher, fresh=fresh)
    compared = runner.run(who.systems(how, max_error), named=who.names, missing=who.missing)
    model = how.session.model if who.asking and how.session is not None else None
    found = report_of(compared, chosen, tasks, model=f"{model.name} ({model.kind})" if model else "")
    paths = [*found.save(out)]
    if compared.measurements:
        try:
            from synthesizeme.evaluation.figures import draw

            paths += draw(compared.measurements, out / "figures", benchmark=found.benchmark)
        except MissingExtraError as error:
            watcher.left_out("every figure", str(error))
    return Measured(found, tuple(compared.measurements), chosen.test), paths


def evaluate(
    benchmark: Benchmark,
    who: Participants,
    how: Measuring,
    *,
    profiles: Profiles | None = None,
    controls: bool = False,
) -> tuple[Measured, Scorers]:
    """Measure everyone on the benchmark's test pairs and report it.

    Args:
        benchmark: What is measured on.
        who: Who is measured.
        how: See `Measuring`.
        profiles: Profiles made earlier, for judges; None induces them from the history.
        controls: Whether judges and checkpoints are also measured as another user and with swapped labels.

    Returns:
        What was found, and what ran its judges.

    Raises:
        MissingExtraError: a reward model's library is not installed.
        DataError: the data does not carry what somebody needs.
    """
    for name, error in who.missing.items():
        if who.names[name]:
            raise error
    chosen = _limited(benchmark, how.max_users)
    scorers = Scorers(
        chosen,
        how.settings,
        session=how.session,
        profiles=profiles,
        everyone=benchmark.pairs,
        on_label=how.on_label,
        retrieval=how.retrieval,
        saved={it.name: it.model for it in who.checkpoints.values()},
        no_answers=how.no_answers,
    )
    called = {name: who.checkpoints[name].name if name in who.checkpoints else name for name in who.names}
    others = [shown for name, shown in called.items() if name not in {*who.classes, *who.missing}]
    found = scorers.report(others, controls=controls)
    measurements = {it.name: it for it in scorers.measurements}
    if not who.classes:
        return Measured(found, tuple(measurements.values()), chosen.test), scorers
    fitted = _fitted(chosen, benchmark, who, how)
    measurements |= fitted
    rows = {row.name: row for row in found.rows} | {
        name: measured_row(it, pairs=chosen.test, everyone=benchmark.pairs, seed=how.settings.seed)
        for name, it in fitted.items()
    }
    order = [name for name in called.values() if name in rows]
    report = found.model_copy(
        update={
            "rows": tuple(rows[name] for name in order),
            "notes": (*found.notes, *(f"{name}: {note}" for name, it in fitted.items() for note in it.notes)),
            "protocol": f"{found.protocol} Gains of a reward model are over itself without the user.",
        }
    )
    return Measured(report, tuple(measurements[name] for name in order), chosen.test), scorers


def _fitted(
    chosen: Benchmark, benchmark: Benchmark, who: Participants, how: Measuring
) -> dict[str, Measurement]:
    """The reward models, each fitted to the history of every fold and measured on it."""
    tasks = divided(
        chosen, benchmark.pairs, cold_start=False, no_answers=how.no_answers, seed=how.settings.seed
    )
    systems = [ModelSystem(name, it, how.arguments.get(name, {})) for name, it in who.classes.items()]
    return {it.name: joined(it.name, it.kind, list(map(it.measure, tasks.folds))) for it in systems}


def _limited(benchmark: Benchmark, most: int | None) -> Benchmark:
    return limit_users(benchmark, most) if most else benchmark


class ComparisonDisplay(Watcher):
    """Shows the system and task in work and how long it has taken. Use it as a context."""

    def __init__(self) -> None:
        self._lines = LiveLines(self._render)
        self._lock = threading.Lock()
        self._step: Step | None = None
        self._calls = ""
        self._user = ""
        self._kept = 0
        self._began = self._task_began = time.monotonic()

    def __enter__(self) -> ComparisonDisplay:
        return self

    def __exit__(self, *reason: object) -> None:
        self._lines.stop()

    def started(self, step: Step) -> None:
        """A task is taken up."""
        with self._lock:
            self._step, self._calls, self._user, self._task_began = step, "", "", time.monotonic()
            self._lines.start()

    def finished(self, step: Step, result: TaskResult, *, kept: bool) -> None:
        """A line for a task that was measured now; those found finished are counted."""
        if kept:
            self._kept += 1
            return
        seconds = time.monotonic() - self._task_began
        self._lines.say(
            f"[{step.position}/{step.total}] {step.system}, {step.task}: {_found(result)} ({seconds:.1f} s)"
        )

    def redone(self, step: Step, problem: str) -> None:
        """A damaged task."""
        self._lines.say(f"{step.system}, {step.task}: measured again, since {printable(problem)}")

    def left_out(self, name: str, reason: str) -> None:
        """A system without a row."""
        self._lines.say(f"{name} is left out: {printable(reason)}")

    def failed(self, name: str, reason: str) -> None:
        """A system without a row, through its own fault."""
        self._lines.say(f"{name} failed: {printable(reason)}")

    def conclude(self, folder: object) -> None:
        """Say how much of the work had been done before."""
        if self._kept:
            self._lines.say(
                f"{count(self._kept, 'finished task')} found in {printable(str(folder))} and not measured "
                "again; --force measures anew."
            )

    def label(self, user_id: str, position: int, total: int) -> None:
        """Whom the next calls of a judge are about."""
        place = f" ({position}/{total})" if total > 1 else ""
        self._user = printable(user_id, 30) + place

    def calls(self, progress: Progress) -> None:
        """How the calls of a judge go on; safe to call from any thread."""
        self._calls = (
            f"{self._user}: {progress.stage} {progress.done}/{progress.total}, {usage_facts(progress.usage)}"
        )

    def _render(self) -> Any:
        from rich.console import Group
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        step = self._step
        if step is None:
            return Text("")
        line = Table.grid(padding=(0, 1))
        line.add_row(
            Text(step.system, style="bold"),
            Text(step.task),
            ProgressBar(total=step.total, completed=step.position - 1, width=20),
            Text(f"{step.position}/{step.total}"),
            Text(clock(time.monotonic() - self._task_began)),
            Text(f"of {clock(time.monotonic() - self._began)}", style="dim"),
        )
        return Group(line, Text(self._calls, style="dim")) if self._calls else line


def _found(result: TaskResult) -> str:
    """The accuracy of a task in words."""
    answered = [name for name, outcome in result.outcomes.items() if outcome.micro is not None]
    name = OWN if OWN in result.outcomes else (answered or list(result.outcomes))[-1]
    where = "" if name == OWN else f" after {count(int(name.removeprefix(AT_RANDOM)), 'pair')}"
    accuracy = result.outcomes[name].micro
    return f"{100 * accuracy:.1f} %{where}" if accuracy is not None else "no answer"

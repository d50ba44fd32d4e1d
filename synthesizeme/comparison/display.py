"""Where a comparison stands, on standard error: a line for each finished task, a live one on a terminal."""

from __future__ import annotations

import threading
import time
from typing import Any

from synthesizeme.comparison.runner import Step, Watcher
from synthesizeme.evaluation.measurement import AT_RANDOM, OWN, TaskResult
from synthesizeme.plain_text import clock, count, printable
from synthesizeme.progress import LiveLines, Progress, usage_facts


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

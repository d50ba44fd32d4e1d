"""Where a comparison stands, on standard error: a line for each finished unit, a live one on a terminal."""

from __future__ import annotations

import sys
import threading
import time
from typing import TYPE_CHECKING, Any

from synthesizeme.cli._progress import usage_facts
from synthesizeme.cli._text import count, printable, say
from synthesizeme.comparison.runner import Step, Watcher
from synthesizeme.evaluation.measurement import AT_RANDOM, OWN, Part

if TYPE_CHECKING:
    from synthesizeme.backends import Progress


class ComparisonDisplay(Watcher):
    """Shows the entrant and unit in work and how long it has taken. Use it as a context."""

    def __init__(self) -> None:
        self._live: Any = None
        self._lock = threading.Lock()
        self._step: Step | None = None
        self._calls = ""
        self._user = ""
        self._kept = 0
        self._began = self._unit_began = time.monotonic()

    def __enter__(self) -> ComparisonDisplay:
        return self

    def __exit__(self, *reason: object) -> None:
        live, self._live = self._live, None
        if live is not None:
            live.stop()

    def started(self, step: Step) -> None:
        """A unit is taken up."""
        with self._lock:
            self._step, self._calls, self._user, self._unit_began = step, "", "", time.monotonic()
            if self._live is None and sys.stderr.isatty():
                from rich.console import Console
                from rich.live import Live

                self._live = Live(
                    get_renderable=self._render,
                    console=Console(stderr=True),
                    transient=True,
                    refresh_per_second=4,
                )
                self._live.start()

    def finished(self, step: Step, part: Part, *, kept: bool) -> None:
        """A line for a unit that was measured now; those found finished are counted."""
        if kept:
            self._kept += 1
            return
        seconds = time.monotonic() - self._unit_began
        self._say(
            f"[{step.position}/{step.total}] {step.entrant}, {step.unit}: {_found(part)} ({seconds:.1f} s)"
        )

    def redone(self, step: Step, problem: str) -> None:
        """A damaged unit."""
        self._say(f"{step.entrant}, {step.unit}: measured again, since {printable(problem)}")

    def left_out(self, name: str, reason: str) -> None:
        """An entrant without a row."""
        self._say(f"{name} is left out: {printable(reason)}")

    def failed(self, name: str, reason: str) -> None:
        """An entrant without a row, through its own fault."""
        self._say(f"{name} failed: {printable(reason)}")

    def conclude(self, folder: object) -> None:
        """Say how much of the work had been done before."""
        if self._kept:
            self._say(
                f"{count(self._kept, 'finished unit')} found in {printable(str(folder))} and not measured "
                "again; --fresh measures anew."
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

    def _say(self, line: str) -> None:
        live = self._live
        if live is None:
            say(line)
        else:
            from rich.text import Text

            live.console.print(Text(line))

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
            Text(step.entrant, style="bold"),
            Text(step.unit),
            ProgressBar(total=step.total, completed=step.position - 1, width=20),
            Text(f"{step.position}/{step.total}"),
            Text(_clock(time.monotonic() - self._unit_began)),
            Text(f"of {_clock(time.monotonic() - self._began)}", style="dim"),
        )
        return Group(line, Text(self._calls, style="dim")) if self._calls else line


def _found(part: Part) -> str:
    """The accuracy of a unit in words."""
    answered = [name for name, outcome in part.outcomes.items() if outcome.micro is not None]
    name = OWN if OWN in part.outcomes else (answered or list(part.outcomes))[-1]
    where = "" if name == OWN else f" after {count(int(name.removeprefix(AT_RANDOM)), 'pair')}"
    accuracy = part.outcomes[name].micro
    return f"{100 * accuracy:.1f} %{where}" if accuracy is not None else "no answer"


def _clock(seconds: float) -> str:
    """Minutes and seconds.

    >>> _clock(75.2)
    '1:15'
    """
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"

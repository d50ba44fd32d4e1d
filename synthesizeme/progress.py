"""Where a wait stands: what is told of it, and the one display of it, on the command line and in Python."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from synthesizeme.errors import ConfigError
from synthesizeme.plain_text import clock, count, dollars, printable

if TYPE_CHECKING:
    from synthesizeme.types import Usage

Item = TypeVar("Item")
Found = TypeVar("Found")
SECONDS_BEFORE_FIRST_LINE = 2.0
SECONDS_BETWEEN_LINES = 10.0
_LABEL_WIDTH = 30


def _no_calls() -> Usage:
    from synthesizeme.types import Usage  # and with it pydantic, which a start does without

    return Usage()


@dataclass(frozen=True)
class Progress:
    """Where a run stands."""

    stage: str
    """What is being done."""
    done: int
    """How much of it is done."""
    total: int
    """How much there is; 0 where that is not known."""
    usage: Usage = field(default_factory=_no_calls)
    """What calls of a model have taken so far."""


OnProgress: TypeAlias = Callable[[Progress], object]
"""Told of every step."""
ShowProgress: TypeAlias = bool | OnProgress | None
"""The argument ``progress=``: True shows waits beyond two seconds on standard error, a function is told of
every step, and nothing is shown by default."""


class LiveLines:
    """Lines on standard error that are drawn again and again, on a terminal; elsewhere nothing."""

    def __init__(self, draw: Callable[[], Any]) -> None:
        self._draw = draw
        self._live: Any = None

    def start(self) -> None:
        """Begin to draw, if that has not begun."""
        if self._live is not None or not sys.stderr.isatty():
            return
        from rich.console import Console
        from rich.live import Live

        console = Console(stderr=True)
        self._live = Live(get_renderable=self._draw, console=console, transient=True, refresh_per_second=8)
        self._live.start()

    def stop(self) -> None:
        """Take the lines away, so that something else can be printed."""
        live, self._live = self._live, None
        if live is not None:
            live.stop()

    def say(self, line: str) -> None:
        """A line that stays, above those that are drawn."""
        if self._live is None:
            sys.stderr.write(f"{line}\n")
        else:
            from rich.text import Text

            self._live.console.print(Text(line))


class ProgressDisplay:
    """Shows `Progress` as it comes: live lines on a terminal, elsewhere a line now and then. A context."""

    def __init__(self) -> None:
        self._lines = LiveLines(self._render)
        self._lock = threading.Lock()
        self._label = ""
        self._latest: Progress | None = None
        self._began = time.monotonic()
        self._say_at = self._began + SECONDS_BEFORE_FIRST_LINE

    def __enter__(self) -> ProgressDisplay:
        return self

    def __exit__(self, *reason: object) -> None:
        self.clear()

    def label(self, name: str, position: int = 1, total: int = 1) -> None:
        """Name the user or thing that the next values are about, and their place among all."""
        with self._lock:
            place = f" ({position}/{total})" if total > 1 else ""
            self._label = printable(name, _LABEL_WIDTH) + place
            self._latest = None

    def __call__(self, progress: Progress) -> None:
        """Show a value; safe to call from any thread."""
        with self._lock:
            self._latest = progress
            if sys.stderr.isatty():
                self._lines.start()
            elif time.monotonic() >= self._say_at:
                self._say_at = time.monotonic() + SECONDS_BETWEEN_LINES
                facts = f"; {usage_facts(progress.usage)}" if progress.usage.calls else ""
                self._lines.say(f"{self._label}: {progress.stage} {self._place(progress)}{facts}")

    def clear(self) -> None:
        """Take the live lines away, so that something else can be printed."""
        self._lines.stop()

    def _place(self, now: Progress) -> str:
        return f"{now.done}/{now.total}" if now.total else clock(time.monotonic() - self._began)

    def _render(self) -> Any:
        from rich.console import Group
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        now = self._latest
        if now is None:
            return Text(self._label, style="bold")
        line = Table.grid(padding=(0, 1))
        bar = ProgressBar(total=now.total or None, completed=now.done, width=20)
        line.add_row(Text(self._label, style="bold"), Text(now.stage), bar, Text(self._place(now)))
        if not now.usage.calls:
            return line
        style = "yellow" if replies(now.usage) or now.usage.failed else "dim"
        return Group(line, Text(usage_facts(now.usage), style=style))


@contextmanager
def watched(progress: ShowProgress, label: str) -> Iterator[OnProgress | None]:
    """Whom to tell of the steps within the block, by the argument ``progress=``; None: nobody.

    Raises:
        ConfigError: the argument is neither a truth value nor a function.
    """
    if progress is None or progress is False:
        yield None
    elif progress is True:
        with ProgressDisplay() as display:
            display.label(label)
            yield display
    elif callable(progress):
        yield progress
    else:
        raise ConfigError(
            f"progress is {progress!r}; expected True, False, or a function that takes a Progress"
        )


def in_steps(
    progress: ShowProgress,
    label: str,
    stage: str,
    items: Sequence[Item],
    answer: Callable[[Sequence[Item]], Iterable[Found]],
    *,
    step: int,
) -> list[Found]:
    """What `answer` gives for some items: all at once, or `step` at a time where progress is shown."""
    with watched(progress, label) as told:
        if told is None:
            return list(answer(items)) if items else []
        found: list[Found] = []
        for start in range(0, len(items), step):
            found += answer(items[start : start + step])
            told(Progress(stage, min(start + step, len(items)), len(items)))
        return found


@contextmanager
def waiting(progress: ShowProgress, label: str, stage: str) -> Iterator[None]:
    """Tell every second that something goes on which cannot be counted, with a total of 0."""
    with watched(progress, label) as told:
        if told is None:
            yield
            return
        over = threading.Event()

        def tell() -> None:
            while not over.wait(1.0):
                told(Progress(stage, 0, 0))

        teller = threading.Thread(target=tell, daemon=True)
        teller.start()
        try:
            yield
        finally:
            over.set()
            teller.join()


def usage_facts(usage: Usage) -> str:
    """Calls, tokens and cost of a run, and what became of the replies."""
    tokens = usage.prompt_tokens + usage.completion_tokens
    parts = [f"{count(usage.distinct_calls, 'call')} ({usage.cached_calls:,} cached)", count(tokens, "token")]
    if usage.cost_usd:
        parts.append(dollars(usage.cost_usd))
    if usage.retries:
        parts.append(f"{usage.retries:,} retried")
    if usage.follow_ups:
        parts.append(count(usage.follow_ups, "follow-up"))
    return " · ".join([*parts, *replies(usage), f"{usage.failed:,} failed"])


def replies(usage: Usage) -> list[str]:
    """How many replies were mended, could not be read, or refuse to answer: only those that there were."""
    counts = {"mended": usage.mended, "unreadable": usage.unreadable, "refused": usage.refused}
    return [f"{number:,} {what}" for what, number in counts.items() if number]

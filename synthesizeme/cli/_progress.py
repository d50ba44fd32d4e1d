"""Where a run stands, on standard error: live lines on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import threading
import time
from types import TracebackType
from typing import TYPE_CHECKING, Any

from synthesizeme.cli._text import count, dollars, printable, say

if TYPE_CHECKING:
    from synthesizeme.backends import Progress
    from synthesizeme.types import Usage

SECONDS_BEFORE_FIRST_LINE = 2.0
SECONDS_BETWEEN_LINES = 10.0
_LABEL_WIDTH = 30


class ProgressDisplay:
    """Shows `Progress` values as they come; `label` says for whom. Use it as a context.

    Args:
        quiet: Show nothing.
    """

    def __init__(self, *, quiet: bool = False) -> None:
        self._quiet = quiet
        self._live: Any = None
        self._lock = threading.Lock()
        self._label = ""
        self._latest: Progress | None = None
        self._say_at = time.monotonic() + SECONDS_BEFORE_FIRST_LINE

    def __enter__(self) -> ProgressDisplay:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.clear()

    def label(self, user_id: str, position: int, total: int) -> None:
        """Name the user that the next values are about, and their place among all."""
        with self._lock:
            place = f" ({position}/{total})" if total > 1 else ""
            self._label = printable(user_id, _LABEL_WIDTH) + place
            self._latest = None

    def __call__(self, progress: Progress) -> None:
        """Show a value; safe to call from any thread."""
        if self._quiet:
            return
        with self._lock:
            self._latest = progress
            if sys.stderr.isatty():
                self._show_live()
            else:
                self._show_line(progress)

    def clear(self) -> None:
        """Take the live lines away, so that something else can be printed."""
        with self._lock:
            live, self._live = self._live, None
        if live is not None:
            live.stop()

    def _show_live(self) -> None:
        if self._live is None:
            from rich.console import Console
            from rich.live import Live

            console = Console(stderr=True)
            self._live = Live(
                get_renderable=self._render, console=console, transient=True, refresh_per_second=8
            )
            self._live.start()

    def _render(self) -> Any:
        from rich.console import Group
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        now = self._latest
        if now is None:
            return Text(self._label, style="bold")
        line = Table.grid(padding=(0, 1))
        bar = ProgressBar(total=max(1, now.total), completed=now.done, width=20)
        line.add_row(Text(self._label, style="bold"), Text(now.stage), bar, Text(f"{now.done}/{now.total}"))
        return Group(
            line,
            Text(usage_facts(now.usage), style="yellow" if replies(now.usage) or now.usage.failed else "dim"),
        )

    def _show_line(self, now: Progress) -> None:
        """Not a terminal: a line now and then, none in a short run."""
        if time.monotonic() >= self._say_at:
            self._say_at = time.monotonic() + SECONDS_BETWEEN_LINES
            say(f"{self._label}: {now.stage} {now.done}/{now.total}; {usage_facts(now.usage)}")


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

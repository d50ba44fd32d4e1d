"""Text for the terminal: what comes from data cannot move the cursor, and long things are shortened."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from synthesizeme.cli._json_output import stream

if TYPE_CHECKING:
    from rich.console import Console


def print_json(value: Any) -> None:
    """One JSON object on standard output; characters that the terminal cannot show are escaped."""
    output = stream()
    encoding = (output.encoding or "").lower().replace("-", "")
    text = json.dumps(value, indent=2, ensure_ascii=encoding != "utf8", allow_nan=False)
    output.write(f"{text}\n")


def terminal() -> Console:
    """A console on standard output; a reader that went away is a BrokenPipeError, as with any other write."""
    from rich.console import Console

    class Terminal(Console):
        def on_broken_pipe(self) -> None:
            raise BrokenPipeError

    return Terminal(highlight=False)


class PatientOutput:
    """Standard output whose reader may go away while the work goes on."""

    def __init__(self) -> None:
        self.gone = False
        """Whether the reader went away."""

    def show(self, draw: Callable[[], None]) -> None:
        """Run `draw`, which writes to standard output, unless nobody reads it any more."""
        if self.gone:
            return
        try:
            draw()
            sys.stdout.flush()
        except BrokenPipeError:
            self.gone = True


def say(message: str) -> None:
    """A line for people, on standard error."""
    sys.stderr.write(f"{message}\n")

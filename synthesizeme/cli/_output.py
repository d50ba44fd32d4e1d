"""What a verb prints: JSON alone on standard output if asked for, or text for people."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TextIO, cast

if TYPE_CHECKING:
    from rich.console import Console

_STANDARD_OUTPUT = 1
"""What code in C and other processes print to, whatever `sys.stdout` is."""


class _Diverted:
    """What stands in for `sys.stdout` meanwhile: it writes to standard error.

    Args:
        before: `sys.stdout` as it was.
        output: Where JSON goes.
        descriptor: A copy of the descriptor of standard output.
    """

    def __init__(self, before: TextIO, output: TextIO, descriptor: int) -> None:
        self.before, self.output, self.descriptor = before, output, descriptor

    def __getattr__(self, name: str) -> Any:
        return getattr(sys.stderr, name)


def reserve() -> None:
    """From now on only `stream` leads to standard output, for this process and those it begins.

    Does nothing where standard output is no file of the system, as in a notebook.
    """
    before = sys.stdout
    if isinstance(before, _Diverted):
        return
    with suppress(OSError, ValueError):
        before.flush()
        errors, copy = sys.stderr.fileno(), os.dup(before.fileno())
        output = os.fdopen(copy, "w", encoding=before.encoding, errors="backslashreplace")
        diverted = _Diverted(before, output, os.dup(_STANDARD_OUTPUT))
        os.dup2(errors, _STANDARD_OUTPUT)
        sys.stdout = cast(TextIO, diverted)


def stream() -> TextIO:
    """Where JSON is written."""
    return sys.stdout.output if isinstance(sys.stdout, _Diverted) else sys.stdout


def release() -> None:
    """Give standard output back; what can no longer be written is let go."""
    diverted = sys.stdout
    if not isinstance(diverted, _Diverted):
        return
    sys.stdout = diverted.before
    with suppress(OSError, ValueError):
        os.dup2(diverted.descriptor, _STANDARD_OUTPUT)
        os.close(diverted.descriptor)
    with suppress(OSError, ValueError):
        diverted.output.close()


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

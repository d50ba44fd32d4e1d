"""Running a command: every error becomes one message on standard error and an exit status."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from typing import Any

import typer

from synthesizeme.cli._command import APPLICATION
from synthesizeme.cli._output import release, stream
from synthesizeme.errors import CacheError, ConfigError, SynthesizeMeError, UnknownNameError
from synthesizeme.plain_text import printable

OK, FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130
_BROKEN_PIPE = 141
_KEPT = " Finished calls are kept in the cache: the same command goes on where it stopped."


def run(
    app: typer.Typer, name: str, arguments: Sequence[str] | None, *, whole: typer.Typer | None = None
) -> int:
    """Run a command and return its exit status; never raises, never shows a traceback unless asked to.

    Args:
        app: The command.
        name: What it is called by.
        arguments: What follows the name; those of the process by default.
        whole: The application with all verbs, which a configuration file may speak of; `app` by default.
    """
    for output in (sys.stdout, sys.stderr):
        with suppress(AttributeError, ValueError, OSError):
            output.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    state: dict[str, Any] = {"debug": False, "calls_kept": False, APPLICATION: whole or app}
    try:
        status = _command(app).main(
            args=None if arguments is None else list(arguments),
            prog_name=name,
            standalone_mode=False,
            obj=state,
        )
        stream().flush()
        if status == INTERRUPTED:
            _say_interrupted(state)
        return status if isinstance(status, int) else OK
    except (KeyboardInterrupt, typer.Abort):
        _say_interrupted(state)
        return INTERRUPTED
    except BrokenPipeError:
        return _BROKEN_PIPE
    except Exception as error:
        if state["debug"]:
            traceback.print_exc()
        return _report(error, name)
    finally:
        release()
        _settle()


@cache
def _command(app: typer.Typer) -> Any:
    """What typer makes of `app`: it reads every flag of every verb, a tenth of a second for ours."""
    return typer.main.get_command(app)


def _report(error: Exception, name: str) -> int:
    if isinstance(error, ConfigError) and len(error.problems) > 1:
        _say(f"Error: {len(error.problems)} problems")
        for problem in error.problems:
            _say(f"  - {printable(problem)}")
        return USAGE
    if isinstance(error, SynthesizeMeError):
        _say(f"Error: {printable(str(error))}")
        usage = isinstance(error, ConfigError | UnknownNameError) and not isinstance(error, CacheError)
        return USAGE if usage else FAILED
    if hasattr(error, "exit_code") and hasattr(error, "format_message"):
        return _report_usage(error, name)
    if isinstance(error, OSError):
        _say(f"Error: {printable(str(error))}")
        return FAILED
    _say(
        f"Error: {type(error).__name__}: {printable(str(error), 500)}. "
        "This is a fault of the program; run again with --debug and report what it shows"
    )
    return FAILED


def _report_usage(error: Any, name: str) -> int:
    """A mistake that the command-line parser found."""
    message = error.format_message().replace("Value error, ", "")
    context = getattr(error, "ctx", None)
    if message:  # without a message it was a bare command, and the help has been shown
        path = context.command_path if context is not None else name
        _say(f"Error: {printable(message)}\nTry '{path.strip()} --help'.")
    return int(error.exit_code)


def _say_interrupted(state: dict[str, Any]) -> None:
    _say("Interrupted." + (_KEPT if state["calls_kept"] else ""))


def _say(message: str) -> None:
    with suppress(OSError, ValueError):
        sys.stderr.write(f"{message}\n")
        sys.stderr.flush()


def _settle() -> None:
    """Let what cannot be written to standard output go, or the interpreter complains of it at its end."""
    try:
        sys.stdout.flush()
    except (OSError, ValueError):
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

"""What a verb gives back: one JSON object, or text for people; and files, at places that are free."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, TextIO, cast

import typer

from synthesizeme.errors import ConfigError

if TYPE_CHECKING:
    from rich.console import Console

    from synthesizeme.profile import UserProfile


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


def tell(as_json: bool, document: Any, lines: Iterable[str]) -> None:
    """Print what was found: one JSON object, or lines for people, which are made only then."""
    if as_json:
        print_json(document)
    else:
        for line in lines:
            typer.echo(line)


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


def check_writable(out: Path, *, flag: str = "--out") -> None:
    """Refuse a folder, which `flag` names, that cannot be made or written before any work is done.

    Raises:
        ConfigError: it is a file, or below one, or nothing can be written there.
    """
    place = out.absolute()
    while not place.exists() and place != place.parent:
        place = place.parent
    if not place.is_dir():
        raise ConfigError(f"{flag} {out}: {place} is a file; expected a folder")
    try:
        with TemporaryDirectory(prefix=".writable.", dir=place):
            pass
    except OSError as error:
        raise ConfigError(
            f"{flag} {out}: {place} cannot be written ({error.strerror or error}); name another folder, or "
            "change its permissions"
        ) from None


def check_apart(flag: str, out: Path, **read: Path | None) -> None:
    """Refuse to write over what is read.

    Args:
        flag: Option that names `out`.
        out: What is written.
        **read: What is read, by the names of the options.

    Raises:
        ConfigError: two of them are the same file.
    """
    for name, place in read.items():
        if place is not None and out.exists() and place.exists() and out.samefile(place):
            raise ConfigError(f"{flag} {out} is what --{name} reads; name another file, which is written to")


def check_replaceable(out: Path, *, force: bool, own: bool = False, flag: str = "--out") -> None:
    """Refuse to replace what is at a place, unless it is this command's own earlier result, or forced to.

    Args:
        out: File or folder to write.
        force: Whether `--force` is given.
        own: Whether what is there is an earlier result of the same command for the same user, model or data.
        flag: Option that names it.

    Raises:
        ConfigError: something else is there.
    """
    there = out.exists() and not (out.is_dir() and not any(out.iterdir()))
    if there and not force and not own:
        raise ConfigError(f"{flag} {out} is there already; name another place, or replace it with --force")


def tells(path: Path, **facts: object) -> bool:
    """Whether a file holds a JSON object with these values: how a command knows its own earlier result."""
    try:
        document = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return False
    return isinstance(document, dict) and all(document.get(name) == value for name, value in facts.items())


def write_profile(
    out: Path, profile: UserProfile, judge_prompt: str, extra: Mapping[str, str], *, force: bool = False
) -> dict[str, Path]:
    """Write the files of one user; keys are the names under ``files`` in the JSON output.

    What the person did to the profile that is there stays.

    Args:
        out: Folder of all users.
        profile: The profile.
        judge_prompt: Name or path of the judge prompt.
        extra: Text of further files by name.
        force: Whether something else that is there is replaced.
    """
    from synthesizeme.personas.owner import save

    paths = save(out, profile, judge_prompt, extra=extra, force=force)
    return {Path(name).stem: path for name, path in paths.items()}

"""Where the cache is, writing files whole or not at all, setting shared ones up, and why a place fails."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from synthesizeme.errors import DataError

if TYPE_CHECKING:
    import sqlite3


def default_cache_dir() -> Path:
    """``$SYNTHESIZEME_CACHE_DIR``, else ``$XDG_CACHE_HOME/synthesizeme``, else ``~/.cache/synthesizeme``."""
    if own := os.environ.get("SYNTHESIZEME_CACHE_DIR"):
        return Path(own)
    root = os.environ.get("XDG_CACHE_HOME")
    return (Path(root) if root else Path.home() / ".cache") / "synthesizeme"


@contextmanager
def writing(place: Path) -> Iterator[None]:
    """Turn an operating-system error into one that names the place and the cure.

    Raises:
        DataError: something inside could not be written.
    """
    try:
        yield
    except OSError as error:
        cure = "check the path, its permissions and the disk space"
        raise DataError(
            f"cannot be written: {error.strerror or error}", source=str(place), cure=cure
        ) from None


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """A stream beside `path` that takes its place at the end: readers see the old bytes or the new ones.

    Folders are made and symbolic links followed. When the body raises, nothing is left behind. What is there
    and is no file, such as a device or a pipe, is not replaced but written into.

    Raises:
        DataError: the place cannot be written.
    """
    with writing(path):
        if path.exists() and not path.is_file() and not path.is_dir():
            with path.open("wb") as stream:
                yield stream
            return
        target = Path(os.path.realpath(path))
        partial = target.with_name(f".{target.name[:100]}.{secrets.token_hex(4)}.partial")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with partial.open("xb") as stream:
                yield stream
                stream.flush()
                os.fsync(stream.fileno())
            partial.replace(target)
        finally:
            with suppress(OSError):
                partial.unlink()


def write_whole(path: Path, text: str) -> None:
    """Write a text file (UTF-8) whole or not at all.

    Raises:
        DataError: the place cannot be written.
    """
    with whole_file(path) as stream:
        stream.write(text.encode("utf-8"))


def prepare(connection: sqlite3.Connection, statements: Sequence[str], *, patience_s: float = 60.0) -> None:
    """Execute what sets a shared SQLite file up, again and again while other processes do the same.

    SQLite does not wait where two connections switch a file to write-ahead logging at once: whatever its
    timeout, one of them is told that the file is locked.

    Args:
        connection: Commits every statement by itself.
        statements: May be executed twice.
        patience_s: How long to go on trying, in seconds.

    Raises:
        sqlite3.Error: the file cannot be set up, or is locked for longer.
    """
    import sqlite3

    until = time.monotonic() + patience_s
    while True:
        try:
            for statement in statements:
                connection.execute(statement)
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                raise
            time.sleep(0.005)

"""Where the cache is, writing files whole or not at all, and why a place fails."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from synthesizeme.errors import DataError


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

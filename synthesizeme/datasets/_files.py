"""Bytes of a file, plain or gzip, line by line in bounded memory."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from synthesizeme.errors import DataError

MAX_LINE_BYTES = 10_000_000
"""Longest line that is read, in bytes without its line end."""

_GZIP_MAGIC = b"\x1f\x8b"


@contextmanager
def open_bytes(path: Path) -> Iterator[BinaryIO]:
    """The bytes of a file, decompressed where its first two bytes say gzip.

    Raises:
        DataError: missing, a folder, unreadable, empty, named ``.gz`` but not gzip, or a damaged gzip.
    """
    source = str(path)
    if "\0" in source:
        raise DataError("the path holds a null character", source=repr(source), cure="correct it")
    try:
        with path.open("rb") as raw:
            magic = raw.peek(2)[:2]
            if not magic:
                raise DataError("the file is empty; expected rows", source=source, cure="check the path")
            if magic == _GZIP_MAGIC:
                with gzip.GzipFile(fileobj=raw) as unzipped:
                    yield cast(BinaryIO, unzipped)
            elif path.suffix == ".gz":
                cure = "rename it without .gz, or compress it with gzip"
                raise DataError(
                    f"is named .gz but begins with {magic!r}, which is not gzip", source=source, cure=cure
                )
            else:
                yield raw
    except FileNotFoundError:
        raise DataError("there is no such file", source=source, cure="check the path") from None
    except IsADirectoryError:
        raise DataError(
            "is a folder; expected a file", source=source, cure="name a file in the folder"
        ) from None
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        cure = "fetch or compress the file again"
        raise DataError(f"is a damaged gzip file: {error}", source=source, cure=cure) from None
    except OSError as error:
        cure = "check the path and its permissions"
        raise DataError(f"cannot be read: {error.strerror or error}", source=source, cure=cure) from None


def raw_lines(path: Path) -> Iterator[tuple[int, int, bytes | None]]:
    """1-based number, byte offset and bytes of each line; None for the bytes of a line over the limit.

    No more than `MAX_LINE_BYTES` are held at a time.

    Raises:
        DataError: the file cannot be read, see `open_bytes`.
    """
    with open_bytes(path) as stream:
        yield from stream_lines(stream)


def stream_lines(stream: BinaryIO) -> Iterator[tuple[int, int, bytes | None]]:
    """The same of a stream, a line as soon as it is there."""
    limit = MAX_LINE_BYTES + 1
    line = offset = 0
    while chunk := stream.readline(limit):
        line += 1
        start, whole = offset, len(chunk) < limit or chunk.endswith(b"\n")
        offset += len(chunk)
        yield line, start, chunk if whole else None
        while not whole and (chunk := stream.readline(limit)):
            offset += len(chunk)
            whole = chunk.endswith(b"\n")

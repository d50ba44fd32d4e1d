"""Bytes of a text file, plain or compressed, as UTF-8, line by line in bounded memory."""

from __future__ import annotations

import bz2
import gzip
import importlib
import io
import lzma
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO, cast

from synthesizeme.datasets.rows.encodings import as_utf8
from synthesizeme.datasets.rows.held import File
from synthesizeme.errors import DataError

MAX_LINE_BYTES = 10_000_000
"""Longest line that is read, in bytes without its line end."""
COMPRESSED = (".gz", ".zst", ".bz2", ".xz")
"""Endings of compressed files; that a file is compressed is known by its first bytes."""

_HEAD = 64
_POINTER = b"version https://git-lfs"
_NO_TEXT = {
    b"PK\x03\x04": ("is a zip archive or an Excel workbook", "unpack it, or save the sheet as CSV UTF-8"),
    _POINTER: ("is a pointer of Git LFS, not the file", "run `git lfs pull` in the checkout"),
    b"PAR1": ("is a Parquet file by its first bytes", "let its name end in .parquet"),
    b"ARROW1": ("is an Arrow file by its first bytes", "let its name end in .arrow"),
}
"""First bytes of what is no text, what it is, and the cure."""


def _zstd(raw: BinaryIO) -> Any:
    return io.BufferedReader(importlib.import_module("pyarrow").CompressedInputStream(raw, "zstd"))


_COMPRESSIONS: dict[bytes, tuple[str, Callable[[BinaryIO], Any]]] = {
    b"\x1f\x8b": ("gzip", lambda raw: gzip.GzipFile(fileobj=raw)),
    b"\x28\xb5\x2f\xfd": ("zstandard", _zstd),
    b"BZh": ("bzip2", bz2.BZ2File),
    b"\xfd7zXZ\x00": ("xz", lzma.LZMAFile),
}
"""First bytes of a compressed file, its name, and what reads it."""


@contextmanager
def open_bytes(path: File) -> Iterator[BinaryIO]:
    """The text of a file in UTF-8, decompressed and decoded as its first bytes say.

    Raises:
        DataError: missing, a folder, unreadable, empty, no text, named as compressed but not compressed, a
            damaged compressed file, or in UTF-16 or UTF-32 without a mark.
    """
    source = str(path)
    if "\0" in source:
        raise DataError("the path holds a null character", source=repr(source), cure="correct it")
    try:
        with path.open("rb") as raw:
            head = raw.peek(_HEAD)[:_HEAD]
            if not head:
                raise DataError("the file is empty; expected rows", source=source, cure="check the path")
            if (packed := _compression(head)) is not None:
                with _unpacked(raw, *packed, source) as text:
                    yield text
            elif path.suffix in COMPRESSED:
                cure = f"rename it without {path.suffix}, or compress it"
                kind = "gzip" if path.suffix == ".gz" else "compressed"
                problem = f"is named {path.suffix} but begins with {head[:2]!r}, which is not {kind}"
                raise DataError(problem, source=source, cure=cure)
            else:
                yield _text(raw, head, source)
    except FileNotFoundError:
        raise DataError("there is no such file", source=source, cure="check the path") from None
    except IsADirectoryError:
        raise DataError(
            "is a folder; expected a file", source=source, cure="name a file in the folder"
        ) from None
    except OSError as error:
        cure = "check the path and its permissions"
        raise DataError(f"cannot be read: {error.strerror or error}", source=source, cure=cure) from None


@contextmanager
def _unpacked(raw: BinaryIO, kind: str, opener: Callable[[BinaryIO], Any], source: str) -> Iterator[BinaryIO]:
    try:
        with opener(raw) as unpacked:
            yield _text(cast(BinaryIO, unpacked), unpacked.peek(_HEAD)[:_HEAD], source)
    except (EOFError, OSError, zlib.error, lzma.LZMAError) as error:
        cure = "fetch or compress the file again"
        raise DataError(f"is a damaged {kind} file: {error}", source=source, cure=cure) from None


def _compression(head: bytes) -> tuple[str, Callable[[BinaryIO], Any]] | None:
    return next((how for magic, how in _COMPRESSIONS.items() if head.startswith(magic)), None)


def refuse_pointer(path: File) -> None:
    """Refuse what stands in a checkout for a file that was not fetched.

    Raises:
        DataError: the file is such a pointer.
        OSError: it cannot be read.
    """
    with path.open("rb") as raw:
        if raw.read(len(_POINTER)) == _POINTER:
            problem, cure = _NO_TEXT[_POINTER]
            raise DataError(problem, source=str(path), cure=cure)


def _text(stream: BinaryIO, head: bytes, source: str) -> BinaryIO:
    for magic, (problem, cure) in _NO_TEXT.items():
        if head.startswith(magic):
            raise DataError(f"{problem}; expected text", source=source, cure=cure)
    return as_utf8(stream, head, source)


def raw_lines(path: File) -> Iterator[tuple[int, int, bytes | None]]:
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

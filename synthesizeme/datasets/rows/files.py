"""Bytes of a text file, plain or compressed, as UTF-8, line by line in bounded memory.

In which encoding it is, its mark tells, else what its bytes look like.
"""

from __future__ import annotations

import bz2
import codecs
import gzip
import importlib
import io
import lzma
import re
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO, cast

from synthesizeme.datasets.rows.sources import File
from synthesizeme.errors import DataError

_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
"""Byte order marks, the longer first: that of UTF-32 begins with that of UTF-16."""
_CHUNK = 1 << 16
_HIGH = re.compile(rb"[\x80-\xff]+")


def as_utf8(stream: BinaryIO, head: bytes, source: str) -> BinaryIO:
    """The stream itself, or as UTF-8 what is UTF-16 or UTF-32 by its mark.

    Args:
        stream: The bytes from their beginning.
        head: The first of them.
        source: File they come from.

    Raises:
        DataError: they look like UTF-16 or UTF-32 without a mark. So does reading what is damaged.
    """
    encoding = next((name for mark, name in _MARKS if head.startswith(mark)), None)
    if encoding is not None:
        return cast(BinaryIO, io.BufferedReader(_Recoded(stream, encoding, source)))
    if (found := _unmarked(head)) is not None:
        problem = f"looks like {found} without a byte order mark; expected UTF-8"
        raise DataError(problem, source=source, cure=f"run `iconv -f {found} -t UTF-8` on it")
    return stream


def decoded(raw: bytes, *, source: str, line: int | None = None, offset: int = 0) -> str:
    """UTF-8 bytes as text, without the mark that may stand at the beginning of a file.

    Args:
        raw: The bytes.
        source: File they come from.
        line: 1-based line they begin on.
        offset: Where in their file they begin, in bytes.

    Raises:
        DataError: they are not UTF-8; says what they most likely are.
    """
    try:
        return raw.decode("utf-8-sig" if offset == 0 else "utf-8")
    except UnicodeDecodeError as error:
        problem, cure = _not_utf8(raw, error, offset)
        raise DataError(problem, source=source, line=line, cure=cure) from None


def _not_utf8(raw: bytes, error: UnicodeDecodeError, offset: int) -> tuple[str, str]:
    """What bytes that are not UTF-8 most likely are, in words, and the cure."""
    byte = f"byte 0x{error.object[error.start]:02x} at byte offset {offset + error.start}"
    name = _likely(raw)
    if name is None:
        cure = "fetch it again, or drop what is damaged with `iconv -c -f UTF-8 -t UTF-8`"
        return f"{byte} is not UTF-8, which the text is elsewhere: it is damaged", cure
    return f"{byte} is not UTF-8; the text looks like {name}", f"run `iconv -f {name} -t UTF-8` on it"


class _Recoded(io.RawIOBase):
    """Text of another encoding as UTF-8, some of it in memory at a time."""

    def __init__(self, stream: BinaryIO, encoding: str, source: str) -> None:
        self._stream, self._encoding, self._source = stream, encoding, source
        self._decoder = codecs.getincrementaldecoder(encoding)()
        self._ready = b""
        self._ended = False

    def readable(self) -> bool:
        """Whether it can be read: always."""
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        """Fill the buffer with as much as there is, none at the end."""
        while not self._ready and not self._ended:
            chunk = self._stream.read(_CHUNK)
            self._ended = not chunk
            try:
                self._ready = self._decoder.decode(chunk, final=self._ended).encode("utf-8")
            except UnicodeError as error:
                problem = f"begins like {self._encoding.upper()} and is not: {error}"
                raise DataError(problem, source=self._source, cure="fetch or save the file again") from None
        part, self._ready = self._ready[: len(buffer)], self._ready[len(buffer) :]
        buffer[: len(part)] = part
        return len(part)


def _unmarked(head: bytes) -> str | None:
    """UTF-16 or UTF-32 by where the null bytes of its first, mostly ASCII, characters stand."""
    start = head[: len(head[:64]) // 4 * 4]
    if len(start) < 8 or b"\0" not in start:
        return None
    null = [sum(byte == 0 for byte in start[place::4]) > len(start) // 8 for place in range(4)]
    patterns = {
        "UTF-32LE": [False, True, True, True],
        "UTF-32BE": [True, True, True, False],
        "UTF-16LE": [False, True, False, True],
        "UTF-16BE": [True, False, True, False],
    }
    return next((name for name, pattern in patterns.items() if pattern == null), None)


def _between(first: str, last: str) -> Callable[[str], bool]:
    return lambda character: first <= character <= last


def _simplified(character: str) -> bool:
    """Whether a character is among the 3,755 commonest of simplified Chinese."""
    return b"\xb0" <= character.encode("gb2312", "ignore")[:1] <= b"\xd7"


def _traditional(character: str) -> bool:
    """Whether a character is among the 5,401 commonest of traditional Chinese."""
    return b"\xa4" <= character.encode("big5", "ignore")[:1] <= b"\xc6"


_USUAL: dict[str, tuple[Callable[[str], bool], float]] = {
    "SHIFT_JIS": (_between("぀", "ヿ"), 0.3),
    "EUC-JP": (_between("぀", "ヿ"), 0.3),
    "EUC-KR": (_between("가", "힣"), 0.7),
    "CP1251": (_between("а", "я"), 0.7),
    "GB18030": (_simplified, 0.7),
    "BIG5": (_traditional, 0.7),
}
"""Encodings of other scripts: what their text consists of, and the least share of it beyond ASCII."""


def _likely(raw: bytes) -> str | None:
    """Name of the encoding of bytes that are not UTF-8 throughout; None for damaged UTF-8."""
    others = [character for character in raw.decode("utf-8", "replace") if character > "\x7f"]
    damaged = others.count("�")
    if len(others) - damaged > damaged:
        return None
    runs = _HIGH.findall(raw)
    if sum(map(len, runs)) >= 2 * len(runs):
        for name, (usual, least) in _USUAL.items():
            text = raw.decode(name, "replace")
            beyond = [character for character in text if character > "\x7f"]
            if beyond and sum(map(usual, beyond)) >= least * len(beyond):
                return name
    return "CP1252"


MAX_LINE_BYTES = 10_000_000
"""Longest line that is read, in bytes without its line end."""
COMPRESSED = (".gz", ".zst", ".bz2", ".xz")
"""Endings of compressed files; that a file is compressed is known by its first bytes."""

_HEAD = 64
_POINTER = b"version https://git-lfs"
_NO_TEXT = {
    b"PK\x03\x04": (
        "is a zip archive, or an Excel workbook",
        "unpack it; the name of a workbook ends in .xlsx",
    ),
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

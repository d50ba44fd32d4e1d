"""In which encoding a text is: by its mark, else by what its bytes look like."""

from __future__ import annotations

import codecs
import io
import re
from collections.abc import Callable
from typing import BinaryIO, cast

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

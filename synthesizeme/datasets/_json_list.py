"""One JSON list of objects as a stream of rows, an item in memory at a time."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from synthesizeme.datasets._files import MAX_LINE_BYTES, open_bytes
from synthesizeme.datasets._intake import SourceRow
from synthesizeme.datasets._lines import parse_json
from synthesizeme.errors import DataError

_CHUNK = 1 << 18
_OUTSIDE = re.compile(rb'["\[\]{},]')
_INSIDE = re.compile(rb'["\\]')
_MOST_PADDING = 10_000
_CURE = "write one list of objects, or one object per line"


def json_items(path: Path) -> Iterator[SourceRow | DataError]:
    """The rows of a file that is one JSON list, numbered from 1; a comma after the last is allowed.

    Raises:
        DataError: the file cannot be read (`open_bytes`), is no JSON, or an item is too long.
    """
    source = str(path)
    with open_bytes(path) as stream:
        for number, (line, offset, raw) in enumerate(_items(stream, source), start=1):
            try:
                value = parse_json(raw, source=source, line=line, offset=offset)
            except DataError as error:
                if error.problem.startswith("not JSON"):  # where the next item begins is then not known
                    raise
                yield error
                continue
            if isinstance(value, dict):
                yield SourceRow(source, number, value)
            else:
                problem = f"item {number} of the list is not an object"
                yield DataError(problem, source=source, line=number, cure="give each row as one object")


def _items(stream: BinaryIO, source: str) -> Iterator[tuple[int, int, bytes]]:
    """Line and byte offset of every item, and its bytes behind spaces up to the column it begins in."""
    buffer, gone, line, column, depth, quoted, at = b"", 0, 1, 0, 0, False, 0
    while chunk := stream.read(_CHUNK):
        buffer += chunk
        begun = 0
        while (found := (_INSIDE if quoted else _OUTSIDE).search(buffer, at)) is not None:
            mark, at = found[0], found.end()
            if mark == b"\\":
                if at == len(buffer):  # what it escapes is in the next chunk
                    at -= 1
                    break
                at += 1
            elif mark == b'"':
                quoted = not quoted
            elif mark in b"[{":
                depth += 1
                if depth == 1:
                    (line, column), begun = _after(buffer[:at], line, column), at
            elif mark == b"," and depth > 1:
                continue
            else:
                ended = mark != b","
                depth -= ended
                if ended and depth:
                    continue
                item = buffer[begun : found.start()]
                if item.strip() or not ended:
                    padding = b" " * min(column, _MOST_PADDING)
                    yield line, gone + begun - len(padding), padding + item
                (line, column), begun = _after(buffer[begun:at], line, column), at
                if ended:
                    _refuse_rest(buffer[at:] + stream.read(_CHUNK), source, line)
                    return
        at = (len(buffer) if found is None else at) - begun
        buffer, gone = buffer[begun:], gone + begun
        if len(buffer) > MAX_LINE_BYTES:
            problem = f"an item of the list is longer than {MAX_LINE_BYTES:,} bytes"
            raise DataError(problem, source=source, line=line, cure=_CURE)
    raise DataError("not JSON: the list does not end", source=source, line=line, cure=_CURE)


def _after(passed: bytes, line: int, column: int) -> tuple[int, int]:
    """Line and column behind some bytes that began at a line and column."""
    lines = passed.count(b"\n")
    return line + lines, len(passed) - passed.rfind(b"\n") - 1 if lines else column + len(passed)


def _refuse_rest(rest: bytes, source: str, line: int) -> None:
    if rest.strip():
        problem = f"not JSON: found {rest.strip()[:40]!r} behind the end of the list"
        raise DataError(problem, source=source, line=line, cure=_CURE)

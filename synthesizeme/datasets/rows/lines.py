"""Rows of text files as a stream, one in memory at a time: JSON Lines, one list of objects, CSV.

Every fault is named by its line.
"""

from __future__ import annotations

import csv
import io
import json
import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any, BinaryIO

from synthesizeme.datasets.rows.files import (
    MAX_LINE_BYTES,
    as_utf8,
    decoded,
    open_bytes,
    raw_lines,
    stream_lines,
)
from synthesizeme.datasets.rows.plain import Row
from synthesizeme.datasets.rows.sources import File, SourceRow
from synthesizeme.errors import DataError
from synthesizeme.plain_text import short_repr

MAX_DEPTH = 64
"""Deepest nesting of lists and objects in one row."""

_CHUNK = 1 << 18
_HEAD = 64
_OUTSIDE = re.compile(rb'["\[\]{},]')
_INSIDE = re.compile(rb'["\\]')
_MOST_PADDING = 10_000
_CURE = "write one list of objects, or one object per line"
_SURROGATE_ESCAPE = re.compile(r"\\u[dD][89a-fA-F]")


def json_lines(path: File) -> Iterator[SourceRow | DataError]:
    """The rows of a JSON Lines file; a faulty line is yielded as the error it makes. Blank lines are skipped.

    Raises:
        DataError: the file as a whole cannot be read, see `open_bytes`.
    """
    cure = "write one JSON object per line, or one list of objects in the whole file"
    return _rows(raw_lines(path), str(path), cure)


def json_stream(stream: BinaryIO, source: str) -> Iterator[SourceRow | DataError]:
    """The rows of a JSON Lines stream, called `source` in errors, each as soon as its line is there.

    Raises:
        DataError: it looks like UTF-16 or UTF-32 without a mark; with one it is read.
    """
    buffered = stream if hasattr(stream, "peek") else io.BufferedReader(stream)  # type: ignore[type-var]
    text = as_utf8(buffered, buffered.peek(_HEAD)[:_HEAD], source)
    return _rows(
        stream_lines(text), source, "write one JSON object per line, as `jq -c '.[]'` makes of a list"
    )


def json_items(path: File) -> Iterator[SourceRow | DataError]:
    """The rows of a file that is one JSON list, numbered from 1; a comma after the last is allowed.

    Raises:
        DataError: the file cannot be read (`open_bytes`), is no JSON, or an item is too long.
    """
    source = str(path)
    with open_bytes(path) as stream:
        for number, (line, offset, raw) in enumerate(_items(stream, source), start=1):
            found = _row(raw, source, line, offset, "an object as each item")
            if isinstance(found, DataError) and found.problem.startswith("not JSON"):
                raise found  # where the next item begins is not known
            yield found if isinstance(found, DataError) else SourceRow(source, number, found)


def _rows(
    lines: Iterable[tuple[int, int, bytes | None]], source: str, cure: str
) -> Iterator[SourceRow | DataError]:
    for line, offset, raw in lines:
        if raw is None:
            yield DataError(
                f"the line is longer than {MAX_LINE_BYTES:,} bytes",
                source=source,
                line=line,
                cure="write one JSON object per line; a single pair should be far shorter",
            )
        elif raw.strip():
            found = _row(_without_comma(raw), source, line, offset, "one JSON object per line", cure)
            yield found if isinstance(found, DataError) else SourceRow(source, line, found)


def _row(
    raw: bytes, source: str, line: int, offset: int, expected: str, cure: str = "give each row as one object"
) -> Row | DataError:
    """The object that some bytes spell, or the error that they are; see `parse_json`."""
    try:
        value = parse_json(raw, source=source, line=line, offset=offset)
    except DataError as error:
        return error
    if isinstance(value, dict):
        return value
    return DataError(f"found {_kind(value)}; expected {expected}", source=source, line=line, cure=cure)


def _without_comma(raw: bytes) -> bytes:
    """A line without its end, and without the comma that a list cut into lines leaves after an object."""
    line, bare = raw.rstrip(b"\r\n"), raw.rstrip()
    return bare[:-1] if bare.endswith(b",") and bare[:-1].rstrip().endswith(b"}") else line


def parse_json(raw: bytes, *, source: str, line: int = 1, offset: int = 0) -> Any:
    """One JSON value that can be written again as UTF-8 JSON, every field of an object standing in it once.

    Args:
        raw: The bytes of the value.
        source: File they came from.
        line: 1-based line they begin on.
        offset: Byte offset of the line in the (unzipped) file.

    Raises:
        DataError: not UTF-8, not JSON, NaN or infinite numbers, a field given twice, lone surrogates, nested
            too deeply.
    """
    text = decoded(raw, source=source, line=line, offset=offset)
    try:
        value = json.loads(
            text, parse_constant=_refuse_constant, parse_float=_finite, object_pairs_hook=_object
        )
        if text.count("[") + text.count("{") > MAX_DEPTH:
            _check_depth(value)
    except json.JSONDecodeError as error:
        problem = f"not JSON: {error.msg} at column {error.colno}"
        cure = (
            "write one complete JSON object per line, or one list of objects; tables are known by their "
            "names, *.csv, *.tsv, *.parquet or *.arrow"
        )
        raise DataError(problem, source=source, line=line + error.lineno - 1, cure=cure) from None
    except RecursionError:
        raise _too_deep(source, line) from None
    except ValueError as error:
        cure = "write finite numbers, strings, lists and objects only, each field of an object once"
        raise DataError(f"not usable JSON: {error}", source=source, line=line, cure=cure) from None
    if _SURROGATE_ESCAPE.search(text):
        _refuse_surrogates(value, source, line)
    return value


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"found {name}, which JSON does not have")


def _object(fields: list[tuple[str, Any]]) -> Row:
    value = dict(fields)
    if len(value) < len(fields):
        names = [name for name, _ in fields]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"found the field {short_repr(twice)} twice in one object")
    return value


def _finite(digits: str) -> float:
    if not math.isfinite(value := float(digits)):
        raise ValueError(f"found {digits}, which is too large for a number")
    return value


def _check_depth(value: Any) -> None:
    level, depth = [value], 0
    while level := [item for item in level if isinstance(item, dict | list)]:
        depth += 1
        if depth > MAX_DEPTH:
            raise RecursionError
        level = [inner for item in level for inner in (item.values() if isinstance(item, dict) else item)]


def _too_deep(source: str, line: int) -> DataError:
    problem = f"lists and objects are nested more than {MAX_DEPTH} deep"
    return DataError(problem, source=source, line=line, cure="flatten the row")


def _refuse_surrogates(value: Any, source: str, line: int) -> None:
    fields = value.items() if isinstance(value, dict) else [(None, value)]
    for name, part in fields:
        try:
            json.dumps([name, part], ensure_ascii=False).encode()
        except UnicodeEncodeError as error:
            found = f"\\u{ord(str(error.object)[error.start]):04x}"
            shown = None if name is None else name.encode("ascii", "backslashreplace").decode()[:80]
            raise DataError(
                f"found the lone surrogate {found}; expected text that can be written as UTF-8",
                source=source,
                line=line,
                field=shown,
                cure="remove it, or write the whole surrogate pair",
            ) from None


def _kind(value: Any) -> str:
    names = {list: "a list", str: "a string", bool: "a truth value", type(None): "null"}
    return names.get(type(value), "a number")


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


CSV_SUFFIXES = (".csv", ".tsv", ".tab")
"""Endings of such files, without that of a compression."""
_DELIMITERS = ",;\t"
NO_HEADER = (
    "if the first line is a row and no header, put one above it, such as `user_id,prompt,chosen,rejected`"
)
"""The cure for CSV whose first row was taken for its header."""
_EXCEL = "sep="
"""Beginning of a line that Excel writes before the header, followed by the delimiter."""


def csv_rows(path: File) -> Iterator[SourceRow | DataError]:
    """The rows of a CSV file with a header, every cell a text.

    The delimiter is what the header has most of: comma, semicolon or tab. Blanks around names of columns are
    no part of them. A first column without a name,
    which numbers the rows of a data frame, is left out; so are other columns without a name and cells beyond
    the header where they are blank, as a delimiter at the ends of lines leaves them.

    Raises:
        DataError: the file is not UTF-8 or not CSV, or two columns have one name.
    """
    lines = csv_cells(path, delimiter=None)
    number, header = next(lines, (0, []))
    header = [name.strip() for name in header]
    refuse_twice(header, str(path), number, f"; {NO_HEADER}")
    for line, cells in lines:
        width = len(header)
        unnamed = [cell for name, cell in zip(header[1:], cells[1:], strict=False) if not name]
        if len(cells) < width or any(cell.strip() for cell in (*unnamed, *cells[width:])):
            problem = f"the row has {len(cells)} cells, the header {width}"
            cure = "quote cells that hold delimiters or line ends, and name every column"
            yield DataError(problem, source=str(path), line=line, cure=cure)
        else:
            row = {name: cell for name, cell in zip(header, cells, strict=False) if name}
            yield SourceRow(str(path), line, row)


def refuse_twice(header: Iterable[str], source: str, line: int, further_cure: str = "") -> None:
    """Refuse a header with two columns of one name; blank names are none.

    Raises:
        DataError: names the first such name.
    """
    counts = Counter(name for name in header if name)
    if twice := [name for name, number in counts.items() if number > 1]:
        problem, cure = f"two columns have the name {twice[0][:80]!r}", "rename or remove one of them"
        raise DataError(problem, source=source, line=line, cure=cure + further_cure)


def csv_cells(path: File, *, delimiter: str | None = ",") -> Iterator[tuple[int, list[str]]]:
    """The lines of a CSV file that are not blank, each with the number of the line that it ends on.

    Args:
        path: The file.
        delimiter: What is between cells; None: what the first line has most of.

    Raises:
        DataError: the file is not UTF-8 or not CSV.
    """
    csv.field_size_limit(max(csv.field_size_limit(), MAX_LINE_BYTES))
    lines = _text_lines(path)
    first = next(lines, "")
    begun = 0
    if delimiter is None and first.lower().startswith(_EXCEL) and len(first.strip()) == len(_EXCEL) + 1:
        delimiter, first, begun = first[len(_EXCEL)], next(lines, ""), 1
    delimiter = delimiter or _delimiter(first)
    reader = csv.reader(chain([first], lines), delimiter=delimiter, strict=True)
    try:
        for cells in reader:
            if any(cells):
                yield begun + reader.line_num, cells
    except csv.Error as error:
        cure = "write it with Python's csv module, or convert it to JSON Lines"
        problem, line = f"is not CSV: {error}", begun + reader.line_num
        raise DataError(problem, source=str(path), line=line, cure=cure) from None


def _text_lines(path: File) -> Iterator[str]:
    for line, offset, raw in raw_lines(path):
        if raw is None:
            problem, cure = f"the line is longer than {MAX_LINE_BYTES:,} bytes", "check that it is a CSV file"
            raise DataError(problem, source=str(path), line=line, cure=cure)
        yield decoded(raw, source=str(path), line=line, offset=offset)


def _delimiter(header: str) -> str:
    """The delimiter that a header has most of outside quotes; a comma where it has none."""
    outside = "".join(header.split('"')[::2])
    return max(_DELIMITERS, key=outside.count)

"""Rows out of whatever holds them: JSON Lines, a JSON list, CSV, Parquet, Arrow, folders of these, memory."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from synthesizeme.datasets.rows.columns import as_named, unfolded
from synthesizeme.datasets.rows.files import COMPRESSED, open_bytes, refuse_pointer
from synthesizeme.datasets.rows.folders import DataFile, data_files
from synthesizeme.datasets.rows.held import File, HeldRows, HeldText, Origin
from synthesizeme.datasets.rows.lines import CSV_SUFFIXES, csv_rows, json_items, json_lines
from synthesizeme.datasets.rows.report import ReadReport, SourceRow
from synthesizeme.errors import DataError

_AT_A_TIME = 256
"""Rows of a binary table that are held at a time."""


def rows_of(source: Origin, report: ReadReport) -> Iterator[SourceRow]:
    """The rows of a file or an object in memory, or of the data files of a folder in name order.

    Columns have the names that the report gives them, and columns of messages that are written as text hold
    messages (`unfolded`). Of a folder with several splits a row is of the split of its file, unless it names
    one itself.

    Raises:
        DataError: nothing can be read, or a row is malformed and bad rows are not skipped.
    """
    if isinstance(source, HeldRows):
        yield from _read(source.numbered(), report)
    elif isinstance(source, HeldText):
        yield from _read(_rows(source), report)
    else:
        for file in data_files(source, split=report.split):
            yield from _of_split(_read(_rows(file.path), report), file)


def is_csv(source: Origin) -> bool:
    """Whether the rows of a source come from CSV, whose first line is taken for its header."""
    if (
        isinstance(source, HeldRows)
        or source.is_dir()
        or (isinstance(source, Path) and source.suffix in _BINARY)
    ):
        return False
    name = source.name.removesuffix(source.suffix) if source.suffix in COMPRESSED else source.name
    return name.endswith((*CSV_SUFFIXES, ".txt"))


def _read(found: Iterable[SourceRow | DataError], report: ReadReport) -> Iterator[SourceRow]:
    return report.rows(unfolded(as_named(found, report.columns), report.notes.append))


def _of_split(places: Iterator[SourceRow], file: DataFile) -> Iterator[SourceRow]:
    for place in places:
        if file.split is not None and place.row.get("split") is None:
            yield SourceRow(place.source, place.line, {**place.row, "split": file.split})
        else:
            yield place


def _rows(path: File) -> Iterator[SourceRow | DataError]:
    if isinstance(path, Path) and path.suffix in _BINARY:
        return _numbered(path, _BINARY[path.suffix])
    name = path.name.removesuffix(path.suffix) if path.suffix in COMPRESSED else path.name
    if name.endswith(CSV_SUFFIXES):
        return csv_rows(path)
    if isinstance(path, Path) and not os.path.isfile(path):  # a pipe, which can be read but once, or nothing
        return json_lines(path)
    with open_bytes(path) as stream:
        beginning = stream.read(1024).removeprefix(b"\xef\xbb\xbf").lstrip()
    unnamed = isinstance(path, HeldText) or name.endswith(".txt")  # as Excel calls text with tabs
    if unnamed and not beginning.startswith((b"{", b"[")):
        return csv_rows(path)
    return json_items(path) if beginning.startswith(b"[") else json_lines(path)


def _numbered(path: Path, batches: Callable[[Path], Iterable[Any]]) -> Iterator[SourceRow]:
    """The rows of a binary table, numbered from 1."""
    source, number = str(path), 0
    kind = path.suffix[1:].capitalize()
    try:
        refuse_pointer(path)
        for batch in batches(path):
            for start in range(0, batch.num_rows, _AT_A_TIME):
                for row in batch.slice(start, _AT_A_TIME).to_pylist():
                    number += 1
                    yield SourceRow(source, number, row)
    except FileNotFoundError:
        raise DataError("there is no such file", source=source, cure="check the path") from None
    except (OSError, importlib.import_module("pyarrow").ArrowException) as error:
        cure = "fetch or write the file again"
        raise DataError(f"is not a readable {kind} file: {error}", source=source, cure=cure) from None


def _parquet(path: Path) -> Iterator[Any]:
    with importlib.import_module("pyarrow.parquet").ParquetFile(path) as table:
        yield from table.iter_batches(batch_size=_AT_A_TIME)


def _arrow(path: Path) -> Iterator[Any]:
    """The batches of an Arrow stream, as `datasets` writes it, or of an Arrow file."""
    pyarrow = importlib.import_module("pyarrow")
    with pyarrow.memory_map(str(path)) as source:
        if source.read(6) == b"ARROW1":
            table = pyarrow.ipc.open_file(source)
            yield from (table.get_batch(number) for number in range(table.num_record_batches))
        else:
            source.seek(0)
            yield from pyarrow.ipc.open_stream(source)


_BINARY: dict[str, Callable[[Path], Iterable[Any]]] = {".parquet": _parquet, ".arrow": _arrow}
"""What reads the binary tables, by the ending of their names."""

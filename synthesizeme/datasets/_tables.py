"""Rows out of whatever they come in: JSON Lines, a JSON list, CSV, Parquet, a folder of these."""

from __future__ import annotations

import csv
import importlib
import io
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from synthesizeme.datasets._files import open_bytes
from synthesizeme.datasets._intake import Intake, SourceRow
from synthesizeme.datasets._lines import json_lines, parse_json
from synthesizeme.errors import DataError

SUFFIXES = (".jsonl", ".jsonl.gz", ".ndjson", ".json", ".json.gz", ".csv", ".csv.gz", ".parquet")
"""Endings of the files that rows are read from."""
MAX_LIST_BYTES = 1_000_000_000
"""Largest JSON list, in bytes, since it has to be held whole."""

_NOT_ROWS = {"dataset_infos.json", "dataset_dict.json", "state.json"}
_SHARD = re.compile(r"-\d{5}-of-\d{5}.*$")


def rows_of(source: Path, intake: Intake) -> Iterator[SourceRow]:
    """The rows of a file, or of the data files of a folder in name order.

    Raises:
        DataError: nothing can be read, or a row is malformed and bad rows are not skipped.
    """
    for path in data_files(source, split=intake.split):
        yield from intake.rows(_rows(path))


def data_files(source: Path, *, split: str | None = None) -> list[Path]:
    """`source` itself if it is a file, else the data files under it, those of `split` if one is named.

    A file is of a split if its name without shard number and ending, or a folder it lies in, is the split's.

    Raises:
        DataError: a folder holds no such file.
    """
    if not source.is_dir():
        return [source]
    found = sorted(
        path for path in source.rglob("*") if path.name.endswith(SUFFIXES) and path.name not in _NOT_ROWS
    )
    wanted = [path for path in found if split is None or split in _split_names(path.relative_to(source))]
    if not wanted:
        names = ", ".join(str(path.relative_to(source)) for path in found[:10]) or "no data file"
        which = f" of split {split!r}" if split else ""
        raise DataError(
            f"the folder holds no rows{which}; found {names}",
            source=str(source),
            cure=f"name a file or split that exists; files end in {', '.join(SUFFIXES)}",
        )
    return wanted


def is_data_file(name: str) -> bool:
    """Whether a name ends like a file of rows."""
    return name.endswith((*SUFFIXES, ".gz"))


def _split_names(path: Path) -> set[str]:
    return {*path.parts[:-1], _SHARD.sub("", path.name.split(".")[0])}


def _rows(path: Path) -> Iterator[SourceRow | DataError]:
    if path.name.endswith(".parquet"):
        return _parquet(path)
    if path.name.endswith((".csv", ".csv.gz")):
        return csv_rows(path)
    with open_bytes(path) as stream:
        beginning = stream.read(1024).removeprefix(b"\xef\xbb\xbf").lstrip()
    return _json_list(path) if beginning.startswith(b"[") else json_lines(path)


def csv_rows(path: Path) -> Iterator[SourceRow | DataError]:
    """The rows of a CSV file with a header; cells are text, except JSON lists and objects.

    Raises:
        DataError: the file is not UTF-8 or not CSV.
    """
    lines = csv_cells(path)
    _, header = next(lines, (0, []))
    for line, cells in lines:
        if len(cells) != len(header):
            problem = f"the row has not the {len(header)} cells of the header"
            cure = "quote cells that hold commas or line ends"
            yield DataError(problem, source=str(path), line=line, cure=cure)
        else:
            row = {name: _cell(cell) for name, cell in zip(header, cells, strict=True)}
            yield SourceRow(str(path), line, row)


def csv_cells(path: Path) -> Iterator[tuple[int, list[str]]]:
    """The lines of a CSV file that are not blank, each with the number of the line that it ends on.

    Raises:
        DataError: the file is not UTF-8 or not CSV.
    """
    source = str(path)
    with open_bytes(path) as stream, io.TextIOWrapper(stream, encoding="utf-8-sig", newline="") as text:
        reader = csv.reader(text, strict=True)
        try:
            for cells in reader:
                if cells:
                    yield reader.line_num, cells
        except csv.Error as error:
            cure = "write it with Python's csv module, or convert it to JSON Lines"
            raise DataError(
                f"is not CSV: {error}", source=source, line=reader.line_num + 1, cure=cure
            ) from None
        except UnicodeDecodeError as error:
            cure = "save the file as UTF-8, e.g. `iconv -f LATIN1 -t UTF-8`"
            problem = f"a byte after line {reader.line_num} is not UTF-8: {error.reason}"
            raise DataError(problem, source=source, cure=cure) from None


def _cell(text: str) -> Any:
    if text[:1] in ("[", "{"):
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            return text
    return text


def _json_list(path: Path) -> Iterator[SourceRow | DataError]:
    source = str(path)
    with open_bytes(path) as stream:
        raw = stream.read(MAX_LIST_BYTES + 1)
    if len(raw) > MAX_LIST_BYTES:
        problem = f"the JSON list is larger than {MAX_LIST_BYTES:,} bytes"
        raise DataError(problem, source=source, cure="write one object per line instead")
    values: Sequence[Any] = parse_json(raw, source=source)
    for number, value in enumerate(values, start=1):
        if isinstance(value, dict):
            yield SourceRow(source, number, value)
        else:
            problem = f"item {number} of the list is not an object"
            yield DataError(problem, source=source, line=number, cure="give each row as one object")


def _parquet(path: Path) -> Iterator[SourceRow | DataError]:
    parquet = importlib.import_module("pyarrow.parquet")
    source, number = str(path), 0
    try:
        with parquet.ParquetFile(path) as table:
            for batch in table.iter_batches(batch_size=256):
                for row in batch.to_pylist():
                    number += 1
                    yield SourceRow(source, number, row)
    except FileNotFoundError:
        raise DataError("there is no such file", source=source, cure="check the path") from None
    except (OSError, importlib.import_module("pyarrow").ArrowException) as error:
        cure = "fetch or write the file again"
        raise DataError(f"is not a readable Parquet file: {error}", source=source, cure=cure) from None

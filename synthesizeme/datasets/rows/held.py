"""Rows that are in memory, as a source beside files: lists, frames, data sets, the content of a file."""

from __future__ import annotations

import io
import math
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from pydantic import BaseModel

from synthesizeme.datasets.rows.report import Row, SourceRow, split_of
from synthesizeme.errors import DataError
from synthesizeme.plain_text import short_repr

_EXPECTED = (
    "a list of dicts or PreferencePairs, a pandas DataFrame, a datasets.Dataset, a file's path or its content"
)

_MISSING = ("NAType", "NaTType")
"""What pandas puts where nothing is."""


@dataclass(frozen=True)
class HeldText:
    """The content of a file, wherever a path of one is taken."""

    content: bytes
    """Its bytes, compressed or not."""
    name: str = "content"
    suffix: str = ""

    def open(self, mode: str = "rb") -> io.BufferedReader:
        """The bytes as a file opened for reading."""
        return io.BufferedReader(io.BytesIO(self.content))

    def is_dir(self) -> bool:
        """It is no folder."""
        return False

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class HeldRows:
    """Rows of an object in memory."""

    name: str
    """What errors call a row, before its number: ``DataFrame row``."""
    rows: Callable[[], Iterable[Any]]
    """Gives them, as often as it is called."""

    def numbered(self) -> Iterator[SourceRow | DataError]:
        """Every row with its number, from 1; what is no row is the error that it makes."""
        for number, row in enumerate(self.rows(), start=1):
            values = row.model_dump() if isinstance(row, BaseModel) else row
            if isinstance(values, Mapping):
                yield SourceRow(self.name, number, plain_row(values))
            else:
                problem = f"found {short_repr(row)}, a {type(row).__name__}; expected a dict"
                cure = "give every row as a dict or a PreferencePair"
                yield DataError(problem, source=self.name, line=number, cure=cure)

    def is_dir(self) -> bool:
        """They are no folder."""
        return False

    def __str__(self) -> str:
        return self.name


Held: TypeAlias = HeldText | HeldRows
File: TypeAlias = Path | HeldText
"""A file, or the content of one."""
Origin: TypeAlias = File | HeldRows
"""Whatever rows come from: a file or folder, the content of a file, or an object in memory."""


def held(source: object) -> Held | None:
    """A source that is in memory; None for a path, or the name of a hub data set.

    Raises:
        DataError: it is nothing that rows can be read from.
    """
    if isinstance(source, str | bytes | bytearray | os.PathLike):
        return _text(source)
    if callable(read := getattr(source, "read", None)):
        content = read()
        return HeldText(content.encode() if isinstance(content, str) else content)
    return HeldRows(f"{type(source).__name__} row", _rows(source))


def plain_row(row: Mapping[Any, Any]) -> Row:
    """A row with names as text and values as JSON has them; what stands for nothing in tables is None.

    >>> plain_row({"user_id": float("nan"), "prompt": ("a", "b")})
    {'user_id': None, 'prompt': ['a', 'b']}
    """
    return {str(name): None if _is_nothing(value) else plain(value) for name, value in row.items()}


def plain(value: Any) -> Any:
    """Tuples and arrays as lists, values of NumPy as Python's, messages as dicts; else the value itself.

    Messages that a data set holds by column, as old versions of the hub library do, are a list of messages.

    >>> plain({"role": ["user", "assistant"], "content": ("Hi", "Hello")})
    [{'role': 'user', 'content': 'Hi'}, {'role': 'assistant', 'content': 'Hello'}]
    """
    if isinstance(value, BaseModel):
        return value.model_dump()
    if isinstance(value, Mapping):
        found = {str(name): plain(it) for name, it in value.items()}
        sizes = {len(it) if isinstance(it, list) else -1 for it in found.values()}
        by_column = {"role", "content"} <= found.keys() and len(sizes) == 1 and -1 not in sizes
        return (
            [dict(zip(found, it, strict=True)) for it in zip(*found.values(), strict=True)]
            if by_column
            else found
        )
    if isinstance(value, list | tuple):
        return [plain(it) for it in value]
    if isinstance(value, str):
        return str(value)
    return plain(value.tolist()) if type(value).__module__.startswith("numpy") else value


def _is_nothing(value: Any) -> bool:
    return type(value).__name__ in _MISSING or (isinstance(value, float) and math.isnan(value))


def _text(source: str | bytes | bytearray | os.PathLike[str]) -> HeldText | None:
    """The content of a file; a text is that, and no path, if it has several lines or begins like JSON."""
    if isinstance(source, os.PathLike):
        return None
    if isinstance(source, str):
        begun = source.lstrip("\ufeff \t\r\n")
        if begun and "\n" not in begun.rstrip() and not begun.startswith(("{", "[")):
            return None
        return HeldText(source.encode("utf-8", "surrogatepass"))
    return HeldText(bytes(source))


def _rows(source: Any) -> Callable[[], Iterable[Any]]:
    """How the rows of an object are had.

    Raises:
        DataError: it has none.
    """
    if isinstance(source, Mapping):
        return _of_splits(source)
    if isinstance(source, type):
        raise DataError(f"found {source}, a class; expected {_EXPECTED}", cure="give an object of the class")
    if hasattr(source, "iloc") and hasattr(source, "columns"):  # a frame of pandas
        named = [name for name in source.index.names if name is not None and name not in source.columns]
        return lambda: (source.reset_index(level=named) if named else source).to_dict("records")
    if hasattr(source, "features"):  # a data set of the hub library
        return lambda: _of_dataset(source)
    for method in ("to_pylist", "to_dicts"):  # a table of Arrow, a frame of polars
        if hasattr(source, method):
            return getattr(source, method)  # type: ignore[no-any-return]
    if isinstance(source, Iterable) and not isinstance(source, BaseModel):
        found = list(source)
        return lambda: found
    raise DataError(
        f"found {short_repr(source)}, a {type(source).__name__}; expected {_EXPECTED}",
        cure="give the rows as a list, also a single one",
    )


def _of_splits(source: Mapping[Any, Any]) -> Callable[[], Iterable[Any]]:
    """The rows of a `datasets.DatasetDict`, each of the split that it stands in."""
    if not source or not all(hasattr(part, "features") for part in source.values()):
        raise DataError(
            f"found a dict with the keys {short_repr(list(source))}; expected {_EXPECTED}",
            cure="give one row as [row], and columns as pandas.DataFrame(columns)",
        )
    return lambda: (
        {**row, "split": split_of([str(split)])} if row.get("split") is None else row
        for split, part in source.items()
        for row in _of_dataset(part)
    )


def _of_dataset(source: Any) -> Iterator[Row]:
    """Rows of a `datasets.Dataset` as plain values, classes by their names."""
    features = (source.features or {}).items()
    classes = {column: it.int2str for column, it in features if hasattr(it, "int2str")}
    for row in source.with_format(None):
        named = {column: name(row[column]) for column, name in classes.items() if row[column] is not None}
        yield {**row, **named}

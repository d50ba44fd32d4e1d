"""The rows of a source, whatever holds them: a file, a folder and its splits, or an object in memory."""

from __future__ import annotations

import importlib
import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from synthesizeme.datasets.rows.columns import as_named, unfolded
from synthesizeme.datasets.rows.files import COMPRESSED, open_bytes, refuse_pointer
from synthesizeme.datasets.rows.lines import CSV_SUFFIXES, csv_rows, json_items, json_lines
from synthesizeme.datasets.rows.sources import (
    File,
    HeldRows,
    HeldText,
    Origin,
    ReadReport,
    SourceRow,
    split_of,
)
from synthesizeme.datasets.rows.workbooks import WORKBOOK_SUFFIX, workbook_rows
from synthesizeme.errors import DataError

_TEXT_SUFFIXES = (".jsonl", ".ndjson", ".json", *CSV_SUFFIXES)
"""Endings of text files that rows are read from; one of a compression may follow."""
SUFFIXES = (
    *_TEXT_SUFFIXES,
    *(f"{text}{packed}" for text in _TEXT_SUFFIXES for packed in COMPRESSED),
    ".parquet",
    ".arrow",
    WORKBOOK_SUFFIX,
)
"""Endings of the files that rows are read from."""
_NOT_ROWS = {"dataset_infos.json", "dataset_info.json", "dataset_dict.json", "state.json"}
_CACHE = "cache-"
"""Beginning of files that `datasets` leaves beside those of a data set."""
_SHARD = re.compile(r"-\d{5}-of-\d{5}.*$")
_README = "README.md"


class DataFile(NamedTuple):
    """A file of rows."""

    path: Path
    split: str | None
    """The split its rows are of, if the folder has rows of several."""


def data_files(source: Path, *, split: str | None = None) -> list[DataFile]:
    """`source` itself if it is a file, else the data files under it, those of `split` if one is named.

    Which they are, and of which split, the folder says: ``dataset_dict.json`` and ``state.json`` of
    `datasets.save_to_disk`, or the configs in the ``README.md`` of a hub data set. Where it does not, a file
    is of a split if its name without shard number and ending, or a folder it lies in, is the split's.

    Raises:
        DataError: a folder holds no such file, or several configs of which none is the default.
    """
    if not os.path.isdir(source):
        return [DataFile(source, None)]
    found = sorted(_found(source))
    wanted = [(path, names) for path, names in found if split is None or split in names]
    if not wanted:
        listed = ", ".join(str(path.relative_to(source)) for path, _ in found[:10]) or "no data file"
        which = f" of split {split!r}" if split else ""
        raise DataError(
            f"the folder holds no rows{which}; found {listed}",
            source=str(source),
            cure=f"name a file or split that exists; files end in {', '.join(SUFFIXES)}",
        )
    splits = [split_of(names) for _, names in wanted]
    several = split is None and len(set(splits) - {None}) > 1
    return [DataFile(path, of if several else None) for (path, _), of in zip(wanted, splits, strict=True)]


def is_data_file(name: str) -> bool:
    """Whether a name ends like a file of rows."""
    return name.endswith((*SUFFIXES, ".gz"))


def _found(folder: Path) -> Iterator[tuple[Path, tuple[str, ...]]]:
    """The data files of a folder, each with the names that its split may have."""
    if (folder / "dataset_dict.json").is_file():
        for name in _document(folder / "dataset_dict.json", "splits", [str]):
            yield from ((path, (name,)) for path in _saved(folder / name))
    elif (folder / "state.json").is_file():
        yield from ((path, ()) for path in _saved(folder))
    elif (config := _config(folder)) is not None:
        yield from _configured(folder, config)
    else:
        for path in _rows_under(folder):
            inside = path.relative_to(folder)
            yield path, (_stem(path), *reversed(inside.parts[:-1]))


def _stem(path: Path) -> str:
    """Name of a file without shard number and endings."""
    return _SHARD.sub("", path.name.split(".")[0])


def _rows_under(folder: Path) -> Iterator[Path]:
    for path in folder.rglob("*"):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        left = path.name in _NOT_ROWS or path.name.startswith(_CACHE) or hidden
        if path.name.endswith(SUFFIXES) and not left and path.is_file():
            yield path


def _saved(folder: Path) -> list[Path]:
    """The files of one `datasets.Dataset.save_to_disk`."""
    files = _document(folder / "state.json", "_data_files", [Mapping])
    return [folder / str(file.get("filename")) for file in files]


def _document(path: Path, field: str, kinds: Sequence[type]) -> list[Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))[field]
    except (OSError, ValueError, KeyError, TypeError) as error:
        cure = "save the data set again with save_to_disk"
        raise DataError(f"cannot be read: {error}", source=str(path), field=field, cure=cure) from None
    return [item for item in found if isinstance(item, tuple(kinds))]


def _config(folder: Path) -> Mapping[str, Any] | None:
    """The config of a hub data set that its README makes the default one, if it names files.

    Raises:
        DataError: there are several, and none is the default.
    """
    configs = [it for it in _configs(folder / _README) if it.get("data_files") or it.get("data_dir")]
    chosen = [it for it in configs if it.get("default") or it.get("config_name") == "default"]
    if len(configs) > 1 and not chosen:
        names = ", ".join(str(it.get("config_name")) for it in configs)
        cure = f"name the folder or a file of the one that is meant: {_patterns_in_words(configs)}"
        raise DataError(f"holds several configs: {names}", source=str(folder), cure=cure)
    return next(iter(chosen or configs), None)


def _configs(readme: Path) -> list[Mapping[str, Any]]:
    if not readme.is_file():
        return []
    yaml = importlib.import_module("yaml")

    text = readme.read_text(encoding="utf-8", errors="replace")
    parts = re.split(r"^---\s*$", text, maxsplit=2, flags=re.MULTILINE)
    if len(parts) < 3 or parts[0].strip("\ufeff \n"):
        return []
    try:
        about = yaml.safe_load(parts[1])
    except yaml.YAMLError:
        return []
    configs = about.get("configs") if isinstance(about, Mapping) else None
    return [it for it in configs if isinstance(it, Mapping)] if isinstance(configs, list) else []


def _configured(folder: Path, config: Mapping[str, Any]) -> Iterator[tuple[Path, tuple[str, ...]]]:
    """The files of a config, each once, with their splits."""
    base = folder / str(config.get("data_dir") or "")
    seen = set()
    for pattern, split in _patterns(config):
        for path in sorted(base.glob(pattern)):
            inside = list(_rows_under(path)) if path.is_dir() else [path]
            for file in inside:
                if file not in seen and file.name.endswith(SUFFIXES):
                    seen.add(file)
                    yield file, (split or _stem(file),)


def _patterns(config: Mapping[str, Any]) -> Iterator[tuple[str, str | None]]:
    """Patterns of files, each with its split: one, several, by split, or a list of split and path."""
    files = config.get("data_files") or "**/*"
    entries = files if isinstance(files, list) else [files]
    for entry in entries:
        if isinstance(entry, Mapping):
            by_split = {entry["split"]: entry.get("path")} if "split" in entry else entry
            for split, paths in by_split.items():
                for path in paths if isinstance(paths, list) else [paths]:
                    yield str(path), str(split)
        else:
            yield str(entry), None


def _patterns_in_words(configs: Sequence[Mapping[str, Any]]) -> str:
    return "; ".join(", ".join(pattern for pattern, _ in _patterns(it)) for it in configs)


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
        yield from _read(_rows(source, report), report)
    else:
        for file in data_files(source, split=report.split):
            yield from _of_split(_read(_rows(file.path, report), report), file)


def is_csv(source: Origin) -> bool:
    """Whether the rows of a source come from CSV, whose first line is taken for its header."""
    if isinstance(source, HeldRows):
        return False
    if isinstance(source, Path) and (source.is_dir() or source.suffix in (*_BINARY, WORKBOOK_SUFFIX)):
        return False
    name = source.name.removesuffix(source.suffix) if source.suffix in COMPRESSED else source.name
    return name.endswith((*CSV_SUFFIXES, ".txt"))


def _read(found: Iterable[SourceRow | DataError], report: ReadReport) -> Iterator[SourceRow]:
    return report.rows(unfolded(as_named(found, report.columns), report.notes.append))


def _of_split(places: Iterator[SourceRow], file: DataFile) -> Iterator[SourceRow]:
    for place in places:
        named = file.split is None or place.row.get("split") is not None
        yield place if named else replace(place, row={**place.row, "split": file.split})


def _rows(path: File, report: ReadReport) -> Iterator[SourceRow | DataError]:
    if isinstance(path, Path) and path.suffix in _BINARY:
        return _numbered(path, _BINARY[path.suffix])
    if path.name.endswith(WORKBOOK_SUFFIX):
        return workbook_rows(path, report.notes.append)
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

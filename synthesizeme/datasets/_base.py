"""What a data set module is, and how one is found: by name, by the look of a row, by where its files lie.

Those of the Hugging Face hub are local folders: fetched once, then read from its cache.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType, ModuleType

from synthesizeme import discovery
from synthesizeme.datasets.rows.containers import SUFFIXES, rows_of
from synthesizeme.datasets.rows.plain import Row
from synthesizeme.datasets.rows.sources import Origin, ReadReport, SourceRow
from synthesizeme.errors import DataError
from synthesizeme.feedback import Given, Judgement, UserWords
from synthesizeme.hub import download

PACKAGE = "synthesizeme.datasets"
DATA_DIR_VARIABLE = "SYNTHESIZEME_DATA_DIR"
DATA_FILES = ("README.md", *(f"*{suffix}" for suffix in SUFFIXES))
"""Patterns of the files of a repository that may hold data."""

Reader = Callable[[Origin, ReadReport], Iterator[Given]]
"""Pairs and other feedback of a file, folder or object in memory; the report has what is neither."""


@dataclass(frozen=True)
class Format:
    """What a module of this package offers as its ``FORMAT``. A file is its registration, a folder none."""

    description: str
    """What it reads, one line."""
    recognises: Callable[[Row], bool]
    """Whether the first row of some file is in this format; no two formats say yes to one row."""
    reader: Reader
    """What reads it; `by_row` makes one of a function of a row."""
    sources: tuple[str, ...] = ()
    """Hub data sets in this format, the first being the one meant by the module's name."""
    files: tuple[str, ...] = ()
    """Where it lies in a folder of data, relative to the folder; the first that is there is read."""
    download: tuple[str, ...] = ()
    """Patterns of the files needed from the hub; empty for all data files."""
    words: Callable[[Path], dict[str, UserWords]] | None = None
    """What users said of themselves, of a data set that has it; see `load_words`."""
    feedback: Callable[[Path], list[Judgement]] | None = None
    """Other feedback than the reader gives, of a data set that has it; see `load_feedback`."""

    def read(self, source: Origin, report: ReadReport) -> Iterator[Given]:
        """Pairs and other feedback of a file, of what lies in a folder, or of an object in memory.

        Raises:
            DataError: the source cannot be read, or a row is malformed and bad rows are not skipped.
        """
        inside = locate(source, self.files) if isinstance(source, Path) else None
        return self.reader(inside or source, report)


def by_row(make: Callable[[SourceRow, ReadReport], Iterable[Given | None]]) -> Reader:
    """A reader of rows that are made into pairs and feedback one by one; None was left out by rule."""
    return lambda source, report: report.given(rows_of(source, report), lambda place: make(place, report))


@cache
def formats() -> Mapping[str, Format]:
    """The formats that are read, by name; generators of data are not among them. Looked up once."""
    modules = {name: module_named(name) for name in discovery.names(PACKAGE, folders=False)}
    return MappingProxyType({name: it.FORMAT for name, it in modules.items() if hasattr(it, "FORMAT")})


def module_named(name: str) -> ModuleType:
    """The module of a data set: with a ``FORMAT``, or with a `load` that makes its pairs.

    Raises:
        UnknownNameError: no module is called so.
    """
    return discovery.load(PACKAGE, name, kind="data set", folders=False)


def made() -> list[str]:
    """Names of the modules that generate their pairs instead of reading them."""
    return [name for name in discovery.names(PACKAGE, folders=False) if name not in formats()]


def recognise(row: Row) -> str | None:
    """Name of the format that a row is in, if any module knows it."""
    return next((name for name, known in formats().items() if known.recognises(row)), None)


def locate(folder: Path, files: Sequence[str]) -> Path | None:
    """The first of `files` that lies in `folder`."""
    return next((folder / name for name in files if (folder / name).exists()), None)


def data_places(data_dir: str | Path | None, env: Mapping[str, str] = os.environ) -> list[Path]:
    """Local folders that data is looked for in, in this order."""
    return [Path(place) for place in (data_dir, env.get(DATA_DIR_VARIABLE)) if place]


def find_data(name: str, *, data_dir: str | Path | None = None, env: Mapping[str, str] = os.environ) -> Path:
    """Where a data set lies: in `data_dir`, else in ``$SYNTHESIZEME_DATA_DIR``, else fetched from the hub.

    Args:
        name: A module of this package, or a hub name ``owner/name``.
        data_dir: Folder named by the user.
        env: Environment.

    Returns:
        A file or folder that `read_pairs` takes with the module's name as format.

    Raises:
        UnknownNameError: no module is called so.
        DataError: it is nowhere; says where was looked. Or it is not found but made, such as ``synthetic``.
    """
    files: tuple[str, ...] = (name, name.rpartition("/")[2])
    hub: tuple[str, ...] = (name,)
    wanted: tuple[str, ...] = ()
    if "/" not in name:
        known = getattr(module_named(name), "FORMAT", None)
        if known is None:
            cure = f"make a file of it with `synthesizeme data convert {name} --out OUT.jsonl`"
            raise DataError(f"data set {name!r} is made, not found: no file holds it", cure=cure)
        files, hub, wanted = known.files, known.sources[:1], known.download
    else:
        files = (*files, *(f"{files[1]}{suffix}" for suffix in SUFFIXES))
    looked = []
    for place in data_places(data_dir, env):
        if found := locate(place, files):
            return found
        looked.append(f"{place} ({'not in it' if place.is_dir() else 'no such folder'})")
    for source in hub:
        try:
            return download(source, wanted or DATA_FILES, env=env)
        except DataError as error:
            looked.append(f"hub data set {source} ({error.problem})")
    places = "; ".join(looked) or "nowhere: no folder is named and it is not on the hub"
    cure = f"put {' or '.join(files[:3])} into a folder and name it with --data-dir or ${DATA_DIR_VARIABLE}"
    raise DataError(f"data set {name!r} was not found; looked in {places}", cure=cure)

"""What a data set module is, and how one is found: by name, by the look of a row, by where its files lie.

Those of the Hugging Face hub are local folders: fetched once, then read from its cache.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol, cast, overload

from synthesizeme import discovery
from synthesizeme.datasets.rows.containers import SUFFIXES, is_data_file
from synthesizeme.datasets.rows.plain import Row
from synthesizeme.datasets.rows.sources import Origin, ReadReport
from synthesizeme.errors import DataError
from synthesizeme.feedback import Given, Judgement, UserWords, pairs_in
from synthesizeme.hub import download, hub_name
from synthesizeme.types import PreferencePair

PACKAGE = "synthesizeme.datasets"
DATA_DIR_VARIABLE = "SYNTHESIZEME_DATA_DIR"
DATA_FILES = ("README.md", *(f"*{suffix}" for suffix in SUFFIXES))
"""Patterns of the files of a repository that may hold data."""


class Load(Protocol):
    """All pairs of a source at once."""

    def __call__(self, source: str | Path, **options: Any) -> list[PreferencePair]:
        """See `loader`."""


class DatasetModule(Protocol):
    """What a module of this package offers. Its file is its registration; folders are none.

    One whose users also said something offers ``words(source: Path) -> dict[str, UserWords]``, see
    `load_words`; one with other feedback than `read` gives, ``feedback(source: Path) -> list[Judgement]``.
    """

    DESCRIPTION: str
    """What it reads, one line."""
    SOURCES: tuple[str, ...]
    """Hub data sets in this format, the first being the one meant by the module's name."""
    FILES: tuple[str, ...]
    """Where it lies in a folder of data, relative to the folder; the first that is there is read."""
    DOWNLOAD: tuple[str, ...]
    """Patterns of the files needed from the hub; empty for all data files."""
    load: Load
    """All pairs of a file, folder or hub data set; made by `loader`."""

    def recognises(self, row: Row) -> bool:
        """Whether the first row of some file is in this format; no two modules say yes to one row."""

    def read(self, source: Origin, report: ReadReport) -> Iterator[Given]:
        """Pairs and other feedback of a file, folder or object in memory; the report has what is neither."""


@cache
def formats() -> Mapping[str, DatasetModule]:
    """The modules that read a format, by name; generators of data are not among them. Looked up once."""
    modules = {name: _module(name) for name in discovery.names(PACKAGE, folders=False)}
    return MappingProxyType({name: module for name, module in modules.items() if not _is_made(module)})


def made() -> list[str]:
    """Names of the modules that generate their pairs instead of reading them."""
    return [name for name in discovery.names(PACKAGE, folders=False) if _is_made(_module(name))]


def recognise(row: Row) -> str | None:
    """Name of the format that a row is in, if any module knows it."""
    return next((name for name, module in formats().items() if module.recognises(row)), None)


def loader(read: Callable[[Origin, ReadReport], Iterator[Given]], download: Sequence[str] = ()) -> Load:
    """The `load` of a data set module, from its `read` and the files it needs from the hub."""

    def load(source: str | Path, **options: Any) -> list[PreferencePair]:
        """All pairs of a local file or folder, or of a hub data set; what is no pair is left out.

        Args:
            source: Path, or ``owner/name[:split]`` for the hub.
            **options: Those of `ReadReport`.

        Raises:
            DataError: the source cannot be read, or a row is malformed and bad rows are not skipped.
        """
        report = ReadReport(**options)
        return list(pairs_in(read(local_copy(source, report, download), report)))

    return load


def local_copy(source: str | Path, report: ReadReport, files: Sequence[str] = ()) -> Path:
    """A local path as it is; a hub name as the folder it was fetched to, its split noted in the report.

    Raises:
        DataError: the hub data set cannot be fetched.
    """
    named = None if isinstance(source, Path) or os.path.exists(source) else hub_name(source, is_data_file)
    if named is None:
        return Path(source)
    report.split = named.split or report.split
    return download(named.name, files or DATA_FILES)


def locate(folder: Path, files: Sequence[str]) -> Path | None:
    """The first of `files` that lies in `folder`."""
    return next((folder / name for name in files if (folder / name).exists()), None)


@overload
def within(source: Path, files: Sequence[str]) -> Path: ...
@overload
def within(source: Origin, files: Sequence[str]) -> Origin: ...
def within(source: Origin, files: Sequence[str]) -> Origin:
    """What is to be read of `source`: the first of `files` in a folder that has one, else `source` itself."""
    if isinstance(source, Path) and source.is_dir():
        return locate(source, files) or source
    return source


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
        A file or folder that the module's `read` and `load` take.

    Raises:
        UnknownNameError: no module is called so.
        DataError: it is nowhere; says where was looked. Or it is not found but made, such as ``synthetic``.
    """
    files: tuple[str, ...] = (name, name.rpartition("/")[2])
    hub: tuple[str, ...] = (name,)
    wanted: tuple[str, ...] = ()
    if "/" not in name:
        module = _module(name)
        if _is_made(module):
            cure = f"make a file of it with `synthesizeme data convert {name} --out OUT.jsonl`"
            raise DataError(f"data set {name!r} is made, not found: no file holds it", cure=cure)
        files, hub, wanted = module.FILES, module.SOURCES[:1], module.DOWNLOAD
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


def load_dataset(
    name: str,
    *,
    data_dir: str | Path | None = None,
    env: Mapping[str, str] = os.environ,
    **options: Any,
) -> list[PreferencePair]:
    """Find a registered data set as `find_data` does and load it, or make it if it is a made one.

    Args:
        name: A module of this package.
        data_dir: Folder named by the user.
        env: Environment.
        **options: Those of `ReadReport`; for a made data set those of its own `load`.

    Raises:
        UnknownNameError: no module is called so.
        DataError: it is nowhere, or cannot be read.
    """
    module = _module(name)
    source = "" if _is_made(module) else find_data(name, data_dir=data_dir, env=env)
    return module.load(source, **options)


def load_words(name: str, *, data_dir: str | Path | None = None) -> dict[str, UserWords]:
    """What the users of a registered data set said beside their choices, found as `find_data` finds it.

    Args:
        name: A module of this package.
        data_dir: Folder named by the user.

    Returns:
        Words by user id; none where the data set holds choices alone.

    Raises:
        UnknownNameError: no module is called so.
        DataError: it is nowhere, or cannot be read.
    """
    words: Callable[[Path], dict[str, UserWords]] | None = getattr(_module(name), "words", None)
    return {} if words is None else words(find_data(name, data_dir=data_dir))


def load_feedback(name: str, *, data_dir: str | Path | None = None, **options: Any) -> list[Judgement]:
    """What the users of a registered data set said of responses beside their choices, found like its pairs.

    Args:
        name: A module of this package.
        data_dir: Folder named by the user.
        **options: Those of `ReadReport`.

    Raises:
        UnknownNameError: no module is called so.
        DataError: it is nowhere, or cannot be read.
    """
    module, path = _module(name), find_data(name, data_dir=data_dir)
    apart: Callable[[Path], list[Judgement]] | None = getattr(module, "feedback", None)
    if apart is not None:
        return apart(path)
    return [said for said in module.read(path, ReadReport(**options)) if not isinstance(said, PreferencePair)]


def _module(name: str) -> DatasetModule:
    return cast(DatasetModule, discovery.load(PACKAGE, name, kind="data set", folders=False))


def _is_made(module: DatasetModule) -> bool:
    """Whether it generates its pairs, and so has only a `load`."""
    return not hasattr(module, "recognises")

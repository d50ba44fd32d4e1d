"""What a data set module is, and how one is found: by name, by the look of a row, by where its files lie."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, cast

from synthesizeme import discovery
from synthesizeme.datasets._hub import download, hub_name
from synthesizeme.datasets._intake import Intake, Row
from synthesizeme.errors import DataError
from synthesizeme.types import PreferencePair

PACKAGE = "synthesizeme.datasets"
DATA_DIR_VARIABLE = "SYNTHESIZEME_DATA_DIR"


class DatasetModule(Protocol):
    """What a module of this package offers. Its file is its registration."""

    DESCRIPTION: str
    """What it reads, one line."""
    SOURCES: tuple[str, ...]
    """Hub data sets in this format, the first being the one meant by the module's name."""
    FILES: tuple[str, ...]
    """Where it lies in a folder of data, relative to the folder; the first that is there is read."""
    DOWNLOAD: tuple[str, ...]
    """Patterns of the files needed from the hub; empty for all data files."""

    def recognises(self, row: Row) -> bool:
        """Whether the first row of some file is in this format; no two modules say yes to one row."""

    def read(self, source: Path, intake: Intake) -> Iterator[PreferencePair]:
        """The pairs of a file or folder; what makes no pair goes to the intake."""

    def load(self, source: str | Path, **options: Any) -> list[PreferencePair]:
        """All pairs of a file, folder or hub data set; options are those of `Intake`."""


def formats() -> dict[str, DatasetModule]:
    """The modules that read a format, by name; generators of data are not among them."""
    modules = {name: discovery.load(PACKAGE, name, kind="data set") for name in discovery.names(PACKAGE)}
    return {name: cast(DatasetModule, it) for name, it in modules.items() if hasattr(it, "recognises")}


def recognise(row: Row) -> str | None:
    """Name of the format that a row is in, if any module knows it."""
    return next((name for name, module in formats().items() if module.recognises(row)), None)


def load_all(
    read: Callable[[Path, Intake], Iterator[PreferencePair]],
    source: str | Path,
    files: Sequence[str] = (),
    **options: Any,
) -> list[PreferencePair]:
    """Fetch `files` of `source` if it is on the hub, and read all of it; what makes no pair is left out.

    Raises:
        DataError: the source cannot be read, or a row is malformed and bad rows are not skipped.
    """
    intake = Intake(**options)
    return list(read(local_copy(source, intake, files), intake))


def local_copy(source: str | Path, intake: Intake, files: Sequence[str] = ()) -> Path:
    """A local path as it is; a hub name as the folder it was fetched to, its split noted in the intake.

    Raises:
        DataError: the hub data set cannot be fetched.
    """
    named = None if isinstance(source, Path) or Path(source).exists() else hub_name(source)
    if named is None:
        return Path(source)
    intake.split = named.split or intake.split
    return download(named.name, files)


def locate(folder: Path, files: Sequence[str]) -> Path | None:
    """The first of `files` that lies in `folder`."""
    return next((folder / name for name in files if (folder / name).exists()), None)


def within(source: Path, files: Sequence[str]) -> Path:
    """What is to be read of `source`: the first of `files` in a folder that has one, else `source` itself."""
    return (locate(source, files) or source) if source.is_dir() else source


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
        DataError: it is nowhere; says where was looked.
    """
    files: tuple[str, ...] = (name, name.rpartition("/")[2])
    hub: tuple[str, ...] = (name,)
    wanted: tuple[str, ...] = ()
    if "/" not in name:
        module = cast(DatasetModule, discovery.load(PACKAGE, name, kind="data set"))
        files, hub, wanted = module.FILES, module.SOURCES[:1], module.DOWNLOAD
    looked = []
    for place in data_places(data_dir, env):
        if found := locate(place, files):
            return found
        looked.append(f"{place} ({'not in it' if place.is_dir() else 'no such folder'})")
    for source in hub:
        try:
            return download(source, wanted, env=env)
        except DataError as error:
            looked.append(f"hub data set {source} ({error.problem})")
    places = "; ".join(looked) or "nowhere: no folder is named and it is not on the hub"
    cure = f"put {' or '.join(files)} into a folder and name it with --data-dir or ${DATA_DIR_VARIABLE}"
    raise DataError(f"data set {name!r} was not found; looked in {places}", cure=cure)


def load_dataset(
    name: str,
    *,
    data_dir: str | Path | None = None,
    env: Mapping[str, str] = os.environ,
    **options: Any,
) -> list[PreferencePair]:
    """Find a registered data set as `find_data` does and load it; options are those of `Intake`.

    Raises:
        UnknownNameError: no module is called so.
        DataError: it is nowhere, or cannot be read.
    """
    module = cast(DatasetModule, discovery.load(PACKAGE, name, kind="data set"))
    return module.load(find_data(name, data_dir=data_dir, env=env), **options)

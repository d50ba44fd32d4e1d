"""Pairs and other feedback out of a file, a folder, a hub data set or an object in memory: the one way in."""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Unpack

from synthesizeme.datasets._base import (
    DATA_FILES,
    Format,
    find_data,
    formats,
    locate,
    module_named,
    recognise,
)
from synthesizeme.datasets.rows.columns import LOOKED_AT, columns_held, unknown_layout
from synthesizeme.datasets.rows.containers import is_csv, is_data_file, rows_of
from synthesizeme.datasets.rows.lines import NO_HEADER
from synthesizeme.datasets.rows.plain import Row
from synthesizeme.datasets.rows.sources import LeftOut, Origin, ReadOptions, ReadReport, held
from synthesizeme.errors import DataError, UnknownNameError
from synthesizeme.feedback import Judgement, UserWords, kinds_of
from synthesizeme.hub import download, hub_name
from synthesizeme.plain_text import in_words, short_repr
from synthesizeme.types import PreferencePair

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class WhatWasRead:
    """What became of the rows of a source."""

    source: str
    """File, folder or hub data set, or what errors call a row of an object in memory."""
    format: str
    """Format it is in."""
    rows_read: int = 0
    """Rows of the source; one makes no pair, one or several, and other feedback."""
    skipped: tuple[DataError, ...] = ()
    """The malformed rows that were left out, each with its line and the reason."""
    left_out: tuple[LeftOut, ...] = ()
    """Rows that say nothing by the rule of their format, such as blank responses."""
    reasons: Mapping[str, int] = field(default_factory=dict)
    """Number of rows or parts of rows that were left out, by reason."""
    assumed: tuple[str, ...] = ()
    """What was assumed of the rows, in words; see `Source.assumed`."""


@dataclass(frozen=True, kw_only=True)
class PairsFile(WhatWasRead):
    """What was read from a source of pairs."""

    pairs: tuple[PreferencePair, ...]
    """Its pairs in file order."""
    feedback: tuple[Judgement, ...] = ()
    """What else was said of responses, in file order."""


@dataclass(frozen=True)
class Source:
    """A source whose format is known, and what its rows go through."""

    name: str
    """File, folder or hub data set, as it was named, or what errors call a row of an object in memory."""
    path: Origin
    """Where it lies here, or what holds it."""
    format: str
    """Name of its format."""
    report: ReadReport
    """Keeps the tally."""

    def pairs(self, hear: Callable[[Judgement], None] | None = None) -> Iterator[PreferencePair]:
        """The pairs in file order, one in memory at a time.

        Args:
            hear: Is told of other feedback; without it the report has a note how much there was.

        Raises:
            DataError: the source cannot be read, or a row is malformed and bad rows are not skipped.
        """
        others: Counter[str] = Counter()
        for said in formats()[self.format].read(self.path, self.report):
            if isinstance(said, PreferencePair):
                yield said
            elif hear is not None:
                hear(said)
            else:
                others.update(kinds_of([said]))
        if others:
            self.report.notes.append(f"{in_words(others)}: not read here, where only choices are")

    def nothing(self, feedback: Mapping[str, int] | None = None) -> DataError:
        """What is wrong with a source that gave no pair.

        Args:
            feedback: How much other feedback it gave, by kind.
        """
        if not self.report.rows_read:
            return _empty(self.path)
        if feedback:
            return DataError(
                f"the rows hold {in_words(feedback)}, and no choice between two responses",
                source=self.name,
                cure="read them with read_feedback in Python, or write them with `synthesizeme data convert "
                "IN --feedback-out FILE`; where choices are needed, give some too",
            )
        reasons = ", ".join(f"{count} x {reason}" for reason, count in self.report.reasons.items())
        first = f"; the first: {self.report.bad[0]}" if self.report.bad else ""
        return DataError(
            f"none of the {self.report.rows_read} rows makes a pair ({reasons}){first}",
            source=self.name,
            cure="a pair needs a prompt that ends with the user's turn and two different responses to it; "
            f"correct the rows, or name their format, which was taken to be {self.format}, with --format",
        )

    def assumed(self) -> tuple[str, ...]:
        """What was assumed of the rows that were read, in words."""
        found = list(dict.fromkeys(self.report.notes))
        if self.report.owned:
            found.append(
                f"rows that name no user: {self.report.owned:,}, of {short_repr(self.report.user_id)}"
            )
        if self.report.zoneless:
            found.append(f"times without a zone: {self.report.zoneless:,}, read as UTC")
        return tuple(found)

    def told(self) -> dict[str, Any]:
        """What became of the rows, as the arguments of a `PairsFile` or a `ConvertReport`."""
        return {
            "source": self.name, "format": self.format, "rows_read": self.report.rows_read,
            "skipped": tuple(self.report.bad), "left_out": tuple(self.report.left_out),
            "reasons": self.report.reasons, "assumed": self.assumed(),
        }  # fmt: skip


def open_source(source: object, report: ReadReport, format: str = "auto") -> Source:
    """A source of pairs, its format told.

    Args:
        source: As `read_pairs` takes it.
        report: How rows are taken in.
        format: Name of the format, or ``auto``: the one that the first rows are in that any format knows.

    Raises:
        DataError: the source cannot be read, or no format knows its rows.
        UnknownNameError: there is no such format.
    """
    known = formats()
    if format not in ("auto", *known):
        raise UnknownNameError("format", format, ["auto", *known])
    if (in_memory := held(source)) is not None:
        told = _told(in_memory, report) if format == "auto" else format
        return Source(str(in_memory), in_memory, told, report)
    path, owner = Path(str(source)), None if format == "auto" else format
    if not os.path.exists(path) and (named := hub_name(str(source), is_data_file)):
        owner = owner or next((name for name, it in known.items() if named.name in it.sources), None)
        report.split = named.split or report.split
        path = download(named.name, (known[owner].download if owner else ()) or DATA_FILES)
    return Source(str(source), path, owner or _told(path, report), report)


def pairs_of(rows: object, *, user_id: str | None = None) -> Sequence[PreferencePair]:
    """The pairs of whatever `read_pairs` takes, for functions that are given rows; pairs stay as they are.

    An empty list has none. Rows that make no pair by the rule of their format are left out with a warning,
    and so is other feedback, such as ties.

    Args:
        rows: The rows.
        user_id: Owner of rows that name none.

    Raises:
        DataError: as `read_pairs`.
    """
    if isinstance(rows, list | tuple) and all(isinstance(row, PreferencePair) for row in rows):
        return rows
    found = read_pairs(rows, user_id=user_id)
    for reason, number in found.reasons.items():
        _log.warning("%d of %d rows left out: %s", number, found.rows_read, reason)
    if found.feedback:
        _log.warning("%s left out: only choices are read here", in_words(kinds_of(found.feedback)))
    return found.pairs


def read_pairs(source: object, *, format: str = "auto", **options: Unpack[ReadOptions]) -> PairsFile:
    """Read all pairs of a source in any known format, and with them what else was said of responses.

    Args:
        source: File or folder, ``hub:owner/name[:split]`` or ``owner/name[:split]`` for the hub; or a list of
            dicts or `PreferencePair`, a frame of pandas or polars, a table of Arrow, a `datasets.Dataset` or
            `DatasetDict`, an open file, or a file's content as text or bytes.
        format: Name of the format, or ``auto`` to tell it from the first rows.
        **options: See `ReadOptions`; malformed rows that are skipped are in `PairsFile.skipped`.

    Raises:
        DataError: the source cannot be read, its format cannot be told, a row is malformed and bad rows are
            not skipped, or no pair is left.
        UnknownNameError: there is no such format.
    """
    found, opened = _read(source, format, ReadReport(**options))
    if not found.pairs:
        raise opened.nothing(kinds_of(found.feedback))
    return found


def read_feedback(source: object, *, format: str = "auto", **options: Unpack[ReadOptions]) -> PairsFile:
    """`read_pairs` where there may be no pair: all that people said of responses, choices and all else.

    Args:
        source: As `read_pairs`.
        format: As `read_pairs`.
        **options: As `read_pairs`.

    Raises:
        DataError: as `read_pairs`, or neither a pair nor other feedback is left.
        UnknownNameError: there is no such format.
    """
    found, opened = _read(source, format, ReadReport(**options))
    if not found.pairs and not found.feedback:
        raise opened.nothing()
    return found


def _read(source: object, format: str, report: ReadReport) -> tuple[PairsFile, Source]:
    opened = open_source(source, report, format)
    feedback: list[Judgement] = []
    pairs = tuple(opened.pairs(feedback.append))
    return PairsFile(pairs=pairs, feedback=tuple(feedback), **opened.told()), opened


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
        **options: Those of `ReadOptions`; for a made data set those of its own `load`.

    Raises:
        UnknownNameError: no module is called so.
        DataError: it is nowhere, or cannot be read.
    """
    module = module_named(name)
    if not hasattr(module, "FORMAT"):
        return list(module.load(**options))
    return list(read_pairs(find_data(name, data_dir=data_dir, env=env), format=name, **options).pairs)


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
    known: Format | None = getattr(module_named(name), "FORMAT", None)
    return known.words(find_data(name, data_dir=data_dir)) if known and known.words else {}


def load_feedback(name: str, *, data_dir: str | Path | None = None, **options: Any) -> list[Judgement]:
    """What the users of a registered data set said of responses beside their choices, found like its pairs.

    Args:
        name: A module of this package.
        data_dir: Folder named by the user.
        **options: Those of `ReadOptions`.

    Raises:
        UnknownNameError: no module is called so.
        DataError: it is nowhere, or cannot be read.
    """
    module, path = module_named(name), find_data(name, data_dir=data_dir)
    if module.FORMAT.feedback is not None:
        return list(module.FORMAT.feedback(path))
    return list(read_feedback(path, format=name, **options).feedback)


def _told(path: Origin, report: ReadReport) -> str:
    """Format of a file, a folder or an object in memory by what lies in it and by its first rows.

    A pipe, which can be read but once, is taken to be in our own format.

    Raises:
        DataError: no row can be read, or no format knows the first of them.
    """
    if isinstance(path, Path):
        if os.path.isdir(path):
            for name, it in formats().items():
                if locate(path, it.files):
                    return name
        elif os.path.exists(path) and not path.is_file():
            return "jsonl"
    looked = ReadReport(skip_bad_rows=True, split=report.split, columns=report.columns)
    first = list(islice(rows_of(path, looked), LOOKED_AT))
    if first and columns_held(first[0].row):
        raise _unknown(path, first[0].row)
    if known := next(filter(None, (recognise(place.row) for place in first)), None):
        return known
    if not first:
        raise next(iter(looked.bad), _empty(path))
    raise _unknown(path, first[0].row)


def _unknown(path: Origin, row: Row) -> DataError:
    """What is wrong with a source whose first row no format reads."""
    csv = is_csv(path)
    fields = f"the format is not known; the first row has the fields {short_repr(list(row))}"
    told = unknown_layout(row)
    if told is not None:
        return DataError(f"{fields}: it {told[0]}", source=str(path), cure=told[1])
    cure = (
        "name its columns with --columns prompt=NAME,chosen=NAME,rejected=NAME,user_id=NAME (a dict in "
        "Python: columns=), or in place of chosen and rejected response_a, response_b and winner, or "
        "response and rating, thumb or edited; or its "
        f"format with `synthesizeme data convert --format`, one of {', '.join(formats())}"
    )
    return DataError(fields, source=str(path), cure=f"{NO_HEADER}; else {cure}" if csv else cure)


def _empty(path: Origin) -> DataError:
    if isinstance(path, Path):
        return DataError("the file holds no rows", source=str(path), cure="check the path")
    return DataError(f"found no {path}; expected at least one", cure="give one row for each choice of a user")

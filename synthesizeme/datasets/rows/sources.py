"""What rows come from and what becomes of them: objects in memory beside files, numbered rows, a tally."""

from __future__ import annotations

import io
import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, TypeAlias, TypedDict, TypeVar

from pydantic import BaseModel

from synthesizeme.datasets.rows.plain import Row, plain_row
from synthesizeme.errors import DataError, placed
from synthesizeme.feedback import Given, Scale
from synthesizeme.plain_text import short_repr
from synthesizeme.types import PreferencePair, Respondents

SPLIT_NAMES = {
    "train": "train", "training": "train", "test": "test", "testing": "test", "val": "validation",
    "dev": "validation", "valid": "validation", "validation": "validation", "eval": "validation",
}  # fmt: skip
"""Splits by the names that files and columns have for them."""


def split_of(names: Sequence[str]) -> str | None:
    """Our name of the split that a file or folder is named after, e.g. ``train_prefs``."""
    words = (re.split(r"[\W_]", name.lower(), maxsplit=1)[0] for name in names)
    return next((SPLIT_NAMES[word] for word in words if word in SPLIT_NAMES), None)


Made = TypeVar("Made", bound=Given)

_ZONELESS = re.compile(r"\s*\d{4}-\d\d?-\d\d?(?:[T ]\d\d?:\d\d(?::\d\d(?:\.\d*)?)?)?\s*")


class Unjudgeable(DataError):
    """A row holds what no judge of text can read, such as an image; in a data set it is left out."""


def is_zoneless(value: Any) -> bool:
    """Whether a value of the input is a time that does not say of which zone it is."""
    if isinstance(value, datetime):
        return value.tzinfo is None
    return isinstance(value, str) and _ZONELESS.fullmatch(value) is not None


@dataclass(frozen=True)
class SourceRow:
    """One object of a source and the place it stands at."""

    source: str
    """File or data set."""
    line: int
    """1-based line, or row number where the source has no lines."""
    row: Row
    """The object itself."""

    @property
    def in_memory(self) -> bool:
        """Whether it stands in no file."""
        return self.source.endswith(" row")

    def error(self, problem: str, *, field: str | None = None, cure: str | None = None) -> DataError:
        """A `DataError` that names this place."""
        return DataError(problem, source=self.source, line=self.line, field=field, cure=cure)

    def unlike(self, found: object, expected: str, *, field: str, cure: str) -> DataError:
        """The error that something else stands in a field than was expected, in words."""
        return self.error(f"found {short_repr(found)}; expected {expected}", field=field, cure=cure)


@dataclass(frozen=True)
class LeftOut:
    """A row, or a part of one, that makes no pair by the rule of its data set, such as a tie."""

    reason: str
    """Short and countable."""
    source: str
    """File or data set."""
    line: int
    """1-based line or row number."""

    def __str__(self) -> str:
        return f"{placed(self.source, self.line)}: {self.reason}"


class ReadOptions(TypedDict, total=False):
    """How rows are taken in."""

    skip_bad_rows: bool
    """Leave malformed rows out and list them, instead of raising."""
    user_id: str | None
    """Owner of the rows that name none."""
    split: str | None
    """Read only the files of this split of a folder or hub data set."""
    unique_ids: bool
    """Refuse an id that was seen before, for which all of them are remembered; so it is unless said."""
    columns: Mapping[str, str]
    """Column of the source by field of ours, for columns with names that no format knows."""
    scale: Scale | None
    """Scale of the ratings, where neither the rows nor their format say it."""
    only: Respondents | None
    """Keep what people said alone, or simulations; the others are left out."""


@dataclass
class ReadReport:
    """How rows are taken in, and what became of them; the arguments are those of `ReadOptions`."""

    skip_bad_rows: bool = False
    user_id: str | None = None
    split: str | None = None
    unique_ids: bool = True
    columns: Mapping[str, str] = field(default_factory=dict)
    scale: Scale | None = None
    only: Respondents | None = None
    rows_read: int = field(default=0, init=False)
    bad: list[DataError] = field(default_factory=list, init=False)
    left_out: list[LeftOut] = field(default_factory=list, init=False)
    owned: int = field(default=0, init=False)
    """Rows that named no user and became those of `user_id`."""
    _owned_last: SourceRow | None = field(default=None, init=False, repr=False)
    zoneless: int = field(default=0, init=False)
    """Times without a zone, which are read as UTC."""
    notes: list[str] = field(default_factory=list, init=False)
    """What else was assumed of the rows, in words."""
    _seen: dict[str, tuple[str, int]] = field(default_factory=dict, init=False, repr=False)
    _subjects: dict[int, tuple[str, int]] = field(default_factory=dict, init=False, repr=False)

    def reject(self, error: DataError) -> None:
        """Record a malformed row.

        Raises:
            DataError: `error` itself, unless bad rows are skipped.
        """
        if not self.skip_bad_rows:
            raise error
        self.bad.append(error)

    def refuse(self, place: SourceRow, error: DataError) -> None:
        """Record a row that is no pair: left out where it cannot be judged, else malformed.

        Raises:
            DataError: it is malformed, and bad rows are not skipped.
        """
        if isinstance(error, Unjudgeable):
            self.leave_out(place, error.problem)
        else:
            self.reject(error)

    def own(self, place: SourceRow) -> None:
        """Count a row that named no user, once for all that is made of it."""
        self.owned += place is not self._owned_last
        self._owned_last = place

    def leave_out(self, place: SourceRow, reason: str) -> None:
        """Record a row that makes no pair by the rule of its data set."""
        self.left_out.append(LeftOut(reason, place.source, place.line))

    def rows(self, found: Iterable[SourceRow | DataError]) -> Iterator[SourceRow]:
        """Count rows and reject the malformed ones among them.

        Raises:
            DataError: a row is malformed and bad rows are not skipped.
        """
        for item in found:
            self.rows_read += 1
            if isinstance(item, DataError):
                self.reject(item)
            else:
                yield item

    def admit(self, place: SourceRow, made: Made, *, id_is_derived: bool) -> Made | None:
        """A pair or feedback; None where others are wanted, or where its id was seen and it is rejected.

        So is feedback without a given id that says otherwise than other feedback on the same subject at the
        same time: which of the two came later is not known. Where their ids or times differ both are kept.

        Raises:
            DataError: the row is rejected and bad rows are not skipped.
        """
        if self.only is not None and made.simulated != (self.only == "simulated"):
            self.leave_out(place, f"not {self.only}")
            return None
        self.zoneless += is_zoneless(place.row.get("created_at"))
        if not self.unique_ids:
            return made
        noun = "pair" if isinstance(made, PreferencePair) else "feedback"
        name = made.pair_id if isinstance(made, PreferencePair) else made.feedback_id
        if name in self._seen:
            first = _placed_from(place, *self._seen[name])
            problem = (
                f"repeats the {noun} of {first}; expected each {noun} once"
                if id_is_derived
                else f"found {short_repr(name)}, which {first} has already; expected unique ids"
            )
            cure = f"remove one of the two rows, or give them different {noun} ids"
            self.reject(place.error(problem, field=None if id_is_derived else f"{noun}_id", cure=cure))
            return None
        if id_is_derived and not isinstance(made, PreferencePair) and made.subject is not None:
            subject = hash((made.user_id, made.kind, made.subject, made.created_at))
            if subject in self._subjects:
                first = _placed_from(place, *self._subjects[subject])
                problem = f"says otherwise than {first} of the same, and neither names a time or an id"
                cure = (
                    "give both rows the time they were given (created_at) or an id (feedback_id), then both "
                    "are kept; or remove the one that does not hold"
                )
                self.reject(place.error(problem, cure=cure))
                return None
            self._subjects[subject] = place.source, place.line
        self._seen[name] = place.source, place.line
        return made

    @property
    def reasons(self) -> dict[str, int]:
        """How many rows or parts of rows were left out, by reason, most frequent first."""
        counts = Counter(item.reason for item in self.left_out)
        if self.bad:
            counts["malformed row"] = len(self.bad)
        return dict(counts.most_common())

    def given(
        self, places: Iterable[SourceRow], make: Callable[[SourceRow], Iterable[Given | None]]
    ) -> Iterator[Given]:
        """What `make` finds in rows; what it raises is refused, None was left out by rule."""
        for place in places:
            try:
                yield from filter(None, make(place))
            except DataError as error:
                self.refuse(place, error)


def _placed_from(place: SourceRow, source: str, line: int) -> str:
    """Where an earlier row stands, in the words of a later one."""
    in_file = source == place.source and not place.in_memory
    return f"line {line}" if in_file else placed(source, line)


_EXPECTED = (
    "a list of dicts or PreferencePairs, a pandas DataFrame, a datasets.Dataset, a file's path or its content"
)


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

"""What a loader takes in: numbered rows, and a tally of everything it leaves out."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from synthesizeme.errors import DataError, placed
from synthesizeme.plain_text import short_repr
from synthesizeme.types import PreferencePair

SPLIT_NAMES = {
    "train": "train", "training": "train", "test": "test", "testing": "test", "val": "validation",
    "dev": "validation", "valid": "validation", "validation": "validation", "eval": "validation",
}  # fmt: skip
"""Splits by the names that files and columns have for them."""


def split_of(names: Sequence[str]) -> str | None:
    """Our name of the split that a file or folder is named after, e.g. ``train_prefs``."""
    words = (re.split(r"[\W_]", name.lower(), maxsplit=1)[0] for name in names)
    return next((SPLIT_NAMES[word] for word in words if word in SPLIT_NAMES), None)


Row = dict[str, Any]

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


@dataclass
class ReadReport:
    """How rows are taken in, and what became of them.

    Args:
        skip_bad_rows: Record malformed rows instead of raising.
        user_id: Owner of the rows that name none.
        split: Read only the files of this split of a folder or hub data set.
        unique_ids: Refuse a pair id that was seen before, for which all of them are remembered.
        columns: Name of the column that holds a field of ours, where it is called otherwise.
    """

    skip_bad_rows: bool = False
    user_id: str | None = None
    split: str | None = None
    unique_ids: bool = True
    columns: Mapping[str, str] = field(default_factory=dict)
    rows_read: int = field(default=0, init=False)
    bad: list[DataError] = field(default_factory=list, init=False)
    left_out: list[LeftOut] = field(default_factory=list, init=False)
    owned: int = field(default=0, init=False)
    """Rows that named no user and became those of `user_id`."""
    zoneless: int = field(default=0, init=False)
    """Times without a zone, which are read as UTC."""
    notes: list[str] = field(default_factory=list, init=False)
    """What else was assumed of the rows, in words."""
    _seen: dict[str, tuple[str, int]] = field(default_factory=dict, init=False, repr=False)

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

    def admit(self, place: SourceRow, pair: PreferencePair, *, id_is_derived: bool) -> PreferencePair | None:
        """The pair, unless its id was seen before; then the row is rejected and None is returned.

        Raises:
            DataError: the id was seen before and bad rows are not skipped.
        """
        self.zoneless += is_zoneless(place.row.get("created_at"))
        if not self.unique_ids:
            return pair
        if pair.pair_id not in self._seen:
            self._seen[pair.pair_id] = place.source, place.line
            return pair
        source, line = self._seen[pair.pair_id]
        in_file = source == place.source and not place.in_memory
        first = f"line {line}" if in_file else placed(source, line)
        problem = (
            f"repeats the pair of {first}; expected each pair once"
            if id_is_derived
            else f"found {short_repr(pair.pair_id)}, which {first} has already; expected unique ids"
        )
        cure = "remove one of the two rows, or give them different pair ids"
        self.reject(place.error(problem, field=None if id_is_derived else "pair_id", cure=cure))
        return None

    @property
    def reasons(self) -> dict[str, int]:
        """How many rows or parts of rows were left out, by reason, most frequent first."""
        counts = Counter(item.reason for item in self.left_out)
        if self.bad:
            counts["malformed row"] = len(self.bad)
        return dict(counts.most_common())

    def pairs(
        self, places: Iterable[SourceRow], make: Callable[[SourceRow], PreferencePair | None]
    ) -> Iterator[PreferencePair]:
        """The pairs that `make` finds in rows; what it raises is refused, None was left out by rule."""
        for place in places:
            try:
                if pair := make(place):
                    yield pair
            except DataError as error:
                self.refuse(place, error)

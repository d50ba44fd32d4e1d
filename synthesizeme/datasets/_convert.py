"""Any known format in, our own format out."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from synthesizeme.datasets._base import load_dataset, made
from synthesizeme.datasets._reading import Source, open_source
from synthesizeme.datasets.jsonl import OVERWRITE, write_pairs
from synthesizeme.datasets.rows.report import LeftOut, ReadReport
from synthesizeme.errors import DataError
from synthesizeme.types import PreferencePair, Respondents, respondents


@dataclass(frozen=True)
class ConvertReport:
    """What a conversion did."""

    source: str
    """What was read."""
    target: Path
    """File that was written."""
    format: str
    """Format the source was in."""
    rows_read: int
    """Rows of the source."""
    pairs_written: int
    """Pairs in the target; a row may make none, one or several."""
    reasons: Mapping[str, int]
    """Number of rows or parts of rows that made no pair, by reason."""
    left_out: tuple[LeftOut, ...] = ()
    """Where they stand: those that make no pair by the rule of the data set."""
    skipped: tuple[DataError, ...] = ()
    """Where they stand: the malformed ones."""
    assumed: tuple[str, ...] = ()
    """What was assumed of the rows, in words."""


def convert(
    source: str | Path,
    target: str | Path,
    *,
    format: str = "auto",
    columns: Mapping[str, str] | None = None,
    user_id: str | None = None,
    skip_bad_rows: bool = False,
    only: Respondents | None = None,
    overwrite: bool = False,
) -> ConvertReport:
    """Read pairs in any known format and write them in ours, one in memory at a time.

    Args:
        source: As `read_pairs` takes it, or the name of a data set that is made here, e.g. ``synthetic``.
        target: ``.jsonl`` or ``.jsonl.gz`` file to write; written whole or not at all.
        format: Name of the format, or ``auto`` to tell it from the first rows.
        columns: Column of the source by field of ours, for columns with names that no format knows.
        user_id: Owner of rows that name none.
        skip_bad_rows: Leave malformed rows out and list them.
        only: Keep the choices of people alone, or those of simulations; the others are counted.
        overwrite: Replace what `target` holds. What an equal conversion wrote may always be written again.

    Raises:
        DataError: the source cannot be read, its format cannot be told, a row is malformed and bad rows are
            not skipped, no pair is left, or `target` is the source or holds something else.
        UnknownNameError: there is no such format.
    """
    if str(source) in made() and not os.path.exists(source):
        written = write_pairs(target, load_dataset(str(source)), overwrite=overwrite)
        return ConvertReport(str(source), Path(target), str(source), written, written, reasons={})
    if (
        not overwrite
        and os.path.isfile(source)
        and os.path.exists(target)
        and os.path.samefile(source, target)
    ):
        raise DataError("the file to write is the one that is read", source=str(target), cure=OVERWRITE)
    report = ReadReport(skip_bad_rows=skip_bad_rows, user_id=user_id, columns=columns or {})
    opened = open_source(source, report, format)
    others: list[str] = []
    written = write_pairs(target, _kept(opened, only, others), overwrite=overwrite)
    return ConvertReport(
        source=str(source),
        target=Path(target),
        format=opened.format,
        rows_read=report.rows_read,
        pairs_written=written,
        reasons={**report.reasons, **({f"not {only}": len(others)} if others else {})},
        left_out=tuple(report.left_out),
        skipped=tuple(report.bad),
        assumed=opened.assumed(),
    )


def _kept(opened: Source, only: Respondents | None, others: list[str]) -> Iterator[PreferencePair]:
    """The pairs that are wanted; ids of the others go to `others`.

    Raises:
        DataError: there are no pairs at all.
    """
    some = False
    for pair in opened.pairs():
        some = True
        if only is None or respondents([pair]) == only:
            yield pair
        else:
            others.append(pair.pair_id)
    if not some:
        raise opened.nothing()

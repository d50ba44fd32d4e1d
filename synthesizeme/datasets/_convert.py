"""Any known format in, our own format out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from synthesizeme.datasets._base import formats, load_dataset, local_copy, locate, made, recognise
from synthesizeme.datasets._hub import hub_name
from synthesizeme.datasets._intake import Intake, LeftOut, shown
from synthesizeme.datasets._tables import rows_of
from synthesizeme.datasets.jsonl import write_pairs
from synthesizeme.errors import DataError, UnknownNameError


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
    left_out: tuple[LeftOut, ...]
    """Where they stand: those that make no pair by the rule of the data set."""
    skipped: tuple[DataError, ...]
    """Where they stand: the malformed ones."""


def convert(
    source: str | Path,
    target: str | Path,
    *,
    format: str = "auto",
    skip_bad_rows: bool = False,
    user_id: str | None = None,
) -> ConvertReport:
    """Read pairs in any known format and write them in ours.

    Args:
        source: File or folder, ``hub:owner/name[:split]`` or ``owner/name[:split]`` for the hub, or the name
            of a data set that is made here, e.g. ``synthetic``.
        target: ``.jsonl`` or ``.jsonl.gz`` file to write; written whole or not at all.
        format: Name of the format, or ``auto`` to tell it from the first row.
        skip_bad_rows: Leave malformed rows out and list them.
        user_id: Owner of rows that name none.

    Raises:
        DataError: the source cannot be read, its format cannot be told, a row is malformed and bad rows are
            not skipped, or no pair is left.
        UnknownNameError: there is no such format.
    """
    known = formats()
    if format not in ("auto", *known):
        raise UnknownNameError("format", format, ["auto", *known])
    if str(source) in made() and not Path(source).exists():
        return _made(str(source), target)
    intake = Intake(skip_bad_rows=skip_bad_rows, user_id=user_id)
    owner = format if format != "auto" else _by_source(source)
    path = local_copy(source, intake, known[owner].DOWNLOAD if owner else ())
    name = owner or _by_row(path, intake.split)
    pairs = list(known[name].read(path, intake))
    if not pairs:
        reasons = ", ".join(f"{count} x {reason}" for reason, count in intake.reasons.items())
        first = f"; the first: {intake.bad[0]}" if intake.bad else ""
        raise DataError(
            f"none of the {intake.rows_read} rows makes a pair ({reasons or 'no rows'}){first}",
            source=str(source),
            cure="a pair needs a prompt that ends with the user's turn and two different responses to it; "
            f"correct the rows, or name another format than {name!r} with --format",
        )
    return ConvertReport(
        source=str(source),
        target=Path(target),
        format=name,
        rows_read=intake.rows_read,
        pairs_written=write_pairs(target, pairs),
        reasons=intake.reasons,
        left_out=tuple(intake.left_out),
        skipped=tuple(intake.bad),
    )


def _made(name: str, target: str | Path) -> ConvertReport:
    written = write_pairs(target, load_dataset(name))
    return ConvertReport(name, Path(target), name, written, written, reasons={}, left_out=(), skipped=())


def _by_source(source: str | Path) -> str | None:
    """Format of a hub data set that a module names as its own."""
    named = None if Path(source).exists() else hub_name(str(source))
    owners = (name for name, module in formats().items() if named and named.name in module.SOURCES)
    return next(owners, None)


def _by_row(path: Path, split: str | None) -> str:
    """Format of a file or folder by what lies in it and by its first row.

    Raises:
        DataError: no row can be read, or no module recognises the first that can.
    """
    if path.is_dir():
        for name, module in formats().items():
            if locate(path, module.FILES):
                return name
    intake = Intake(skip_bad_rows=True, split=split)
    first = next(rows_of(path, intake), None)
    if first is None:
        raise next(iter(intake.bad), DataError("holds no rows", source=str(path), cure="check the path"))
    if known := recognise(first.row):
        return known
    raise DataError(
        f"the format is not known; the first row has the fields {shown(list(first.row))}",
        source=str(path),
        cure=f"name it with --format, one of {', '.join(formats())}",
    )

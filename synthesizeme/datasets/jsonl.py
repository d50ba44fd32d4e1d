"""Our own format: one TRL conversational preference row plus `user_id` per line, plain or gzip.

A row::

    {"pair_id": "ada-7", "user_id": "ada", "prompt": [{"role": "user", "content": "How deep is a fathom?"}],
     "chosen": [{"role": "assistant", "content": "Six feet."}],
     "rejected": [{"role": "assistant", "content": "A fathom is a unit of length equal to ..."}],
     "split": "train", "metadata": {"topic": "units"}}

`pair_id`, `split`, `created_at`, `reason`, `strength` and `metadata` may be left out. Without these it is a
row that `trl` trains on as it stands. Other feedback has a `kind` and the fields of `synthesizeme.feedback`::

    {"kind": "rating", "user_id": "ada", "prompt": [...], "response": "Six feet.", "value": 5,
     "scale": {"lowest": 1, "highest": 5, "levels": 5}, "reason": "It says only what I asked."}
"""

from __future__ import annotations

import filecmp
import gzip
import io
import json
import os
import shlex
from collections.abc import Iterable
from contextlib import nullcontext
from pathlib import Path
from typing import Any, BinaryIO, get_args

from synthesizeme.datasets._base import Format, by_row, formats, recognise
from synthesizeme.datasets.rows.feedback import strict_feedback
from synthesizeme.datasets.rows.pairs import FIELDS, REQUIRED, has_no_id, strict_pair
from synthesizeme.datasets.rows.plain import Row
from synthesizeme.datasets.rows.sources import HeldRows, ReadReport, SourceRow, Unjudgeable
from synthesizeme.errors import DataError
from synthesizeme.feedback import KINDS, Given
from synthesizeme.files import whole_file
from synthesizeme.plain_text import short_repr
from synthesizeme.types import PreferencePair, Role

_OPTIONAL = ("instead_of", "metadata")
"""Fields that are not written where they are empty."""
OVERWRITE = "name another file, or replace this one with --force (overwrite=True)"


def write_pairs(path: str | Path, pairs: Iterable[Given], *, overwrite: bool = True) -> int:
    """Write pairs as JSON Lines, compressed if the name ends in ``.gz``; all of them or no file at all.

    Args:
        path: The file.
        pairs: Pairs to be written, or other feedback.
        overwrite: Whether a file that is there and says something else is replaced.

    Returns:
        Number of rows written.

    Raises:
        DataError: there are none, one cannot be written as JSON, the place cannot be written to, or something
            else is there.
    """
    path = Path(path)
    kept = not overwrite and path.is_file()
    with whole_file(path) as stream:
        written = _write(stream, pairs, source=str(path), compress=path.suffix == ".gz")
        if not written:
            raise DataError("there is nothing to write", source=str(path), cure="check the input")
        stream.flush()
        if kept and not filecmp.cmp(stream.name, path, shallow=False):
            raise DataError("the file is there and holds something else", source=str(path), cure=OVERWRITE)
    return written


def lines_of(given: Iterable[Given], source: str = "row") -> bytes:
    """Pairs and other feedback as `write_pairs` writes them.

    Raises:
        DataError: one cannot be written as JSON; names `source`.
    """
    stream = io.BytesIO()
    _write(stream, given, source=source, compress=False)
    return stream.getvalue()


def append(path: str | Path, given: Given) -> None:
    """Add a pair or other feedback to a file of JSON Lines, made if need be; it is on the disk on return.

    Raises:
        DataError: the file is compressed or cannot be written, or the row cannot be written as JSON.
    """
    path = Path(path)
    if path.suffix == ".gz":
        cure = "name a file that ends in .jsonl"
        raise DataError("a compressed file cannot be added to", source=str(path), cure=cure)
    line = lines_of([given], source=str(path))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab+") as stream:
            end = stream.seek(0, os.SEEK_END)
            stream.seek(max(end - 1, 0))
            broken_off = end > 0 and stream.read(1) != b"\n"
            stream.write(b"\n" * broken_off + line)
            stream.flush()
            os.fsync(stream.fileno())
    except OSError as error:
        raise DataError(
            f"cannot be written: {error.strerror or error}", source=str(path), cure="check the place"
        ) from None


def recognises(row: Row) -> bool:
    """Whether a row of some file is already in this format, its roles and the end of its prompt included."""
    if row.get("kind") in KINDS and ("prompt" in row or "feature" in row):
        return True
    return (
        set(REQUIRED) <= set(row) <= set(FIELDS)
        and all(_are_messages(row[field]) for field in ("prompt", "chosen", "rejected"))
        and len(row["chosen"]) == len(row["rejected"]) == 1
        and row["prompt"][-1]["role"] == "user"
    )


def _are_messages(turns: Any) -> bool:
    """Whether it is a list of one or more messages with our field names and roles."""
    return (
        isinstance(turns, list)
        and bool(turns)
        and all(isinstance(turn, dict) and set(turn) == {"role", "content"} for turn in turns)
        and all(turn["role"] in get_args(Role) and isinstance(turn["content"], str) for turn in turns)
    )


def _given(place: SourceRow, report: ReadReport) -> Given | None:
    if "kind" in place.row:
        return strict_feedback(place, report)
    try:
        pair = strict_pair(place, report)
    except Unjudgeable:
        raise
    except DataError as error:
        cure = _or_convert(place, error.cure or "")
        raise place.error(error.problem, field=error.field, cure=cure) from None
    return report.admit(place, pair, id_is_derived=has_no_id(place.row))


def _or_convert(place: SourceRow, cure: str) -> str:
    """A cure, and the command that reads the row's file if the row is in another format that can be read."""
    known = recognise(place.row)
    if known in (None, "jsonl") or place.in_memory:
        return cure
    if set(REQUIRED) <= set(place.row):
        tried = ReadReport(skip_bad_rows=True, user_id="any")
        list(formats()[known].read(HeldRows("row", lambda: [place.row]), tried))
        if tried.bad:
            return cure
    command = f"synthesizeme data convert {shlex.quote(place.source)} --out OUT.jsonl --format {known}"
    return f"{cure}; or run `{command}` and use its output"


def _write(stream: BinaryIO, pairs: Iterable[Given], *, source: str, compress: bool) -> int:
    written = 0
    with gzip.GzipFile("", "wb", fileobj=stream, mtime=0) if compress else nullcontext(stream) as sink:
        for pair in pairs:
            try:
                line = json.dumps(_row(pair), ensure_ascii=False, allow_nan=False).encode()
            except (TypeError, ValueError, RecursionError) as error:
                cure = "keep only finite numbers, text, lists and objects in metadata"
                name = pair.pair_id if isinstance(pair, PreferencePair) else pair.feedback_id
                problem = f"{short_repr(name)} cannot be written as JSON: {error}"
                raise DataError(problem, source=source, cure=cure) from None
            sink.write(line + b"\n")
            written += 1
    return written


def _row(given: Given) -> Row:
    """The row of a pair or of other feedback; what it does not have is left out."""
    said = given.model_dump(exclude_none=True)
    row = {name: value for name, value in said.items() if value or name not in _OPTIONAL}
    if given.created_at:
        row["created_at"] = given.created_at.isoformat()
    return row if isinstance(given, PreferencePair) else {"kind": given.kind, **row}


FORMAT = Format(
    "our own format: TRL conversational preference rows plus user_id",
    recognises,
    by_row(lambda place, report: [_given(place, report)]),
)

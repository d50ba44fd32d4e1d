"""CSV as it is found: commas, semicolons or tabs, with a header, every cell a text."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from itertools import chain

from synthesizeme.datasets.rows.encodings import decoded
from synthesizeme.datasets.rows.files import MAX_LINE_BYTES, raw_lines
from synthesizeme.datasets.rows.held import File
from synthesizeme.datasets.rows.report import SourceRow
from synthesizeme.errors import DataError

CSV_SUFFIXES = (".csv", ".tsv", ".tab")
"""Endings of such files, without that of a compression."""
_DELIMITERS = ",;\t"
NO_HEADER = (
    "if the first line is a row and no header, put one above it, such as `user_id,prompt,chosen,rejected`"
)
"""The cure for CSV whose first row was taken for its header."""
_EXCEL = "sep="
"""Beginning of a line that Excel writes before the header, followed by the delimiter."""


def csv_rows(path: File) -> Iterator[SourceRow | DataError]:
    """The rows of a CSV file with a header, every cell a text.

    The delimiter is what the header has most of: comma, semicolon or tab. Blanks around names of columns are
    no part of them. A first column without a name,
    which numbers the rows of a data frame, is left out; so are other columns without a name and cells beyond
    the header where they are blank, as a delimiter at the ends of lines leaves them.

    Raises:
        DataError: the file is not UTF-8 or not CSV, or two columns have one name.
    """
    lines = csv_cells(path, delimiter=None)
    number, header = next(lines, (0, []))
    header = [name.strip() for name in header]
    named = [name for name in header if name]
    if twice := [name for name in named if named.count(name) > 1]:
        problem = f"two columns have the name {twice[0][:80]!r}"
        raise DataError(
            problem, source=str(path), line=number, cure=f"rename or remove one of them; {NO_HEADER}"
        )
    for line, cells in lines:
        width = len(header)
        unnamed = [cell for name, cell in zip(header[1:], cells[1:], strict=False) if not name]
        if len(cells) < width or any(cell.strip() for cell in (*unnamed, *cells[width:])):
            problem = f"the row has {len(cells)} cells, the header {width}"
            cure = "quote cells that hold delimiters or line ends, and name every column"
            yield DataError(problem, source=str(path), line=line, cure=cure)
        else:
            row = {name: cell for name, cell in zip(header, cells, strict=False) if name}
            yield SourceRow(str(path), line, row)


def csv_cells(path: File, *, delimiter: str | None = ",") -> Iterator[tuple[int, list[str]]]:
    """The lines of a CSV file that are not blank, each with the number of the line that it ends on.

    Args:
        path: The file.
        delimiter: What is between cells; None: what the first line has most of.

    Raises:
        DataError: the file is not UTF-8 or not CSV.
    """
    csv.field_size_limit(max(csv.field_size_limit(), MAX_LINE_BYTES))
    lines = _text_lines(path)
    first = next(lines, "")
    begun = 0
    if delimiter is None and first.lower().startswith(_EXCEL) and len(first.strip()) == len(_EXCEL) + 1:
        delimiter, first, begun = first[len(_EXCEL)], next(lines, ""), 1
    delimiter = delimiter or _delimiter(first)
    reader = csv.reader(chain([first], lines), delimiter=delimiter, strict=True)
    try:
        for cells in reader:
            if any(cells):
                yield begun + reader.line_num, cells
    except csv.Error as error:
        cure = "write it with Python's csv module, or convert it to JSON Lines"
        problem, line = f"is not CSV: {error}", begun + reader.line_num
        raise DataError(problem, source=str(path), line=line, cure=cure) from None


def _text_lines(path: File) -> Iterator[str]:
    for line, offset, raw in raw_lines(path):
        if raw is None:
            problem, cure = f"the line is longer than {MAX_LINE_BYTES:,} bytes", "check that it is a CSV file"
            raise DataError(problem, source=str(path), line=line, cure=cure)
        yield decoded(raw, source=str(path), line=line, offset=offset)


def _delimiter(header: str) -> str:
    """The delimiter that a header has most of outside quotes; a comma where it has none."""
    outside = "".join(header.split('"')[::2])
    return max(_DELIMITERS, key=outside.count)

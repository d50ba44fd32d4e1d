"""Rows of the first sheet of an Excel workbook, as ECMA-376 has it: text, numbers, truth values and dates.

A workbook is a zip archive of XML, which is read with the standard library. Formulas have the value that was
saved with them.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any
from xml.etree import ElementTree

from synthesizeme.datasets.rows.files import MAX_LINE_BYTES
from synthesizeme.datasets.rows.lines import refuse_twice
from synthesizeme.datasets.rows.sources import File, SourceRow
from synthesizeme.errors import DataError
from synthesizeme.plain_text import short_repr

WORKBOOK_SUFFIX = ".xlsx"
"""Ending of a workbook."""
_MAIN = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
_LINK = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"
_DATES = frozenset({*range(14, 23), *range(27, 37), *range(45, 48), *range(50, 59)})
"""Numbers of the built-in formats of dates and times."""
_DATE_LETTERS = re.compile(r"[ymdhs]", re.IGNORECASE)
_NO_FORMAT = re.compile(r'"[^"]*"|\\.|\[[^\]]*\]')
_LETTERS = re.compile(r"[A-Z]+")
_EPOCH = datetime(1899, 12, 30)
_MOST_BYTES = 50 * MAX_LINE_BYTES
"""Largest part of a workbook that is read, in bytes when unpacked."""


def workbook_rows(path: File, note: Callable[[str], None]) -> Iterator[SourceRow]:
    """The rows of the first sheet below its first, numbered as there; blank cells are None, blank rows none.

    Args:
        path: The workbook.
        note: Is told which sheet is read, where there are several.

    Raises:
        DataError: it is no workbook, a sheet is too large, or two columns have one name.
    """
    source = str(path)
    try:
        with path.open("rb") as stream, zipfile.ZipFile(stream) as archive:
            sheets = _sheets(archive, source)
            texts, dates = _texts(archive, source), _date_styles(archive, source)
            found = list(_cells(_part(archive, sheets[0][1], source), texts, dates))
    except FileNotFoundError:
        raise DataError("there is no such file", source=source, cure="check the path") from None
    except (zipfile.BadZipFile, KeyError, IndexError, ElementTree.ParseError, ValueError, OSError) as error:
        cure = "save it again as .xlsx, or as CSV UTF-8"
        raise DataError(f"is not a readable workbook: {error}", source=source, cure=cure) from None
    if len(sheets) > 1:
        note(f"of {path.name} the first sheet is read, {short_repr(sheets[0][0])} of {len(sheets)}")
    if not found:
        return
    number, header = found[0]
    names = {column: str(value).strip() for column, value in header.items() if str(value).strip()}
    refuse_twice(names.values(), source, number)
    for line, cells in found[1:]:
        yield SourceRow(source, line, {name: cells.get(column) for column, name in names.items()})


def _part(archive: zipfile.ZipFile, name: str, source: str) -> ElementTree.Element:
    if archive.getinfo(name).file_size > _MOST_BYTES:
        problem = f"{name} is larger than {_MOST_BYTES:,} bytes"
        raise DataError(problem, source=source, cure="save the sheet as CSV UTF-8, which is read row by row")
    content = archive.read(name)
    if b"<!DOCTYPE" in content[:4096]:
        raise ValueError(f"{name} declares a document type")
    return ElementTree.fromstring(content)


def _sheets(archive: zipfile.ZipFile, source: str) -> list[tuple[str, str]]:
    """Name and part of every sheet."""
    links = {
        link.get("Id"): str(link.get("Target"))
        for link in _part(archive, "xl/_rels/workbook.xml.rels", source)
    }
    found = []
    for sheet in _part(archive, "xl/workbook.xml", source).iter(f"{_MAIN}sheet"):
        target = links[sheet.get(_LINK)]
        found.append(
            (str(sheet.get("name")), target.lstrip("/") if target.startswith("/") else f"xl/{target}")
        )
    return found


def _texts(archive: zipfile.ZipFile, source: str) -> list[str]:
    """The texts that cells point to."""
    if "xl/sharedStrings.xml" not in archive.namelist():
        return []
    return [_text(item) for item in _part(archive, "xl/sharedStrings.xml", source).iter(f"{_MAIN}si")]


def _text(item: ElementTree.Element) -> str:
    """Text of an item, without its phonetic runs."""
    parts = [item.find(f"{_MAIN}t"), *(run.find(f"{_MAIN}t") for run in item.findall(f"{_MAIN}r"))]
    return "".join(part.text or "" for part in parts if part is not None)


def _date_styles(archive: zipfile.ZipFile, source: str) -> set[int]:
    """Numbers of the styles in which a number is a date."""
    if "xl/styles.xml" not in archive.namelist():
        return set()
    styles = _part(archive, "xl/styles.xml", source)
    own = {
        int(it.get("numFmtId", "0"))
        for it in styles.iter(f"{_MAIN}numFmt")
        if _DATE_LETTERS.search(_NO_FORMAT.sub("", it.get("formatCode", "")))
    }
    cells = styles.find(f"{_MAIN}cellXfs")
    formats = [int(it.get("numFmtId", "0")) for it in (cells if cells is not None else [])]
    return {number for number, code in enumerate(formats) if code in _DATES or code in own}


def _cells(
    sheet: ElementTree.Element, texts: list[str], dates: set[int]
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Number of every row that is not blank, and its cells by column."""
    for at, row in enumerate(sheet.iter(f"{_MAIN}row"), start=1):
        cells = {}
        for place, cell in enumerate(row.iter(f"{_MAIN}c")):
            match = _LETTERS.match(cell.get("r", ""))
            value = _value(cell, texts, dates)
            if value is not None and value != "":
                cells[match[0] if match else f"#{place}"] = value
        if cells:
            yield int(row.get("r", at)), cells


def _value(cell: ElementTree.Element, texts: list[str], dates: set[int]) -> Any:
    kind = cell.get("t", "n")
    if kind == "inlineStr":
        inline = cell.find(f"{_MAIN}is")
        return None if inline is None else _text(inline)
    found = cell.find(f"{_MAIN}v")
    if found is None or found.text is None:
        return None
    if kind == "s":
        return texts[int(found.text)]
    if kind == "b":
        return found.text == "1"
    if kind in ("str", "d"):
        return found.text
    if kind == "e":
        return None
    number = float(found.text)
    if int(cell.get("s", "0")) in dates:
        return (_EPOCH + timedelta(days=number)).isoformat(timespec="seconds")
    return int(number) if number.is_integer() else number

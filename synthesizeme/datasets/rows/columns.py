"""What the columns of rows are: by which names they are wanted, and which hold messages as text."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice
from typing import Any, TypeAlias

from synthesizeme.datasets.rows.json_rows import parse_json
from synthesizeme.datasets.rows.report import SourceRow, short_repr
from synthesizeme.datasets.rows.turns import SYSTEM_COLUMNS
from synthesizeme.errors import ConfigError, DataError

Found: TypeAlias = SourceRow | DataError
"""A row, or the error that it makes."""
LOOKED_AT = 100
"""Rows by which it is decided what a column holds."""
TARGETS = ("prompt", "chosen", "rejected", "user_id", "pair_id", "split", "created_at", "system", "metadata")
"""Fields that another column can be named for."""
TEXTS = frozenset({
    "prompt", "context", "chosen", "rejected", "response", "first", "second", *SYSTEM_COLUMNS, "user_id",
    "pair_id", "text", "about", "input", "output", "user_prompt", "opening_prompt", "model_response",
    "result_x", "result_y",
})  # fmt: skip
"""Columns whose cells are what somebody wrote, or a name: text, whatever it looks like, or messages."""

_OPTIONAL = ("pair_id", "split", "created_at", "metadata")
_OPENING = re.compile(r"\s*(?:array\(\s*)?[\[{]")
_OBJECT = re.compile(r"\s*(?:array\(\s*)?\[?\s*\{")
_MESSAGE = tuple(
    (re.compile(rf"""['"]{who}['"]\s*:"""), re.compile(rf"""['"]{what}['"]\s*:"""))
    for who, what in (("role", "content"), ("from", "value"))
)
_LITERAL = re.compile(
    r"""(?P<string>'[^'\\]*(?:\\.[^'\\]*)*'|"[^"\\]*(?:\\.[^"\\]*)*")|(?P<gap>\}\s*(?=\{))|\b(?:array|np\.\w+)\((?P<call>)|"""
    r""",\s*dtype=\w+(?P<dtype>)(?=\))|\b(?P<word>nan|NaT|null|true|false|np\.True_|np\.False_)\b""",
    re.DOTALL,
)
_WORDS = {"nan": "None", "NaT": "None", "null": "None", "true": "True", "false": "False"}
_WORDS |= {"np.True_": "True", "np.False_": "False"}


def parse_columns(texts: Sequence[str]) -> dict[str, str]:
    """The columns that ``prompt=question,chosen=better`` names, by our field.

    Raises:
        ConfigError: one is no assignment, names an unknown field, or a field twice.
    """
    found: dict[str, str] = {}
    for item in chain.from_iterable(re.split(rf",(?=\s*(?:{'|'.join(TARGETS)})=)", text) for text in texts):
        field, assigned, column = item.partition("=")
        field, column = field.strip(), column.strip()
        if not assigned or not column or field not in TARGETS or field in found:
            raise ConfigError(
                f"--columns: found {short_repr(item)}; expected FIELD=COLUMN with each field once, of "
                f"{', '.join(TARGETS)}"
            )
        found[field] = column
    return found


def as_named(found: Iterable[Found], columns: Mapping[str, str]) -> Iterator[Found]:
    """Rows with the columns that were named under the names of our fields.

    A column may be one within an object, its name after that of the object and a dot: ``meta.rater``.
    """
    for place in found:
        if isinstance(place, DataError) or not columns:
            yield place
            continue
        row = {name: value for name, value in place.row.items() if name not in columns.values()}
        try:
            row.update({field: _named(place, field, column) for field, column in columns.items()})
        except DataError as error:
            yield error
        else:
            yield SourceRow(place.source, place.line, row)


def unfolded(found: Iterable[Found], note: Callable[[str], None]) -> Iterator[Found]:
    """Rows whose columns of messages as text hold messages.

    Which columns these are is decided once, by the first `LOOKED_AT` rows: those of which at least half of
    the cells that are not blank look like messages, written as JSON, by Python or by NumPy. A cell of such a
    column that cannot be read makes its row malformed. Other columns hold text as it stands, except that a
    column other than `TEXTS` of which at least half of the cells are lists or objects holds these. A blank
    cell of an optional field is none.

    Args:
        found: The rows.
        note: Is told of columns that are read as text though some of their cells look like messages.
    """
    rest = iter(found)
    first = list(islice(rest, LOOKED_AT))
    cells = _cells(place for place in first if isinstance(place, SourceRow))
    alike = {name: sum(map(_looks_like_messages, texts)) for name, texts in cells.items()}
    messages = [name for name, number in alike.items() if 2 * number >= len(cells[name])]
    for name, number in alike.items():
        if number and name not in messages:
            note(
                f"column {short_repr(name)} read as text, though {number} of its first cells look like "
                "messages"
            )
    values = [
        name
        for name, texts in cells.items()
        if name not in (*TEXTS, *messages)
        and 2 * sum(not isinstance(_value(text), str) for text in texts) >= len(texts)
    ]
    for place in chain(first, rest):
        if isinstance(place, DataError):
            yield place
            continue
        row = dict(place.row)
        row.update({name: None for name in _OPTIONAL if row.get(name) == ""})
        row.update({name: _value(row[name]) for name in values if isinstance(row.get(name), str)})
        try:
            for name in messages:
                if isinstance(row.get(name), str) and row[name].strip():
                    row[name] = _messages(place, name)
        except DataError as error:
            yield error
        else:
            yield SourceRow(place.source, place.line, row)


def _named(place: SourceRow, field: str, column: str) -> Any:
    value: Any = place.row
    for part in [column] if column in place.row else column.split("."):
        if not isinstance(value, Mapping) or part not in value:
            problem = f"there is no column {short_repr(column)}; found {short_repr(list(place.row))}"
            raise place.error(problem, field=field, cure="correct --columns")
        value = value[part]
    return value


def _cells(rows: Iterable[SourceRow]) -> dict[str, list[str]]:
    """The cells of each column that are text and not blank."""
    found: dict[str, list[str]] = {}
    for place in rows:
        for name, value in place.row.items():
            if isinstance(value, str) and value.strip():
                found.setdefault(name, []).append(value)
    return found


def _looks_like_messages(cell: str) -> bool:
    return bool(_OBJECT.match(cell)) and any(who.search(cell) and what.search(cell) for who, what in _MESSAGE)


def _messages(place: SourceRow, name: str) -> Any:
    found = _value(place.row[name])
    if not isinstance(found, str):
        return found
    raise place.error(
        f"found {short_repr(found)}; the column holds messages, expected a list of messages",
        field=name,
        cure="write the column as JSON, e.g. with json.dumps, or the table as Parquet or JSON Lines",
    )


def _value(cell: str) -> Any:
    """The list or object that a cell spells as JSON, or as Python or NumPy print it; else the cell."""
    if not _OPENING.match(cell):
        return cell
    try:
        return parse_json(cell.encode(), source="")
    except (DataError, UnicodeEncodeError):
        pass
    for text in (str.strip, lambda printed: _LITERAL.sub(_as_python, printed.strip())):
        try:
            spelt = json.dumps(ast.literal_eval(text(cell)), allow_nan=False)
            found = parse_json(spelt.encode(), source="")
        except (DataError, ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
            continue
        return found if isinstance(found, list | dict) else cell
    return cell


def _as_python(match: re.Match[str]) -> str:
    """What NumPy and JSON write otherwise than Python, as Python writes it; strings stay as they are."""
    if match["string"] is not None:
        return match["string"]
    if match["gap"] is not None:
        return "},"
    if match["word"] is not None:
        return _WORDS[match["word"]]
    return "(" if match["call"] is not None else ""

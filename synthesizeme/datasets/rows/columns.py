"""What the columns of rows are: by which names they are wanted, and which hold messages as text.

And what rows are that no format reads, told by the names of their columns, and what makes pairs of them.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain, islice
from typing import Any, TypeAlias

from synthesizeme.datasets.rows.lines import parse_json
from synthesizeme.datasets.rows.plain import Row
from synthesizeme.datasets.rows.sources import SourceRow
from synthesizeme.datasets.rows.turns import SYSTEM_COLUMNS
from synthesizeme.errors import ConfigError, DataError
from synthesizeme.plain_text import short_repr

RowOrError: TypeAlias = SourceRow | DataError
"""A row, or the error that it makes."""
LOOKED_AT = 100
"""Rows by which it is decided what a column holds."""
TARGETS = (
    "prompt", "chosen", "rejected", "user_id", "pair_id", "split", "created_at", "system", "metadata",
    "reason", "strength", "response_a", "response_b", "winner", "response", "rating", "scale", "thumb",
    "edited", "feedback_id",
)  # fmt: skip
"""Fields that another column can be named for."""
TEXTS = frozenset({
    "prompt", "context", "chosen", "rejected", "response", "first", "second", *SYSTEM_COLUMNS, "user_id",
    "pair_id", "text", "about", "input", "output", "user_prompt", "opening_prompt", "model_response",
    "result_x", "result_y", "response_a", "response_b", "reason", "edited",
})  # fmt: skip
"""Columns whose cells are what somebody wrote, or a name: text, whatever it looks like, or messages."""

_OPTIONAL = ("pair_id", "split", "created_at", "metadata", "reason", "strength", "feedback_id")
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


def as_named(found: Iterable[RowOrError], columns: Mapping[str, str]) -> Iterator[RowOrError]:
    """Rows with the columns that were named under the names of our fields.

    A column may be one within an object, its name after that of the object and a dot: ``meta.rater``.
    """

    def named(place: SourceRow) -> Row:
        row = {name: value for name, value in place.row.items() if name not in columns.values()}
        return row | {field: _named(place, field, column) for field, column in columns.items()}

    return _changed(found, named) if columns else iter(found)


def unfolded(found: Iterable[RowOrError], note: Callable[[str], None]) -> Iterator[RowOrError]:
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

    def unfold(place: SourceRow) -> Row:
        row = dict(place.row)
        row |= {name: None for name in _OPTIONAL if row.get(name) == ""}
        row |= {name: _value(row[name]) for name in values if isinstance(row.get(name), str)}
        filled = [name for name in messages if isinstance(row.get(name), str) and row[name].strip()]
        return row | {name: _messages(place, name) for name in filled}

    yield from _changed(chain(first, rest), unfold)


def _changed(found: Iterable[RowOrError], change: Callable[[SourceRow], Row]) -> Iterator[RowOrError]:
    """Rows as `change` gives them, or the errors that it raises; errors stay as they are."""
    for place in found:
        try:
            yield place if isinstance(place, DataError) else replace(place, row=change(place))
        except DataError as error:
            yield error


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


_OURS = ("prompt", "chosen", "rejected", "user_id")


def columns_held(row: Mapping[str, Any]) -> bool:
    """Whether a row is a whole table by columns: lists of one length, also of the users, or of responses."""
    if not row or not all(isinstance(value, list) for value in row.values()):
        return False
    sides = [row.get(name) for name in ("chosen", "rejected")]
    texts = all(side and all(isinstance(it, list | str) for it in side) for side in sides)
    return len({len(value) for value in row.values()}) == 1 and ("user_id" in row or texts)


def unknown_layout(row: Mapping[str, Any]) -> tuple[str, str] | None:
    """What a row is whose fields no format knows, and the cure; None where nothing tells."""
    names = {name.strip().lower(): name for name in row}
    if columns_held(row):
        return "is one table by columns", (
            "write it row by row, in Python with "
            "rows = [dict(zip(table, row)) for row in zip(*table.values())]"
        )
    if held := [name for name, value in row.items() if _holds_rows(value)]:
        return f"is one object that holds lists of rows in {', '.join(map(short_repr, held))}", (
            f"give each list by itself, in Python with read_pairs(table[{held[0]!r}]), as a file with "
            f"`jq '.[\"{held[0]}\"]' IN > OUT`"
        )
    if {"prompt", "chosen", "rejected"} <= names.keys():
        named = ",".join(f"{ours}={names[ours]}" for ours in _OURS if ours in names and names[ours] != ours)
        return "names its columns otherwise", f"name them with --columns '{named}'"
    return None


def _holds_rows(value: Any) -> bool:
    """Whether a value is a list of rows, and no conversation."""
    return (
        isinstance(value, list) and bool(value) and isinstance(value[0], dict)
        and not {"content", "value"} & value[0].keys() and len(value[0]) > 1
    )  # fmt: skip

"""What `evaluate` shows on a terminal: the columns of a report that matter most."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from synthesizeme.cli._output import terminal
from synthesizeme.plain_text import printable

if TYPE_CHECKING:
    from synthesizeme.evaluation.report import Report, Row

_LEGEND = (
    "Accuracy and its interval in %, gain in points with its interval; * resamples the pairs of a single "
    "user. NLL in nats; a coin has 0.693. --out DIR keeps every column."
)
WIDE = 100
"""Columns of a terminal that has room for `_WIDE` too."""
_WIDE = ("NLL", "no answer beats chosen")


def show_report(report: Report) -> None:
    """Print a compact table; columns that no row fills are left out."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from synthesizeme.evaluation.intervals import FOR_THESE_USERS

    console = terminal()
    columns = {name: cell for name, cell in _COLUMNS.items() if console.width >= WIDE or name not in _WIDE}
    shown = {heading: cell for heading, cell in columns.items() if any(map(cell, report.rows))}
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    table.add_column("scorer", overflow="fold")
    for heading in shown:
        table.add_column(heading, justify="right", overflow="fold")
    for row in report.rows:
        table.add_row(printable(row.name, 40), *(cell(row) or "–" for cell in shown.values()))
    console.print(Text(printable(report.benchmark), style="bold"))
    console.print(Text(printable(report.protocol), style="dim"))
    console.print(table)
    console.print(Text(_LEGEND, style="dim"))
    if alone := [row for row in report.rows if row.for_these_users]:
        ends = "; ".join(f"{printable(row.name, 40)} {_ends(row.for_these_users)}" for row in alone)
        console.print(
            Text(f"95 % intervals {FOR_THESE_USERS} alone, over pairs within them: {ends}.", style="dim")
        )
    for name, reason in report.failed.items():
        console.print(Text(f"{printable(name)} failed: {printable(reason)}", style="red"))
    for note in report.notes:
        console.print(Text(printable(note), style="dim"))


def _percent(share: float | None, sign: str = "") -> str:
    return "" if share is None else f"{100 * share:{sign}.1f}"


def _interval(row: Row) -> str:
    mark = "*" if row.unit == "pair" else ""
    return "" if row.low is None else f"{_percent(row.low)} – {_percent(row.high)}{mark}"


def _ends(ends: tuple[float, float] | None) -> str:
    return "" if ends is None else f"{_percent(ends[0])} – {_percent(ends[1])}"


def _gain(row: Row) -> str:
    if row.gain is None or row.gain.value is None:
        return ""
    ends = f"{_percent(row.gain.low, '+')} to {_percent(row.gain.high, '+')}"
    return f"{_percent(row.gain.value, '+')} ({ends})"


_COLUMNS: dict[str, Callable[[Row], str]] = {
    "accuracy": lambda row: _percent(row.micro),
    "95 % interval": _interval,
    "gain": _gain,
    "wrong user": lambda row: _percent(row.controls.get("wrong_user")),
    "swapped": lambda row: _percent(row.controls.get("swapped_labels")),
    "NLL": lambda row: "" if row.nll is None else f"{row.nll:.3f}",
    "no answer beats chosen": lambda row: "" if row.no_answers is None else _percent(row.no_answers.mean),
    "ties": lambda row: f"{row.ties}/{row.n_questions}",
    "failures": lambda row: ", ".join(f"{kind} {number}" for kind, number in row.failures.items()) or "0",
}

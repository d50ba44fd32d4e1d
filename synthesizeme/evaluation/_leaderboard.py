"""Rows as an aligned Markdown table, with a legend of the columns that are shown."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from synthesizeme.evaluation._rows import Row

_ABSENT = "–"


@dataclass(frozen=True)
class Column:
    """One column: its heading, how a row fills it, and what it means."""

    heading: str
    cell: Callable[[Row], str | None]
    meaning: str
    optional: bool = True


def leaderboard(rows: Sequence[Row]) -> str:
    """An aligned table of `rows` in the order given, then the legend; columns nobody fills are left out."""
    shown = [column for column in _columns(rows) if not column.optional or any(map(column.cell, rows))]
    table = [
        [column.heading for column in shown],
        *([column.cell(row) or _ABSENT for column in shown] for row in rows),
    ]
    widths = [max(3, *(len(line[i]) for line in table)) for i in range(len(shown))]
    rule = "|" + "|".join(f" {'-' * w} " if i == 0 else f" {'-' * (w - 1)}: " for i, w in enumerate(widths))
    lines = [_line(line, widths) for line in table]
    legend = [f"- **{column.heading}**: {column.meaning}" for column in shown if column.meaning]
    return "\n".join([lines[0], rule + "|", *lines[1:], "", *legend]) + "\n"


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = [cells[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(cells[1:], widths[1:], strict=True))]
    return "| " + " | ".join(padded) + " |"


def _columns(rows: Sequence[Row]) -> list[Column]:
    names = dict.fromkeys(name for row in rows for name in row.controls)
    controls = [
        Column(_text(name), lambda row, name=name: _percent(row.controls.get(name)), _control(name))  # type: ignore[misc]
        for name in names
    ]
    return [*_ACCURACY, *controls, *_COUNTS, *_QUALITY]


def _control(name: str) -> str:
    meanings = {
        "no_user": "control: accuracy (%) of the same scorer without the user.",
        "wrong_user": "control: accuracy (%) with another user's profile; should not exceed no_user.",
        "swapped_labels": "control: accuracy (%) when the labels of the user's history are reversed; "
        "should fall clearly below.",
    }
    return meanings.get(name, "control: accuracy (%) of the same scorer under this change.")


def _text(value: str) -> str:
    return " ".join(value.split()).replace("|", "\\|")


def _percent(value: float | None, sign: str = "") -> str | None:
    return None if value is None else f"{100 * value:{sign}.1f}"


def _range(low: float | None, high: float | None, sign: str = "") -> str | None:
    return None if low is None else f"[{_percent(low, sign)}, {_percent(high, sign)}]"


def _interval(row: Row) -> str | None:
    found = _range(row.low, row.high)
    return f"{found}*" if found and row.unit == "pair" else found


def _gain(row: Row) -> str | None:
    if row.gain is None or row.gain.value is None:
        return None
    return f"{_percent(row.gain.value, '+')} {_range(row.gain.low, row.gain.high, '+')}"


def _failures(row: Row) -> str:
    return ", ".join(f"{kind} {count}" for kind, count in row.failures.items()) or "0"


def _number(value: float | None, digits: int) -> str | None:
    return None if value is None else f"{value:.{digits}f}"


def _calls(row: Row) -> str | None:
    return None if row.usage is None else f"{row.usage.calls} ({row.usage.distinct_calls})"


def _cost(row: Row) -> str | None:
    return f"{row.usage.cost_usd:.2f}" if row.usage and row.usage.cost_usd else None


_ACCURACY = (
    Column("scorer", lambda row: _text(row.name), "", optional=False),
    Column("accuracy", lambda row: _percent(row.micro), "share of answered pairs, in %.", optional=False),
    Column(
        "95 % interval",
        _interval,
        "bootstrap over users, with all pairs of a user drawn together; * marks a single user, whose pairs "
        "are drawn instead: it says nothing about other users.",
        optional=False,
    ),
    Column("per user", lambda row: _percent(row.macro), "mean of the users' own accuracies, in %."),
    Column(
        "gain",
        _gain,
        "paired difference in points, on the pairs both answered, to the scorer named as reference, "
        "with its 95 % interval.",
    ),
    Column(
        "detectable",
        lambda row: _percent(row.detectable),
        "smallest true difference, in points, that these pairs would show with 80 % power: "
        "of the gain where there is one, else of the accuracy to a fixed number.",
    ),
)
_COUNTS = (
    Column("pairs", lambda row: str(row.n_pairs), "pairs asked about, failures included.", optional=False),
    Column("users", lambda row: str(row.n_users), "users behind them.", optional=False),
    Column(
        "ties",
        lambda row: f"{row.ties}/{row.n_questions}",
        "verdicts that were a tie, out of all questions (a pair shown in both orders is two).",
        optional=False,
    ),
    Column(
        "failures",
        _failures,
        "questions without a verdict, by kind: not in the accuracy, neither as wrong nor as a tie.",
        optional=False,
    ),
    Column(
        "answered",
        lambda row: _percent(row.coverage) if row.coverage != 1 else None,
        "pairs with at least one verdict, in % (– where all have one); accuracy is over these.",
    ),
)
_QUALITY = (
    Column(
        "same in both orders",
        lambda row: _percent(row.order_consistency),
        "pairs with the same choice whichever response is shown first, in %.",
    ),
    Column(
        "position bias",
        lambda row: _percent(row.position_bias, "+"),
        "verdicts for the response shown first minus 50 %, in points.",
    ),
    Column(
        "Brier",
        lambda row: _number(row.brier, 3),
        "mean squared error of the stated probabilities (0.25: always saying one half).",
    ),
    Column(
        "ECE",
        lambda row: _number(row.ece, 3),
        "mean gap between stated confidence and accuracy, ten bins over [0.5, 1].",
    ),
    Column(
        "majority",
        lambda row: _percent(row.agrees_with_majority),
        "agreement, in %, with what most other people said about the same pair.",
    ),
    Column("fit s", lambda row: _number(row.fit_seconds, 2), "seconds to train."),
    Column("score s", lambda row: _number(row.score_seconds, 2), "seconds to score the test pairs."),
    Column(
        "parameters",
        lambda row: None if row.parameters is None else str(row.parameters),
        "learned parameters.",
    ),
    Column("calls", _calls, "model calls (distinct ones in brackets)."),
    Column("US$", _cost, "price of the distinct calls, where it is known."),
)

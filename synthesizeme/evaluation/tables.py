"""Numbers as cells, cells as an aligned Markdown table, and rows as the leaderboard with its legend."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from synthesizeme import display
from synthesizeme.evaluation._rows import CurvePoint, Resplits, Row
from synthesizeme.evaluation.intervals import FOR_THESE_USERS, Difference
from synthesizeme.evaluation.measurement import CONTROLS
from synthesizeme.evaluation.no_answers import Beaten

ABSENT = "–"
"""The cell of what was not measured."""


def aligned(table: Sequence[Sequence[str]]) -> str:
    """A Markdown table whose columns line up: the first row is the heading, the first column is text.

    >>> print(aligned([["scorer", "%"], ["a|b", "71.2"]]), end="")
    | scorer |    % |
    | ------ | ---: |
    | a|b    | 71.2 |
    """
    widths = [max(3, *(len(line[i]) for line in table)) for i in range(len(table[0]))]
    rule = "|" + "|".join(f" {'-' * w} " if i == 0 else f" {'-' * (w - 1)}: " for i, w in enumerate(widths))
    lines = [_line(line, widths) for line in table]
    return "\n".join([lines[0], rule + "|", *lines[1:]]) + "\n"


def text(value: str) -> str:
    """A text that stays in its cell."""
    return " ".join(value.split()).replace("|", "\\|")


def percent(share: float | None, sign: str = "") -> str | None:
    """A share in %, or a difference of shares in points."""
    return None if share is None else f"{100 * share:{sign}.1f}"


def span(low: float | None, high: float | None, sign: str = "") -> str | None:
    """An interval in %, or in points."""
    return None if low is None else f"[{percent(low, sign)}, {percent(high, sign)}]"


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = [cells[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(cells[1:], widths[1:], strict=True))]
    return "| " + " | ".join(padded) + " |"


def named(numbers: Mapping[str, float]) -> str:
    """Numbers with their names in a line, e.g. "kept 2,642, dropped 0"; a truth value is yes or no."""
    return ", ".join(
        f"{name} {('no', 'yes')[value] if isinstance(value, bool) else format(value, ',.7g')}"
        for name, value in numbers.items()
    )


@dataclass(frozen=True)
class Column:
    """One column: its heading, how a row fills it, and what it means."""

    heading: str
    cell: Callable[[Row], str | None]
    meaning: str
    optional: bool = True


class Sheet(NamedTuple):
    """A table as it is shown, in whatever markup."""

    title: str
    """What it is a table of."""
    cells: list[list[str]]
    """The first row is the heading, the first column names the row."""
    legend: list[tuple[str, str]]
    """What headings mean."""

    def to_markdown(self) -> str:
        """An aligned table, then the legend."""
        kept = [[text(cell) for cell in line] for line in self.cells]
        said = [f"- **{text(name)}**: {meaning}" for name, meaning in self.legend]
        return "\n".join([aligned(kept), *said]) + "\n"


def sheets(rows: Sequence[Row]) -> list[Sheet]:
    """`rows` in the order given as tables; columns nobody fills are left out.

    Means over re-splits and the history-length curve, where there are any, are tables of their own.
    """
    found = [_sheet("Accuracy", rows, _columns(rows))]
    if redrawn := [row for row in rows if row.resplits]:
        found.append(_sheet("Means over re-splits", redrawn, _resplit_columns(redrawn)))
    if curve := [row for row in rows if row.curve]:
        found.append(_curve_sheet(curve))
    return found


def leaderboard(rows: Sequence[Row]) -> str:
    """The `sheets` of these rows in Markdown."""
    return "\n".join(sheet.to_markdown() for sheet in sheets(rows))


def leaderboard_html(rows: Sequence[Row]) -> str:
    """Accuracies, controls and counts as a table of HTML, what its columns mean standing below it."""
    shown = _sheet("Accuracy", rows, [column for column in _columns(rows) if column not in _QUALITY])
    return (
        display.table(shown.cells)
        + display.bullets(shown.legend)
        + display.note("to_markdown() has all columns.")
    )


def _sheet(title: str, rows: Sequence[Row], columns: Sequence[Column]) -> Sheet:
    shown = [column for column in columns if not column.optional or any(map(column.cell, rows))]
    cells = [
        [column.heading for column in shown],
        *([column.cell(row) or ABSENT for column in shown] for row in rows),
    ]
    return Sheet(title, cells, [(column.heading, column.meaning) for column in shown if column.meaning])


def _columns(rows: Sequence[Row]) -> list[Column]:
    names = dict.fromkeys(name for row in rows for name in row.controls)
    controls = [
        Column(name, lambda row, name=name: percent(row.controls.get(name)), _control(name))  # type: ignore[misc]
        for name in names
    ]
    return [*_ACCURACY, *controls, *_COUNTS, *_QUALITY]


def _resplit_columns(rows: Sequence[Row]) -> list[Column]:
    """Means over re-splits."""
    number = max(row.resplits.n for row in rows if row.resplits)

    def over(cell: Callable[[Resplits], str | None]) -> Callable[[Row], str | None]:
        return lambda row: cell(row.resplits) if row.resplits else None

    def mean(name: str, ends: tuple[str, str] = ("", ""), sign: str = "") -> Callable[[Row], str | None]:
        def cell(found: Resplits) -> str | None:
            low, high = (getattr(found, end, None) for end in ends)
            shown = percent(getattr(found, name), sign), span(low, high, sign)
            return " ".join(filter(None, shown)) or None

        return over(cell)

    many = f"mean accuracy (%) over {number} re-splits, whose test pairs overlap; other columns as above. "
    return [
        _NAME,
        Column("re-splits", mean("micro", ("low", "high")), f"{many}Intervals resample users."),
        Column("gain", mean("gain", ("gain_low", "gain_high"), "+"), ""),
        Column("first minus this", over(lambda found: _difference(found.behind)), ""),
        *(Column(name, mean(name), "") for name in CONTROLS),
        Column("Brier", over(lambda found: _number(found.brier, 3)), ""),
        Column("ECE", over(lambda found: _number(found.ece, 3)), ""),
        Column("NLL", over(_loss), ""),
        Column("NLL, no_user", over(lambda found: _number(found.nll_no_user, 3)), ""),
    ]


def _curve_sheet(rows: Sequence[Row]) -> Sheet:
    """The history-length curves: a line for each scorer and way in which its users' pairs were taken."""
    points = {(row.name, point.order, point.length): point for row in rows for point in row.curve}
    lengths = sorted({length for _, _, length in points})
    most = max((point.n_users or 0 for point in points.values()), default=0)
    headings = []
    for length in lengths:
        users = max(point.n_users or 0 for (_, _, at), point in points.items() if at == length)
        headings.append(f"{length} ({users} users)" if 0 < users < most else str(length))
    cells = [["new users", "pairs", *headings]]
    for name, order in dict.fromkeys((name, order) for name, order, _ in points):
        found = [points.get((name, order, length)) for length in lengths]
        cells.append([name, order, *(_at(point) or ABSENT for point in found)])
    meaning = (
        "accuracy (%), with its 95 % interval over users, of users who were not in the "
        "training, after so many of their own pairs: drawn at random, the mean over several draws, or "
        "their first ones. A number of users stands where fewer have so many pairs."
    )
    return Sheet("Users who were not in the training", cells, [("new users", meaning)])


def _at(point: CurvePoint | None) -> str | None:
    if point is None or point.micro is None:
        return None
    return " ".join(filter(None, (percent(point.micro), span(point.low, point.high))))


def _control(name: str) -> str:
    meanings = {
        "no_user": "control: accuracy (%) of the same scorer without the user.",
        "wrong_user": "control: accuracy (%) with another user's history or profile; "
        "should not exceed no_user.",
        "swapped_labels": "control: accuracy (%) when the labels of the user's history are reversed; "
        "should fall clearly below.",
    }
    return meanings.get(name, "control: accuracy (%) of the same scorer under this change.")


def _interval(row: Row) -> str | None:
    found = span(row.low, row.high)
    return f"{found}*" if found and row.unit == "pair" else found


def _difference(found: Difference | None) -> str | None:
    if found is None or found.value is None:
        return None
    own = f"; {FOR_THESE_USERS} {span(*found.for_these_users, '+')}" if found.for_these_users else ""
    return f"{percent(found.value, '+')} {span(found.low, found.high, '+')}{own}"


def _failures(row: Row) -> str:
    return ", ".join(f"{kind} {count}" for kind, count in row.failures.items()) or "0"


def _number(value: float | None, digits: int) -> str | None:
    return None if value is None else f"{value:.{digits}f}"


def _loss(of: Row | Resplits) -> str | None:
    if of.nll is None or of.nll_low is None:
        return _number(of.nll, 3)
    return f"{of.nll:.3f} [{of.nll_low:.3f}, {of.nll_high:.3f}]"


def _beaten(found: Beaten | None) -> str | None:
    if found is None:
        return None
    kind, share = found.worst
    return f"{percent(found.mean)} ({kind} {percent(share)})"


def _calls(row: Row) -> str | None:
    return None if row.usage is None else f"{row.usage.calls} ({row.usage.distinct_calls})"


def _cost(row: Row) -> str | None:
    return f"{row.usage.cost_usd:.2f}" if row.usage and row.usage.cost_usd else None


_NAME = Column("scorer", lambda row: row.name, "", optional=False)
_ACCURACY = (
    _NAME,
    Column("accuracy", lambda row: percent(row.micro), "share of answered pairs, in %.", optional=False),
    Column(
        "95 % interval",
        _interval,
        "bootstrap over users, with all pairs of a user drawn together; * marks a single user, whose pairs "
        "are drawn instead: it says nothing about other users.",
        optional=False,
    ),
    Column(
        FOR_THESE_USERS,
        lambda row: span(*row.for_these_users) if row.for_these_users else None,
        "95 % interval over pairs within users, where there are fewer than ten of them: where the "
        "accuracy of these same users lies. It says nothing about other users.",
    ),
    Column("per user", lambda row: percent(row.macro), "mean of the users' own accuracies, in %."),
    Column(
        "gain",
        lambda row: _difference(row.gain),
        "paired difference in points, on the pairs both answered, to the scorer that the line above "
        "the table names, with its 95 % interval.",
    ),
    Column(
        "first minus this",
        lambda row: _difference(row.behind),
        "paired difference in points of the first scorer of the table and this one, on the pairs both "
        "answered, with its 95 % interval.",
    ),
    Column(
        "detectable",
        lambda row: percent(row.detectable),
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
        lambda row: percent(row.coverage) if row.coverage != 1 else None,
        "pairs with at least one verdict, in % (– where all have one); accuracy is over these.",
    ),
)
_QUALITY = (
    Column(
        "same in both orders",
        lambda row: percent(row.order_consistency),
        "pairs with the same choice whichever response is shown first, in %.",
    ),
    Column(
        "position bias",
        lambda row: percent(row.position_bias, "+"),
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
        "NLL",
        _loss,
        "mean negative log-likelihood of the stated probabilities in nats, each clipped to [1e-6, 1 - "
        "1e-6], with its 95 % interval over users (0.693: a coin that says so).",
    ),
    Column(
        "NLL, no_user",
        lambda row: _number(row.nll_controls.get("no_user"), 3),
        "the same without the user.",
    ),
    Column(
        "promised error",
        lambda row: percent(row.selection.max_error) if row.selection else None,
        "largest share of wrong answers, in %, that was promised where the model may abstain: fitted on the "
        "train rows alone, it answers from that confidence on that the validation rows allow.",
    ),
    Column(
        "realised error",
        lambda row: percent(row.selection.realised) if row.selection else None,
        "share of wrong answers, in %, among the test pairs that it then answered.",
    ),
    Column(
        "coverage",
        lambda row: percent(row.selection.coverage) if row.selection else None,
        "share of the test pairs that it then answered, in %; the others are neither ties nor wrong.",
    ),
    Column(
        "no answer beats chosen",
        lambda row: _beaten(row.no_answers),
        "texts that are no answers to the prompt (echoes, shuffled words, junk, ...) whose reward is above "
        "that of the answer the user chose, in %: the mean over the kinds, and the worst kind. 0 is right.",
    ),
    Column(
        "majority",
        lambda row: percent(row.agrees_with_majority),
        "agreement, in %, with most of the other people who judged the same pair, where there is a majority: "
        "what fitting the user costs in general quality.",
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

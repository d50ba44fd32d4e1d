"""The page of what `compare` and `evaluate` found: figures, tables, users, and every pair behind them."""

from __future__ import annotations

from collections.abc import Sequence

from synthesizeme.evaluation.calibration import accuracy_at_coverage, probabilities, reliability
from synthesizeme.evaluation.figures import gain_by_user
from synthesizeme.evaluation.intervals import accuracy_interval
from synthesizeme.evaluation.measurement import CONTROLS, Measurement
from synthesizeme.evaluation.report import Report, SavedReport
from synthesizeme.evaluation.tables import ABSENT, Sheet, percent
from synthesizeme.report_pages.charts import MOST_LINES, SHAPES, Bar, Line, bars, lines
from synthesizeme.report_pages.document import (
    Html,
    bullets,
    document,
    element,
    figure,
    folded,
    joined,
    note,
    section,
    table,
)
from synthesizeme.report_pages.pair_rows import pairs_table, texts, users_table
from synthesizeme.types import PreferencePair

ROOM = 480_000
"""Bytes of a page without texts of pairs, about: what has no room is left out, and the page says so."""
ROOM_FOR_TEXTS = 1_500_000
"""Bytes of the texts of pairs, where they are asked for."""
_LEAST = 40_000
_CLOUDS = 3
_MOST = f"the most accurate scorers, at most {MOST_LINES}"
Part = tuple[SavedReport, Sequence[Measurement], Sequence[PreferencePair]]
"""A report, what stands behind its rows, and the pairs asked about."""


def report_page(parts: Sequence[Part], *, mark: str, with_texts: bool = False) -> str:
    """The page of one report or several.

    Args:
        parts: Of each report: itself, its measurements (none where it is no report of accuracies), the test
            pairs.
        mark: See `document.document`.
        with_texts: Whether prompts and responses are shown; otherwise the page knows pairs by their ids.
    """
    names = [report.benchmark for report, _, _ in parts]
    links = [element("a", name, href=f"#r{i}") for i, name in enumerate(names)]
    contents = element("nav", bullets(links), aria_label="Benchmarks") if len(parts) > 1 else Html()
    holds = "prompts and responses of the pairs, cut where they are long" if with_texts else (
        "ids and verdicts, but no prompt and no response"
    )  # fmt: skip
    about = note(f"This page holds {holds}. It loads nothing; columns are sorted by their headings.")
    each = [
        _report(report, found, pairs, i, len(parts), with_texts)
        for i, (report, found, pairs) in enumerate(parts)
    ]
    sections = [
        section(name, *found, id=f"r{i}") for i, (name, found) in enumerate(zip(names, each, strict=True))
    ]
    body = sections if len(parts) > 1 else each[0]
    return document(", ".join(names), about, contents, *body, mark=mark)


def _report(
    report: SavedReport,
    found: Sequence[Measurement],
    pairs: Sequence[PreferencePair],
    number: int,
    of: int,
    with_texts: bool,
) -> list[Html]:
    head = [element("p", report.protocol), *_beside(report)]
    tables = [sheet_html(it) for it in report.sheets()]
    if not found:
        return [*head, *tables]
    ranked = sorted((it for it in found if it.own.micro is not None), key=lambda it: -(it.own.micro or 0.0))
    curves = element("div", _history(report), _calibration(ranked), _coverage(ranked), class_="figures")
    drawn = [_accuracy(ranked), *tables, curves]
    users = [_gains(ranked), users_table(found, ROOM // of // 4)]
    where, said = texts(pairs, ROOM_FOR_TEXTS // of, f"r{number}p") if with_texts else ({}, Html())
    left = max(ROOM // of - len(joined([*head, *drawn, *users]).encode()), _LEAST // of)
    own = pairs_table({it.name: it.own for it in found}, left, linked=where)
    left = max(left - len(own.encode()), _LEAST // of)
    controls = {
        f"{it.name}, {name}": outcome
        for it in found
        for name, outcome in it.controls.items()
        if name in CONTROLS
    }
    below = pairs_table(controls, left, among=" under each control") if controls else Html()
    return [
        *head,
        *drawn,
        section("Users", *users, level=3),
        section("Pairs", own, folded("The same pairs under each control", below) if below else "", level=3),
        said,
    ]


def _beside(report: SavedReport) -> list[Html]:
    """What a reader should know before the numbers."""
    if not isinstance(report, Report):
        return []
    versions = ", ".join(f"{name} {version}" for name, version in report.environment.items())
    pairs = report.data_fingerprint[:12] or "unknown"
    failed = [f"{name} failed and has no row: {reason}" for name, reason in report.failed.items()]
    return [
        note(f"Respondents: {report.respondents}. Test pairs {pairs}; {versions}."),
        bullets(failed, class_="warn"),
        bullets(report.notes, class_="facts"),
    ]


def sheet_html(sheet: Sheet, level: int = 3) -> Html:
    """A table of a report under its own heading."""
    return section(
        sheet.title, table(sheet.cells, sheet.title, legend=sheet.legend), level=level, class_="titled"
    )


def accuracy_figure(found: Sequence[Measurement], caption: str) -> Html:
    """Every scorer's accuracy with its interval over users, and in small marks its controls.

    Args:
        found: In the order to be drawn.
        caption: What it is a figure of.
    """
    rows, cells = [], [["scorer", "accuracy", "low", "high", *CONTROLS]]
    for it in found:
        own = accuracy_interval(it.own)
        if own.value is None or own.low is None or own.high is None:
            continue
        controls = [it.controls[name].micro if name in it.controls else None for name in CONTROLS]
        marks = tuple(None if share is None else 100 * share for share in controls)
        rows.append(Bar(it.name, 100 * own.value, 100 * own.low, 100 * own.high, marks))
        shares = [own.value, own.low, own.high, *controls]
        cells.append([it.name, *(percent(share) or ABSENT for share in shares)])
    return figure(bars(rows, "accuracy (%)", reference=50), caption, cells)


def _accuracy(ranked: Sequence[Measurement]) -> Html:
    meant = zip(SHAPES, ("without the user", "as another user", "with labels swapped"), strict=True)
    marked = any(it.controls for it in ranked)
    controls = f" The same scorer {', '.join(map(' '.join, meant))}." if marked else ""
    caption = f"Accuracy with its 95 % interval over users; the broken line is chance.{controls}"
    return accuracy_figure(ranked, caption)


def _gains(ranked: Sequence[Measurement]) -> Html:
    """What each user gains with the most accurate scorers that know users."""
    rows = []
    for it in ranked:
        if "no_user" in it.controls:
            values = gain_by_user(it.own, it.controls["no_user"]).values
            if len(values):
                rows.append(Bar(it.name, float(values.mean()), None, None, tuple(map(float, values))))
    caption = (
        "What users gain from their own history: a faint point for each user, the mean over users in full. "
        "The numbers are in the table below."
    )
    return figure(bars(rows[:_CLOUDS], "gain (points of accuracy)", reference=0, faint=True), caption)


def _history(report: SavedReport) -> Html:
    """Accuracy of users who were not in the training by the number of their pairs."""
    if not isinstance(report, Report):
        return Html()
    found = []
    for row in report.rows:
        orders = {it.order for it in row.curve}
        order = "random" if "random" in orders else "file order"
        points = [it for it in row.curve if it.micro is not None and it.order == order]
        ends = [(100 * it.low, 100 * it.high) if it.low is not None and it.high is not None else None
                for it in points]  # fmt: skip
        line = Line(row.name, tuple((it.length, 100 * (it.micro or 0.0)) for it in points), tuple(ends))
        found += [line] if points else []
    found.sort(key=lambda line: -line.points[-1][1])
    best = [line if i < _CLOUDS else line._replace(ends=()) for i, line in enumerate(found)]
    caption = (
        "Accuracy of new users by the number of own pairs they bring; 95 % intervals over users at the "
        f"best {_CLOUDS}. All numbers are in the table of users who were not in the training."
    )
    return figure(lines(best, "own pairs", "accuracy (%)", reference=50), caption)


def _calibration(ranked: Sequence[Measurement]) -> Html:
    """Stated confidence against accuracy, of the scorers that state any."""
    found: list[Line] = []
    cells = [["scorer", "confidence", "accuracy", "pairs"]]
    for it in ranked:
        points = reliability(probabilities(it.own))
        if not points or len(found) == MOST_LINES:
            continue
        found.append(Line(it.name, tuple((100 * p.confidence, 100 * p.accuracy) for p in points)))
        cells += [[it.name, percent(p.confidence) or "", percent(p.accuracy) or "", str(p.n)] for p in points]
    caption = f"Stated confidence and accuracy, {_MOST}; on the broken line they are the same."
    return figure(lines(found, "confidence (%)", "accuracy (%)", diagonal=True), caption, cells)


def _coverage(ranked: Sequence[Measurement]) -> Html:
    """What accuracy is left when the least confident pairs are not answered."""
    found: list[Line] = []
    cells = [["scorer", "answered", "accuracy"]]
    for it in ranked:
        points = accuracy_at_coverage(probabilities(it.own))
        if not points or len(found) == MOST_LINES:
            continue
        at = [(tenth, next(p for p in points if p.coverage >= tenth / 10 - 1e-9)) for tenth in range(1, 11)]
        found.append(Line(it.name, tuple((10.0 * tenth, 100 * p.accuracy) for tenth, p in at)))
        cells += [[it.name, percent(p.coverage) or "", percent(p.accuracy) or ""] for _, p in at]
    caption = f"Accuracy where only the surest pairs are answered, {_MOST}."
    return figure(lines(found, "pairs answered (%)", "accuracy (%)"), caption, cells)

"""What came of comparisons: the report of one, and two of them side by side."""

from __future__ import annotations

from pathlib import Path

from synthesizeme.comparison.runner import Compared, measurement_path, read_measurement
from synthesizeme.comparison.tasks import Tasks
from synthesizeme.errors import DataError
from synthesizeme.evaluation.benchmarks import Benchmark
from synthesizeme.evaluation.harness import Outcome
from synthesizeme.evaluation.intervals import Difference, paired_difference
from synthesizeme.evaluation.report import Report, Row, fingerprint, measured_row
from synthesizeme.evaluation.tables import ABSENT, aligned, percent, span, text
from synthesizeme.types import Frozen

RESULTS = "results.json"
_HEADINGS = ("scorer", "A", "B", "B - A", "pair by pair", "gain in A", "gain in B")
_LEGEND = (
    "Accuracies in %, differences and gains in points. *pair by pair*: the same difference with its 95 % "
    "interval over users, where both folders hold the measurements of the same test pairs; where the two "
    "disagree, pairs that only one of them answered are the cause."
)


def report(compared: Compared, benchmark: Benchmark, tasks: Tasks, *, model: str = "") -> Report:
    """The table of a comparison.

    Args:
        compared: What came of it.
        benchmark: What was measured on.
        tasks: Of it.
        model: The language model behind the judges, in words; empty without judges.
    """
    everyone, seed = tasks.folds[0].everyone, tasks.folds[0].seed
    found = compared.measurements
    rows = tuple(
        measured_row(it, pairs=benchmark.test, everyone=everyone, first=found[0] if i else None, seed=seed)
        for i, it in enumerate(found)
    )
    notes = [f"{it.name}: {note}" for it in found for note in it.notes]
    notes += [f"{name} is left out: {reason}" for name, reason in compared.left_out.items()]
    with_curve = any(it.cold_start for it in found)
    protocol = benchmark.protocol + (f" Judge: {model}." if model else "")
    return Report(
        benchmark=benchmark.name,
        protocol=f"{protocol} Gains are paired differences to the same scorer without the user.",
        rows=rows,
        respondents=benchmark.respondents,
        data_fingerprint=fingerprint(benchmark.test),
        notes=(*(tasks.notes if with_curve or not tasks.halves else ()), *notes),
        failed=compared.failed,
    )


class DiffRow(Frozen):
    """One scorer in both results. Shares are in [0, 1]; None means "not there"."""

    name: str
    """Name of the scorer."""
    a: float | None
    """Accuracy in A."""
    b: float | None
    """Accuracy in B."""
    difference: float | None
    """B minus A."""
    paired: Difference | None = None
    """B minus A pair by pair, with its interval over users; None unless both kept the same test pairs."""
    gain_a: Difference | None = None
    """Gain in A."""
    gain_b: Difference | None = None
    """Gain in B."""


class Diff(Frozen):
    """Two results, aligned by the names of their rows."""

    a: str
    """Where A was read from."""
    b: str
    """Where B was read from."""
    benchmark_a: str
    """Benchmark of A."""
    benchmark_b: str
    """Benchmark of B."""
    same_pairs: bool
    """Whether both were measured on the same test pairs."""
    rows: tuple[DiffRow, ...]
    """Rows of A in their order, then those that only B has."""
    warnings: tuple[str, ...] = ()
    """What makes the difference say something else than it seems to."""

    def to_markdown(self) -> str:
        """Heading, warnings, aligned table, legend."""
        head = [f"A: {self.a} ({self.benchmark_a})", f"B: {self.b} ({self.benchmark_b})"]
        head += [f"**Beware**: {warning}." for warning in self.warnings]
        table = [list(_HEADINGS), *(_cells(row) for row in self.rows)]
        return "\n\n".join([*head, aligned(table), _LEGEND]) + "\n"


def diff(a: Path, b: Path) -> Diff:
    """Set two results side by side.

    Args:
        a: A results file, or the folder that holds ``results.json``.
        b: Another one.

    Raises:
        DataError: one of them is not there or is no results file.
    """
    (file_a, first), (file_b, second) = _read(a), _read(b)
    same = bool(first.data_fingerprint) and first.data_fingerprint == second.data_fingerprint
    warnings = []
    if not same:
        found = [it.data_fingerprint[:12] or "unknown" for it in (first, second)]
        warnings.append(
            f"the test pairs differ (A {found[0]}, B {found[1]}): a difference may come from the pairs alone"
        )
    if first.benchmark != second.benchmark:
        warnings.append(f"the benchmarks differ: A is {first.benchmark}, B is {second.benchmark}")
    if first.respondents != second.respondents:
        warnings.append(f"A is about {first.respondents} respondents, B about {second.respondents} ones")
    versions = [it.environment.get("synthesizeme", "unknown") for it in (first, second)]
    if versions[0] != versions[1]:
        warnings.append(f"the versions differ: A was made with {versions[0]}, B with {versions[1]}")
    rows_a, rows_b = ({row.name: row for row in it.rows} for it in (first, second))
    rows = []
    for name in dict.fromkeys((*rows_a, *rows_b)):
        before, after = rows_a.get(name), rows_b.get(name)
        kept = [_kept(file, row) for file, row in ((file_a, before), (file_b, after))] if same else []
        rows.append(_row(name, before, after, kept))
    return Diff(
        a=str(file_a), b=str(file_b), benchmark_a=first.benchmark, benchmark_b=second.benchmark,
        same_pairs=same, rows=tuple(rows), warnings=tuple(warnings),
    )  # fmt: skip


def _read(place: Path) -> tuple[Path, Report]:
    file = place / RESULTS if place.is_dir() else place
    try:
        text = file.read_bytes()
    except OSError as error:
        raise DataError(
            f"cannot be read: {error.strerror or error}",
            source=str(file),
            cure="name a results.json, or the folder that `synthesizeme compare --out` wrote",
        ) from None
    return file, Report.from_json(text, source=str(file))


def _kept(file: Path, row: Row | None) -> Outcome | None:
    """The outcome behind a row, if it is kept beside the file and is still the one of the row."""
    if row is None or "/" in row.name:
        return None
    found = read_measurement(measurement_path(file.parent, row.name))
    return found.own if found is not None and found.own.micro == row.micro else None


def _row(name: str, a: Row | None, b: Row | None, kept: list[Outcome | None]) -> DiffRow:
    before, after = a.micro if a else None, b.micro if b else None
    paired = None
    if kept and kept[0] is not None and kept[1] is not None and _same_pairs(kept[0], kept[1]):
        paired = paired_difference(kept[1], kept[0])
    return DiffRow(
        name=name,
        a=before,
        b=after,
        difference=after - before if before is not None and after is not None else None,
        paired=paired,
        gain_a=a.gain if a else None,
        gain_b=b.gain if b else None,
    )


def _same_pairs(a: Outcome, b: Outcome) -> bool:
    asked = [{(pair.pair_id, pair.ties_count) for pair in outcome.pairs} for outcome in (a, b)]
    return asked[0] == asked[1]


def _cells(row: DiffRow) -> list[str]:
    cells = (percent(row.a), percent(row.b), percent(row.difference, "+"))
    more = map(_with_interval, (row.paired, row.gain_a, row.gain_b))
    return [text(row.name), *(cell or ABSENT for cell in (*cells, *more))]


def _with_interval(found: Difference | None) -> str | None:
    if found is None or found.value is None:
        return None
    return f"{percent(found.value, '+')} {span(found.low, found.high, '+')}"

"""From names to a report: `compare` with every control, kept as it goes; `evaluate` at once."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from synthesizeme.comparison.report import report as report_of
from synthesizeme.comparison.runner import Runner, Watcher
from synthesizeme.comparison.systems import Measuring, ModelSystem, Participants
from synthesizeme.comparison.tasks import divided
from synthesizeme.errors import MissingExtraError
from synthesizeme.evaluation.benchmarks import Benchmark, limit_users
from synthesizeme.evaluation.measurement import Measurement, joined
from synthesizeme.evaluation.report import Report, measured_row
from synthesizeme.evaluation.selective import require_pairs
from synthesizeme.judges.by_name import Profiles, Scorers
from synthesizeme.types import PreferencePair


class Measured(NamedTuple):
    """What a measurement found."""

    report: Report
    """The table."""
    measurements: tuple[Measurement, ...]
    """What stands behind its rows, pair by pair."""
    pairs: tuple[PreferencePair, ...]
    """The test pairs."""


def compare(
    benchmark: Benchmark,
    out: Path,
    who: Participants,
    how: Measuring,
    *,
    resplits: int = 0,
    cold_start: bool = True,
    max_error: float | None = None,
    fresh: bool = False,
    watcher: Watcher | None = None,
) -> tuple[Measured, list[Path]]:
    """Measure everyone on the same test pairs, each with its controls; finished work in `out` is kept.

    Args:
        benchmark: What is measured on.
        out: Folder for the report, its figures, and finished work.
        who: Who takes part.
        how: See `Measuring`.
        resplits: Number of seeded re-splits of the pairs within users.
        cold_start: Whether the history-length curve of reward models is measured.
        max_error: The largest error that reward models may promise, if they are to abstain.
        fresh: Whether finished tasks are measured again.
        watcher: Told of every step.

    Returns:
        What was found, and the files that were written.

    Raises:
        DataError: something cannot be written, or `max_error` needs more validation pairs.
    """
    watcher, chosen = watcher or Watcher(), _limited(benchmark, how.max_users)
    tasks = divided(
        chosen,
        benchmark.pairs,
        resplit=resplits,
        cold_start=cold_start and bool(who.classes),
        no_answers=how.no_answers,
        seed=how.settings.seed,
    )
    if max_error is not None:
        for task in tasks.folds:
            validation = sum(pair.split == "validation" for pair in task.fold.history)
            require_pairs(validation, max_error, source=f"{benchmark.name}, {task.name}")
    runner = Runner(chosen, tasks, out, watcher=watcher, fresh=fresh)
    compared = runner.run(who.systems(how, max_error), named=who.names, missing=who.missing)
    model = how.session.model if who.asking and how.session is not None else None
    found = report_of(compared, chosen, tasks, model=f"{model.name} ({model.kind})" if model else "")
    paths = [*found.save(out)]
    if compared.measurements:
        try:
            from synthesizeme.evaluation.figures import draw

            paths += draw(compared.measurements, out / "figures", benchmark=found.benchmark)
        except MissingExtraError as error:
            watcher.left_out("every figure", str(error))
    return Measured(found, tuple(compared.measurements), chosen.test), paths


def evaluate(
    benchmark: Benchmark,
    who: Participants,
    how: Measuring,
    *,
    profiles: Profiles | None = None,
    controls: bool = False,
) -> tuple[Measured, Scorers]:
    """Measure everyone on the benchmark's test pairs and report it.

    Args:
        benchmark: What is measured on.
        who: Who is measured.
        how: See `Measuring`.
        profiles: Profiles made earlier, for judges; None induces them from the history.
        controls: Whether judges and checkpoints are also measured as another user and with swapped labels.

    Returns:
        What was found, and what ran its judges.

    Raises:
        MissingExtraError: a reward model's library is not installed.
        DataError: the data does not carry what somebody needs.
    """
    for name, error in who.missing.items():
        if who.names[name]:
            raise error
    chosen = _limited(benchmark, how.max_users)
    scorers = Scorers(
        chosen,
        how.settings,
        session=how.session,
        profiles=profiles,
        everyone=benchmark.pairs,
        on_label=how.on_label,
        retrieval=how.retrieval,
        saved={it.name: it.model for it in who.checkpoints.values()},
        no_answers=how.no_answers,
    )
    called = {name: who.checkpoints[name].name if name in who.checkpoints else name for name in who.names}
    others = [shown for name, shown in called.items() if name not in {*who.classes, *who.missing}]
    found = scorers.report(others, controls=controls)
    measurements = {it.name: it for it in scorers.measurements}
    if not who.classes:
        return Measured(found, tuple(measurements.values()), chosen.test), scorers
    fitted = _fitted(chosen, benchmark, who, how)
    measurements |= fitted
    rows = {row.name: row for row in found.rows} | {
        name: measured_row(it, pairs=chosen.test, everyone=benchmark.pairs, seed=how.settings.seed)
        for name, it in fitted.items()
    }
    order = [name for name in called.values() if name in rows]
    report = found.model_copy(
        update={
            "rows": tuple(rows[name] for name in order),
            "notes": (*found.notes, *(f"{name}: {note}" for name, it in fitted.items() for note in it.notes)),
            "protocol": f"{found.protocol} Gains of a reward model are over itself without the user.",
        }
    )
    return Measured(report, tuple(measurements[name] for name in order), chosen.test), scorers


def _fitted(
    chosen: Benchmark, benchmark: Benchmark, who: Participants, how: Measuring
) -> dict[str, Measurement]:
    """The reward models, each fitted to the history of every fold and measured on it."""
    tasks = divided(
        chosen, benchmark.pairs, cold_start=False, no_answers=how.no_answers, seed=how.settings.seed
    )
    systems = [ModelSystem(name, it, how.arguments.get(name, {})) for name, it in who.classes.items()]
    return {it.name: joined(it.name, it.kind, list(map(it.measure, tasks.folds))) for it in systems}


def _limited(benchmark: Benchmark, most: int | None) -> Benchmark:
    return limit_users(benchmark, most) if most else benchmark

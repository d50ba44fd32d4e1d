"""What came of a comparison as a report: its rows, what failed, what was left out."""

from __future__ import annotations

from synthesizeme.comparison.runner import Compared
from synthesizeme.comparison.units import Plan
from synthesizeme.evaluation.benchmarks import Benchmark
from synthesizeme.evaluation.report import Report, fingerprint, measured_row


def report(compared: Compared, benchmark: Benchmark, plan: Plan, *, model: str = "") -> Report:
    """The table of a comparison.

    Args:
        compared: What came of it.
        benchmark: What was measured on.
        plan: Its units.
        model: The language model behind the judges, in words; empty without judges.
    """
    everyone, seed = plan.folds[0].everyone, plan.folds[0].seed
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
        notes=(*(plan.notes if with_curve or not plan.halves else ()), *notes),
        failed=compared.failed,
    )

"""Runs entrants unit by unit; what is finished is kept, so that the same command goes on where it stopped."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from synthesizeme.comparison._entrant import Entrant
from synthesizeme.comparison._store import (
    lean,
    measurement_path,
    read_unit,
    unit_facts,
    unit_path,
    write_unit,
)
from synthesizeme.comparison.units import Plan, Unit
from synthesizeme.errors import DataError, MissingExtraError, SynthesizeMeError
from synthesizeme.evaluation.benchmarks import Benchmark
from synthesizeme.evaluation.measurement import Measurement, Part, joined
from synthesizeme.files import write_whole

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Step:
    """One entrant on one unit."""

    entrant: str
    unit: str
    position: int
    """From 1."""
    total: int


class Watcher:
    """Is told how a comparison goes on; this one does nothing."""

    def started(self, step: Step) -> None:
        """A unit is taken up."""

    def finished(self, step: Step, part: Part, *, kept: bool) -> None:
        """A unit is done, or was found finished (`kept`)."""

    def redone(self, step: Step, problem: str) -> None:
        """A finished unit is damaged and will be measured again."""

    def left_out(self, name: str, reason: str) -> None:
        """An entrant has no row, which is no failure."""

    def failed(self, name: str, reason: str) -> None:
        """An entrant has no row because it failed."""


@dataclass
class Compared:
    """What came of a comparison."""

    measurements: list[Measurement] = field(default_factory=list)
    """Of the entrants that have a row, in their order."""
    failed: dict[str, str] = field(default_factory=dict)
    """Why, by name."""
    left_out: dict[str, str] = field(default_factory=dict)
    """Why, by name."""


class Runner:
    """Runs a comparison.

    Args:
        benchmark: What is measured on.
        plan: Its units.
        folder: Where finished units and measurements are kept.
        watcher: Told of every step.
        fresh: Whether finished units are measured again.
    """

    def __init__(
        self,
        benchmark: Benchmark,
        plan: Plan,
        folder: Path,
        *,
        watcher: Watcher | None = None,
        fresh: bool = False,
    ) -> None:
        self.benchmark = benchmark
        self.plan = plan
        self.folder = folder
        self._watcher = watcher or Watcher()
        self._fresh = fresh
        self._done = 0
        self._total = 0

    def run(self, entrants: Sequence[Entrant], *, named: Mapping[str, bool] | None = None) -> Compared:
        """Measure all entrants; one that fails does not stop the others.

        Args:
            entrants: Who is compared.
            named: Whether an entrant was asked for by its own name: a missing extra is then a failure.

        Raises:
            DataError: a finished unit or a measurement cannot be written.
        """
        found = Compared()
        counts = [len(self._units(entrant)) for entrant in entrants]
        self._done, self._total = 0, sum(counts)
        for entrant, count in zip(entrants, counts, strict=True):
            begun = self._done
            if lack := entrant.lacks(self.benchmark, self.plan.folds[0]):
                found.left_out[entrant.name] = lack
                self._watcher.left_out(entrant.name, lack)
            else:
                self._enter(entrant, found, named or {})
            self._done = begun + count
        return found

    def _enter(self, entrant: Entrant, found: Compared, named: Mapping[str, bool]) -> None:
        try:
            measurement = self._measure(entrant)
        except _Unwritten as error:
            raise error.reason from None
        except SynthesizeMeError as error:
            _logger.debug("%s failed", entrant.name, exc_info=True)
            if isinstance(error, MissingExtraError) and not named.get(entrant.name, True):
                found.left_out[entrant.name] = str(error)
                self._watcher.left_out(entrant.name, str(error))
            else:
                found.failed[entrant.name] = str(error)
                self._watcher.failed(entrant.name, str(error))
        else:
            write_whole(measurement_path(self.folder, entrant.name), measurement.model_dump_json() + "\n")
            found.measurements.append(measurement)

    def _units(self, entrant: Entrant) -> tuple[Unit, ...]:
        curve = self.plan.halves if entrant.kind == "reward model" else ()
        return (*self.plan.folds, *self._redrawn(entrant), *curve)

    def _redrawn(self, entrant: Entrant) -> tuple[Unit, ...]:
        """None for a checkpoint: whichever rows it learned from, some re-split asks about them."""
        return () if entrant.kind == "checkpoint" else self.plan.resplits

    def _measure(self, entrant: Entrant) -> Measurement:
        folds = [self._part(entrant, unit) for unit in self.plan.folds]
        redrawn = [self._part(entrant, unit) for unit in self._redrawn(entrant)]
        curve = self.plan.halves if entrant.kind == "reward model" and "no_user" in folds[0].outcomes else ()
        halves = [self._part(entrant, unit) for unit in curve]
        return joined(entrant.name, entrant.kind, folds, resplits=redrawn, halves=halves)

    def _part(self, entrant: Entrant, unit: Unit) -> Part:
        """The unit as it was finished earlier, or measured now."""
        self._done += 1
        step = Step(entrant.name, unit.name, self._done, self._total)
        path, facts = unit_path(self.folder, entrant.name, unit.name), unit_facts(entrant, unit)
        part = None
        if not self._fresh:
            try:
                part = read_unit(path, facts)
            except DataError as error:
                self._watcher.redone(step, str(error))
        if kept := part is not None:
            found = part
        else:
            self._watcher.started(step)
            found = lean(entrant.measure(unit))
            try:
                write_unit(path, facts, found)
            except DataError as error:
                raise _Unwritten(error) from None
        self._watcher.finished(step, found, kept=kept)
        return found


class _Unwritten(Exception):
    """A unit could not be kept: that ends the comparison, not only the entrant."""

    def __init__(self, reason: DataError) -> None:
        super().__init__(str(reason))
        self.reason = reason

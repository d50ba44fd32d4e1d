"""What a comparison asks of everyone who takes part."""

from __future__ import annotations

from typing import Any, Protocol

from synthesizeme.comparison.units import Unit
from synthesizeme.evaluation.benchmarks import Benchmark
from synthesizeme.evaluation.measurement import Kind, Part


class Entrant(Protocol):
    """Something that can be measured unit by unit."""

    @property
    def name(self) -> str:
        """Name on the command line and in the table."""

    @property
    def kind(self) -> Kind:
        """What kind of scorer it is."""

    def facts(self) -> dict[str, Any]:
        """Plain values that its outcomes depend on, besides the pairs."""

    def lacks(self, benchmark: Benchmark, unit: Unit) -> str | None:
        """What the data does not carry that it needs, in words; None if nothing."""

    def measure(self, unit: Unit) -> Part:
        """Measure one unit.

        Raises:
            SynthesizeMeError: it failed.
        """

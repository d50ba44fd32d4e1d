"""A reward model as an entrant: a method, fitted afresh for each unit, or a checkpoint, measured as it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from synthesizeme.comparison.units import Unit
from synthesizeme.evaluation.benchmarks import Benchmark
from synthesizeme.evaluation.measurement import Kind, Part
from synthesizeme.evaluation.personal import measure_curve, measure_fold
from synthesizeme.evaluation.saved import measure_saved
from synthesizeme.evaluation.tables import named

if TYPE_CHECKING:
    from reward_models import RewardModel


@dataclass(frozen=True)
class ModelEntrant:
    """A reward model, made afresh for each unit."""

    name: str
    method: type[RewardModel]
    arguments: Mapping[str, Any] = field(default_factory=dict)
    kind: Kind = "reward model"

    def facts(self) -> dict[str, Any]:
        """Every argument, those left at their default too.

        Raises:
            ConfigError: an argument has an impossible value.
        """
        return {"arguments": self.method(**self.arguments).params()}

    def lacks(self, benchmark: Benchmark, unit: Unit) -> str | None:
        """Nothing: a fold without history is a failure of the fit."""
        return None

    def measure(self, unit: Unit) -> Part:
        """Fit, score, and take away what it knows of the users; or let new users bring their pairs."""
        model = self.method(**self.arguments)
        if unit.kind == "new users":
            return measure_curve(
                model, unit.benchmark, unit.fold, unit.histories, unit.lengths, seed=unit.seed
            )
        part = measure_fold(model, unit.benchmark, unit.fold, seed=unit.seed)
        told = named(model.fit_report())
        if unit.kind != "fold" or not told:
            return part
        return part.model_copy(update={"notes": (*part.notes, f"{unit.name}: {told}")})


@dataclass(frozen=True)
class CheckpointEntrant:
    """A checkpoint of a reward model: its own users' states answer, nothing is fitted."""

    name: str
    model: RewardModel
    sha256: str
    """Digest of the checkpoint."""
    kind: Kind = "checkpoint"

    def facts(self) -> dict[str, Any]:
        """The digest of the checkpoint."""
        return {"checkpoint": self.sha256}

    def lacks(self, benchmark: Benchmark, unit: Unit) -> str | None:
        """Nothing: test pairs that it learned from are a failure."""
        return None

    def measure(self, unit: Unit) -> Part:
        """Score the test pairs, and again with each control."""
        return measure_saved(self.model, unit.benchmark, unit.fold, seed=unit.seed)

"""A reward model as an entrant: a method, fitted afresh for each unit, or a checkpoint, measured as it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from synthesizeme.comparison.units import Unit
from synthesizeme.evaluation.benchmarks import Benchmark
from synthesizeme.evaluation.measurement import Kind, Part
from synthesizeme.evaluation.personal import (
    measure_curve,
    measure_fold,
    measure_saved,
    measure_selection,
    selection_of,
)
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
    max_error: float | None = None
    """The promised error where it is to abstain; it is then fitted once more, on the train rows alone."""

    def facts(self) -> dict[str, Any]:
        """Every argument, those left at their default too, and the promised error.

        Raises:
            ConfigError: an argument has an impossible value.
        """
        return {"arguments": self.method(**self.arguments).params(), **_promised(self.max_error)}

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
        part = measure_fold(model, unit.benchmark, unit.fold, no_answers=unit.no_answers, seed=unit.seed)
        if unit.kind == "fold" and self.max_error is not None:
            again = self.method(**self.arguments)
            found = measure_selection(again, unit.benchmark, unit.fold, self.max_error, seed=unit.seed)
            part = part.model_copy(update={"selection": found})
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
    max_error: float | None = None
    """The promised error where it is to abstain, by validation rows that it did not learn from."""

    def facts(self) -> dict[str, Any]:
        """The digest of the checkpoint, its floor, and the promised error."""
        return {"checkpoint": self.sha256, "floor": self.model.floor, **_promised(self.max_error)}

    def lacks(self, benchmark: Benchmark, unit: Unit) -> str | None:
        """Nothing: test pairs that it learned from are a failure."""
        return None

    def measure(self, unit: Unit) -> Part:
        """Score the test pairs, and again with each control."""
        part = measure_saved(
            self.model, unit.benchmark, unit.fold, no_answers=unit.no_answers, seed=unit.seed
        )
        if unit.kind != "fold" or self.max_error is None:
            return part
        learned = self.model.learned_from
        if learned is None or any(pair.fingerprint in learned for pair in unit.fold.history):
            note = "nothing is promised: it may have learned from the validation rows"
            return part.model_copy(update={"notes": (*part.notes, note)})
        found = selection_of(self.model, unit.benchmark, unit.fold, self.max_error, seed=unit.seed)
        return part.model_copy(update={"selection": found})


def _promised(max_error: float | None) -> dict[str, Any]:
    return {} if max_error is None else {"max_error": max_error}

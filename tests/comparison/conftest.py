from __future__ import annotations

from collections.abc import Callable

import opposites
import pytest

import reward_models
from synthesizeme.backends import Session, open_model
from synthesizeme.comparison.runner import Runner, Watcher
from synthesizeme.comparison.systems import Measuring, participants
from synthesizeme.comparison.tasks import divided
from synthesizeme.induction.one_user import InductionSettings

MODEL = "hierarchical-stylometric"


class Notes(Watcher):
    """Remembers what it is told."""

    def __init__(self):
        self.steps, self.kept, self.damaged, self.missing, self.broken = [], [], [], {}, {}

    def finished(self, step, result, *, kept):
        (self.kept if kept else self.steps).append((step.system, step.task))

    def redone(self, step, problem):
        self.damaged.append((step.system, step.task, problem))

    def left_out(self, name, reason):
        self.missing[name] = reason

    def failed(self, name, reason):
        self.broken[name] = reason


@pytest.fixture
def opposite_tastes():
    return opposites.benchmark()


@pytest.fixture
def counted(monkeypatch) -> list[str]:
    """Names of the methods, one for each fit."""
    fits: list[str] = []
    fit = reward_models.RewardModel.fit
    monkeypatch.setattr(
        reward_models.RewardModel, "fit", lambda self, *told: (fits.append(self.name), fit(self, *told))[1]
    )
    return fits


@pytest.fixture
def run(opposite_tastes, tmp_path) -> Callable[..., object]:
    """Runs systems by name and gives what came of it, and what was told meanwhile."""

    def go(*names, arguments=None, benchmark=opposite_tastes, named=True, fresh=False, watcher=None, **how):
        notes = watcher or Notes()
        tasks = divided(benchmark, **{"cold_start": False, **how})
        who = participants(names)
        with Session(open_model("builtin")) as session:
            measuring = Measuring(InductionSettings(), session, arguments={MODEL: arguments or {}})
            systems = who.systems(measuring)
            runner = Runner(benchmark, tasks, tmp_path / "out", watcher=notes, fresh=fresh)
            return runner.run(systems, named=dict.fromkeys(names, named)), notes

    return go

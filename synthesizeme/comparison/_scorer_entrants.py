"""Judges and references as entrants; `Scorers` runs them."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from typing import Any

from synthesizeme.backends import Session
from synthesizeme.comparison.units import Unit
from synthesizeme.evaluation.benchmarks import Benchmark
from synthesizeme.evaluation.controls import MajorityOfOthers
from synthesizeme.evaluation.measurement import OWN, Kind, Part
from synthesizeme.evaluation.personal import ONE_USER
from synthesizeme.judges.by_name import OnLabel, Scorers
from synthesizeme.judges.names import (
    CONTROLS,
    RetrievalSettings,
    knows_users,
    needs_profiles,
    retrieval_judges,
)
from synthesizeme.personas.workflow import InductionSettings
from synthesizeme.prompts import load_prompt

_RECORDED = ("gpt4", "gpt3")


class ScorerPool:
    """`Scorers` by unit, so that the judges of a comparison share the profiles they need.

    Args:
        settings: How profiles are induced.
        session: The model; needed for judges alone.
        on_label: See `Scorers`.
        retrieval: How retrieval-augmented judges retrieve.
    """

    def __init__(
        self,
        settings: InductionSettings,
        session: Session | None = None,
        on_label: OnLabel | None = None,
        retrieval: RetrievalSettings | None = None,
    ) -> None:
        self.settings = settings
        self.session = session
        self.retrieval = retrieval or RetrievalSettings()
        self._on_label = on_label
        self._made: dict[str, Scorers] = {}

    def of(self, unit: Unit) -> Scorers:
        """The scorers on a unit."""
        if unit.digest not in self._made:
            self._made[unit.digest] = Scorers(
                unit.benchmark,
                self.settings,
                session=self.session,
                everyone=unit.everyone,
                on_label=self._on_label,
                retrieval=self.retrieval,
            )
        return self._made[unit.digest]


@dataclass(frozen=True)
class JudgeEntrant:
    """A judge that asks a language model, knowing more or less of the user."""

    name: str
    pool: ScorerPool
    kind: Kind = "judge"

    def facts(self) -> dict[str, Any]:
        """The model, the prompts, and how profiles are induced.

        Raises:
            PromptError: a prompt cannot be read.
        """
        settings = asdict(self.pool.settings)
        for prompt in ("judge_prompt", "theta"):
            settings[prompt] = load_prompt(settings[prompt]).prompt_id
        facts: dict[str, Any] = {"induction": settings}
        if self.name in retrieval_judges():
            facts["retrieval"] = self.pool.retrieval.facts()
        if self.pool.session is not None:
            model = self.pool.session.model
            facts["model"] = {"name": model.name, **model.settings.facts()}
        return facts

    def lacks(self, benchmark: Benchmark, unit: Unit) -> str | None:
        """Nothing: a fold without history is a failure of the induction."""
        return None

    def measure(self, unit: Unit) -> Part:
        """Judge the test pairs, and again with each control where it knows the user."""
        scorers = self.pool.of(unit)
        induced, started = sum(scorers.induction_seconds.values()), time.perf_counter()
        own, usage = scorers.measured(self.name)
        seconds = time.perf_counter() - started - (sum(scorers.induction_seconds.values()) - induced)
        outcomes = {OWN: own}
        notes: tuple[str, ...] = ()
        if knows_users(self.name):
            alone = len(unit.fold.histories) < 2
            notes = (ONE_USER,) if alone else ()
            outcomes["no_user"] = scorers.outcome("default")
            for knowledge in CONTROLS:
                if not (alone and knowledge == "wrong_user"):
                    outcomes[knowledge] = scorers.control(self.name, knowledge)
        return Part(
            outcomes=outcomes,
            fit_seconds=scorers.induction_seconds.get("own") if needs_profiles(self.name) else None,
            score_seconds=seconds,
            usage=usage,
            notes=notes,
        )


@dataclass(frozen=True)
class ReferenceEntrant:
    """A scorer that asks nobody and knows no user."""

    name: str
    pool: ScorerPool
    kind: Kind = "reference"

    def facts(self) -> dict[str, Any]:
        """Nothing but its name."""
        return {}

    def lacks(self, benchmark: Benchmark, unit: Unit) -> str | None:
        """Recorded verdicts, or other people's choices between the same responses."""
        if self.name == "majority":
            others = MajorityOfOthers(unit.everyone)
            said = (others.verdict(pair.compare("chosen_first")) for pair in benchmark.test)
            return None if any(it.preference != "tie" for it in said) else "no pair was judged by others too"
        if self.name in _RECORDED:
            carried = any((p.metadata.get("llm_judge") or {}).get(self.name) for p in benchmark.test)
            return None if carried else f"no pair records a verdict of {self.name}"
        return None

    def measure(self, unit: Unit) -> Part:
        """Ask about the test pairs."""
        return Part(outcomes={OWN: self.pool.of(unit).outcome(self.name)})

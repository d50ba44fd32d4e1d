"""What is compared, by name: models, checkpoints, judges and references, each measured task by task."""

from __future__ import annotations

import hashlib
import os
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from synthesizeme.backends import Session
from synthesizeme.comparison.tasks import Task
from synthesizeme.errors import ConfigError, MissingExtraError, UnknownNameError
from synthesizeme.evaluation.benchmarks import Benchmark
from synthesizeme.evaluation.controls import MajorityOfOthers
from synthesizeme.evaluation.measurement import OWN, Kind, TaskResult
from synthesizeme.evaluation.personal import (
    ONE_USER,
    measure_curve,
    measure_fold,
    measure_saved,
    measure_selection,
    selection_of,
)
from synthesizeme.evaluation.tables import named
from synthesizeme.induction.one_user import InductionSettings
from synthesizeme.judges.by_name import OnLabel, Scorers
from synthesizeme.judges.names import (
    CONTROLS,
    JUDGES,
    REFERENCES,
    RetrievalSettings,
    knows_users,
    needs_profiles,
    retrieval_judges,
)
from synthesizeme.prompts import load_prompt

if TYPE_CHECKING:
    from reward_models import RewardModel


_RECORDED = ("gpt4", "gpt3")


@dataclass(frozen=True)
class System(ABC):
    """Something that can be measured task by task."""

    name: str
    """Name on the command line and in the table."""
    kind: ClassVar[Kind]

    @abstractmethod
    def measure(self, task: Task) -> TaskResult:
        """Measure one task.

        Raises:
            SynthesizeMeError: it failed.
        """

    def facts(self) -> dict[str, Any]:
        """Plain values that its outcomes depend on, besides its name and the pairs."""
        return {}

    def lacks(self, benchmark: Benchmark, task: Task) -> str | None:
        """What the data does not carry that it needs, in words; None if nothing."""
        return None


@dataclass(frozen=True)
class ModelSystem(System):
    """A reward model, made and fitted afresh for each task."""

    method: type[RewardModel]
    arguments: Mapping[str, Any] = field(default_factory=dict)
    max_error: float | None = None
    """The promised error where it is to abstain; it is then fitted once more, on the train rows alone."""
    kind: ClassVar[Kind] = "reward model"

    def facts(self) -> dict[str, Any]:
        """Every argument, those left at their default too, and the promised error.

        Raises:
            ConfigError: an argument has an impossible value.
        """
        return {"arguments": self.method(**self.arguments).params(), **_promised(self.max_error)}

    def measure(self, task: Task) -> TaskResult:
        """Fit, score, and take away what it knows of the users; or let new users bring their pairs."""
        model, benchmark, fold, seed = self.method(**self.arguments), task.benchmark, task.fold, task.seed
        if task.kind == "new users":
            return measure_curve(model, benchmark, fold, task.histories, task.lengths, seed=seed)
        result = measure_fold(model, benchmark, fold, no_answers=task.no_answers, seed=seed)
        if task.kind != "fold":
            return result
        if self.max_error is not None:
            again = self.method(**self.arguments)
            found = measure_selection(again, benchmark, fold, self.max_error, seed=seed)
            result = result.model_copy(update={"selection": found})
        told = named(model.fit_report())
        return _noted(result, f"{task.name}: {told}") if told else result


@dataclass(frozen=True)
class CheckpointSystem(System):
    """A checkpoint of a reward model: its own users' states answer, nothing is fitted."""

    model: RewardModel
    sha256: str
    """Digest of the checkpoint."""
    max_error: float | None = None
    """The promised error where it is to abstain, by validation rows that it did not learn from."""
    kind: ClassVar[Kind] = "checkpoint"

    def facts(self) -> dict[str, Any]:
        """The digest of the checkpoint, its floor, and the promised error."""
        return {"checkpoint": self.sha256, "floor": self.model.floor, **_promised(self.max_error)}

    def measure(self, task: Task) -> TaskResult:
        """Score the test pairs, and again with each control."""
        result = measure_saved(
            self.model, task.benchmark, task.fold, no_answers=task.no_answers, seed=task.seed
        )
        if task.kind != "fold" or self.max_error is None:
            return result
        learned = self.model.learned_from
        if learned is None or any(pair.fingerprint in learned for pair in task.fold.history):
            return _noted(result, "nothing is promised: it may have learned from the validation rows")
        found = selection_of(self.model, task.benchmark, task.fold, self.max_error, seed=task.seed)
        return result.model_copy(update={"selection": found})


@dataclass(frozen=True)
class Measuring:
    """What a measurement depends on besides who is measured on what."""

    settings: InductionSettings
    """How judges' profiles are induced; its seed is that of every random choice."""
    session: Session | None = None
    """The model; needed for judges alone."""
    retrieval: RetrievalSettings = field(default_factory=RetrievalSettings)
    """How retrieval-augmented judges retrieve."""
    arguments: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Keyword arguments of each reward model."""
    max_users: int | None = None
    """Take only the first so many users."""
    no_answers: int = 0
    """Most test pairs to which reward models are shown texts that are no answers; 0: none."""
    on_label: OnLabel | None = None
    """Told whom the next calls of a judge are about."""


class ScorerPool:
    """`Scorers` by task, so that the judges of a comparison share the profiles they need."""

    def __init__(self, how: Measuring) -> None:
        self.how = how
        self._made: dict[str, Scorers] = {}

    def of(self, task: Task) -> Scorers:
        """The scorers on a task."""
        if task.digest not in self._made:
            self._made[task.digest] = Scorers(
                task.benchmark,
                self.how.settings,
                session=self.how.session,
                everyone=task.everyone,
                on_label=self.how.on_label,
                retrieval=self.how.retrieval,
            )
        return self._made[task.digest]


@dataclass(frozen=True)
class JudgeSystem(System):
    """A judge that asks a language model, knowing more or less of the user."""

    pool: ScorerPool
    kind: ClassVar[Kind] = "judge"

    def facts(self) -> dict[str, Any]:
        """The model, the prompts, and how profiles are induced.

        Raises:
            PromptError: a prompt cannot be read.
        """
        settings = asdict(self.pool.how.settings)
        for prompt in ("judge_prompt", "theta"):
            settings[prompt] = load_prompt(settings[prompt]).prompt_id
        facts: dict[str, Any] = {"induction": settings}
        if self.name in retrieval_judges():
            facts["retrieval"] = self.pool.how.retrieval.facts()
        if self.pool.how.session is not None:
            model = self.pool.how.session.model
            facts["model"] = {"name": model.name, **model.settings.facts()}
        return facts

    def measure(self, task: Task) -> TaskResult:
        """Judge the test pairs, and again with each control where it knows the user."""
        scorers = self.pool.of(task)
        induced, started = sum(scorers.induction_seconds.values()), time.perf_counter()
        own, usage = scorers.measured(self.name)
        seconds = time.perf_counter() - started - (sum(scorers.induction_seconds.values()) - induced)
        outcomes = {OWN: own}
        alone = len(task.fold.histories) < 2
        if knows_users(self.name):
            outcomes["no_user"] = scorers.outcome("default")
            for knowledge in CONTROLS:
                if not (alone and knowledge == "wrong_user"):
                    outcomes[knowledge] = scorers.control(self.name, knowledge)
        return TaskResult(
            outcomes=outcomes,
            fit_seconds=scorers.induction_seconds.get("own") if needs_profiles(self.name) else None,
            score_seconds=seconds,
            usage=usage,
            notes=(ONE_USER,) if alone and knows_users(self.name) else (),
        )


@dataclass(frozen=True)
class ReferenceSystem(System):
    """A scorer that asks nobody and knows no user."""

    pool: ScorerPool
    kind: ClassVar[Kind] = "reference"

    def lacks(self, benchmark: Benchmark, task: Task) -> str | None:
        """Recorded verdicts, or other people's choices between the same responses."""
        if self.name == "majority":
            others = MajorityOfOthers(task.everyone)
            said = (others.verdict(pair.compare("chosen_first")) for pair in benchmark.test)
            return None if any(it.preference != "tie" for it in said) else "no pair was judged by others too"
        if self.name in _RECORDED:
            carried = any((p.metadata.get("llm_judge") or {}).get(self.name) for p in benchmark.test)
            return None if carried else f"no pair records a verdict of {self.name}"
        return None

    def measure(self, task: Task) -> TaskResult:
        """Ask about the test pairs."""
        return TaskResult(outcomes={OWN: self.pool.of(task).outcome(self.name)})


def _promised(max_error: float | None) -> dict[str, Any]:
    return {} if max_error is None else {"max_error": max_error}


def _noted(result: TaskResult, note: str) -> TaskResult:
    return result.model_copy(update={"notes": (*result.notes, note)})


GROUPS = ("all", "models", "judges", "retrieval", "references")
"""Names that stand for several systems."""
USUAL_RETRIEVAL = ("retrieval-bm25", "retrieval-bm25+persona")
"""The retrieval-augmented judges among ``judges`` and ``all``; ``retrieval`` stands for every one."""


@dataclass(frozen=True)
class Participants:
    """Who takes part, as `participants` finds them."""

    names: dict[str, bool]
    """Names in their order; True where the name itself was given, not only its group."""
    classes: dict[str, type[RewardModel]]
    """The reward models among them that can be opened; a variant has the class of its method."""
    checkpoints: dict[str, CheckpointSystem]
    """The checkpoints among them, by path."""
    missing: dict[str, MissingExtraError]
    """Reward models whose extra is not installed."""

    @property
    def asking(self) -> bool:
        """Whether one of them asks a language model."""
        return any(name in JUDGES or name in retrieval_judges() for name in self.names)

    def systems(self, how: Measuring, max_error: float | None = None) -> list[System]:
        """Those that can be measured, in their order.

        Args:
            how: See `Measuring`.
            max_error: The largest error that models and checkpoints may promise, if they are to abstain.
        """
        arguments, pool = how.arguments, ScorerPool(how)
        made: list[System] = []
        for name in self.names:
            if name in self.classes:
                made.append(ModelSystem(name, self.classes[name], arguments.get(name, {}), max_error))
            elif name in self.checkpoints:
                made.append(replace(self.checkpoints[name], max_error=max_error))
            elif name in REFERENCES:
                made.append(ReferenceSystem(name, pool))
            elif name not in self.missing:
                made.append(JudgeSystem(name, pool))
        return made


def participants(
    words: Iterable[str], variants: Mapping[str, str] | None = None, floor: str | None = None
) -> Participants:
    """Who takes part by these names.

    Args:
        words: Names and groups; the folder of a checkpoint is a name.
        variants: The method of each further name of a reward model.
        floor: What checkpoints are to stand on; None leaves each its own floor.

    Raises:
        UnknownNameError: a word is neither a name nor a group, or no floor is called so.
        DataError: a checkpoint cannot be read.
        ConfigError: two checkpoints have the same name.
    """
    from reward_models import method, method_names

    names = system_names(words, variants or ())
    methods = {name: name for name in method_names()} | dict(variants or {})
    classes: dict[str, type[RewardModel]] = {}
    missing: dict[str, MissingExtraError] = {}
    for name in names:
        if name in methods:
            try:
                classes[name] = method(methods[name])
            except MissingExtraError as error:
                missing[name] = error
    return Participants(names, classes, _checkpoints(names, floor), missing)


def system_names(words: Iterable[str], variants: Iterable[str] = ()) -> dict[str, bool]:
    """Names in the order given, groups resolved; True where the name itself was given, not only its group.

    Args:
        words: See `participants`.
        variants: Further names of reward models, which the group ``models`` then also holds.

    Raises:
        UnknownNameError: a word is neither a name nor a group; lists all there are.
    """
    from reward_models import method_names

    models = (*method_names(), *variants)
    judges, retrieving = (*JUDGES, *USUAL_RETRIEVAL), retrieval_judges()
    members = {"models": models, "judges": judges, "retrieval": retrieving, "references": REFERENCES}
    members["all"] = (*models, *judges, *REFERENCES)
    known = {*members["all"], *retrieving}
    found: dict[str, bool] = {}
    for word in words:
        if word not in members and word not in known and not is_checkpoint(word):
            raise UnknownNameError("scorer", word, (*GROUPS, *known))
        for name in members.get(word, (word,)):
            found[name] = found.get(name, False) or word not in members
    return found


def is_checkpoint(name: str) -> bool:
    """Whether a name is a path, which nothing else here is: a checkpoint's folder."""
    return os.sep in name or Path(name, "model.json").is_file()


def _checkpoints(names: Iterable[str], floor: str | None) -> dict[str, CheckpointSystem]:
    """The checkpoints among `names`, by path; each is called ``FOLDER (METHOD)``."""
    import reward_models

    found: dict[str, CheckpointSystem] = {}
    for path in filter(is_checkpoint, names):
        model = reward_models.load(path)
        if floor is not None:
            model.stand_on(floor)
        name = f"{Path(path).resolve().name} ({model.name})"
        if name in {it.name for it in found.values()}:
            raise ConfigError(f"two checkpoints are called {name!r}; give the folders different names")
        digest = hashlib.sha256(Path(path, "model.json").read_bytes()).hexdigest()
        found[path] = CheckpointSystem(name, model, digest)
    return found

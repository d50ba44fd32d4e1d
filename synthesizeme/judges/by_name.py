"""Scorers by name on a benchmark: judges with more or less of a profile, and what they are held against."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from typing import Any, Protocol

from synthesizeme.backends import Ledger, Session
from synthesizeme.errors import ConfigError, DataError
from synthesizeme.evaluation.benchmarks import Benchmark, run_benchmark
from synthesizeme.evaluation.controls import (
    LongerResponse,
    MajorityOfOthers,
    OracleScorer,
    RandomScorer,
    RecordedVerdicts,
    another_users,
    swapped,
)
from synthesizeme.evaluation.folds import Fold
from synthesizeme.evaluation.harness import Outcome
from synthesizeme.evaluation.measurement import Condition, Kind, Measurement, joined
from synthesizeme.evaluation.personal import measure_saved
from synthesizeme.evaluation.report import Report, Row, fingerprint, row
from synthesizeme.judges import LLMJudge, memory_profile
from synthesizeme.judges.names import (
    CONTROLS,
    JUDGES,
    REFERENCES,
    RetrievalSettings,
    asks_model,
    check_scorers,
    described_by,
    has_controls,
    needs_profiles,
    retrieval_judges,
    takes_persona,
)
from synthesizeme.pairs import by_user
from synthesizeme.profile import UserProfile
from synthesizeme.prompts import load_prompt
from synthesizeme.scoring import PairwiseScorer, SavedScorer
from synthesizeme.types import PreferencePair, Usage

Profiles = Mapping[str, UserProfile]
OnLabel = Callable[[str, int, int], None]


class Induces(Protocol):
    """A method that makes a profile of one user's pairs."""

    def fit(self, rows: Sequence[PreferencePair], /, *, ledger: Ledger) -> UserProfile:
        """The profile; calls are counted by the ledger."""


class Settings(Protocol):
    """How profiles are induced, and judges asked."""

    @property
    def seed(self) -> int:
        """Seed of every random choice."""

    @property
    def judge_prompt(self) -> str:
        """Name or path of the judge prompt."""

    def method(self, session: Session) -> Induces:
        """What induces a profile."""


def refuse_known_pairs(profiles: Mapping[str, UserProfile], test: Sequence[PreferencePair]) -> None:
    """Refuse to measure a profile on pairs that it was made from.

    Raises:
        DataError: a test pair was a train or validation pair of its user's profile, or is shown in it.
    """
    for user_id, pairs in by_user(test).items():
        pair_ids = {pair.pair_id for pair in pairs}
        if user_id in profiles and (known := pair_ids & _learned_from(profiles[user_id])):
            raise DataError(
                f"the profile of user {user_id[:60]!r} was made from {len(known)} of the {len(pair_ids)} "
                f"test pairs of that user as train or validation pairs, e.g. {min(known)[:60]!r}",
                field="profiles",
                cure="induce it from a file with the splits of this benchmark, or leave the profiles out to "
                "have them induced from the benchmark's own history",
            )


def _learned_from(profile: UserProfile) -> set[str]:
    """Ids of the pairs that a profile was made from."""
    splits = profile.provenance.splits if profile.provenance else {}
    shown = {demonstration.comparison.pair_id for demonstration in profile.demonstrations}
    return shown | {pair_id for pair_id, split in splits.items() if split != "test"}


class Scorers:
    """Runs scorers by name on one benchmark; profiles are induced once a fold, when first needed.

    Args:
        benchmark: Pairs and protocol.
        settings: How profiles are induced.
        session: The model; needed for judges alone.
        profiles: Profiles made earlier, from other pairs than those of the test; a user without one is
            then a `Failure`. None induces them from each fold's history, and a user without history is
            judged as anybody.
        everyone: Pairs whose owners count as the others of `majority`; the benchmark's own by default.
        on_label: Told what the next calls are about: a user or the benchmark, its position from 1, how many.
        retrieval: How retrieval-augmented judges retrieve.
        saved: Reward models that were trained earlier, by name; they are measured as they are.
        no_answers: Most test pairs to which these are shown texts that are no answers, on the first fold
            alone; 0: none.
    """

    def __init__(
        self,
        benchmark: Benchmark,
        settings: Settings,
        *,
        session: Session | None = None,
        profiles: Profiles | None = None,
        everyone: Sequence[PreferencePair] = (),
        on_label: OnLabel | None = None,
        retrieval: RetrievalSettings | None = None,
        saved: Mapping[str, SavedScorer] | None = None,
        no_answers: int = 0,
    ) -> None:
        self.benchmark = benchmark
        self.settings = settings
        self.induction_usage = Usage()
        self.induction_seconds: dict[Condition, float] = {}
        self.measurements: list[Measurement] = []
        """What the last `report` measured, in the order of its rows."""
        self._session = session
        self._given = profiles
        self._everyone = everyone or benchmark.pairs
        self._on_label = on_label or (lambda name, position, total: None)
        self._retrieval = retrieval or RetrievalSettings()
        self._saved = dict(saved or {})
        self._no_answers = no_answers
        self._induced: dict[tuple[str, Condition], Profiles] = {}
        self._measured: dict[str, tuple[Outcome, Usage | None]] = {}

    def outcome(self, name: str) -> Outcome:
        """How one scorer did, pair by pair; measured once.

        Raises:
            UnknownNameError: the name is no scorer.
            DataError: the data does not carry what the scorer needs, or a profile was made from test pairs.
        """
        return self.measured(name)[0]

    def measured(self, name: str) -> tuple[Outcome, Usage | None]:
        """`outcome` with the model calls it took, those of the induction aside; None for a reference.

        Raises:
            UnknownNameError: the name is no scorer.
            DataError: the data does not carry what the scorer needs, or a profile was made from test pairs.
        """
        self._check([name])
        return self._measure(name)

    def with_retrieval(self, retrieval: RetrievalSettings) -> Scorers:
        """The same scorers retrieving otherwise; they share the profiles that were induced."""
        other = copy(self)
        other._retrieval, other._measured = retrieval, {}
        return other

    def control(self, name: str, condition: Condition) -> Outcome:
        """How a judge that knows users does when it knows something else than the user's own history.

        Raises:
            DataError: for ``wrong_user``, if only one user has a history.
        """
        return self._run(name, condition)[0]

    def report(self, names: Sequence[str], *, controls: bool = False) -> Report:
        """Run scorers and report them, the gain being over ``default`` where that is among them.

        Args:
            names: Of `JUDGES`, `retrieval_judges`, `REFERENCES` and the saved models.
            controls: Run each judge and saved model that knows the user also with another user's profile or
                state and with the user's labels swapped.

        Raises:
            UnknownNameError: a name is no scorer.
            DataError: the data does not carry what a scorer needs, or a profile or model was made from test
                pairs.
        """
        names = list(dict.fromkeys(names))
        self._check([name for name in names if name not in self._saved])
        reference = self._measure("default")[0] if "default" in names else None
        measured = [
            self._measure_saved(name, controls)
            if name in self._saved
            else self._measure_named(name, controls, reference)
            for name in names
        ]
        rows = tuple(self._row(it, reference) for it in measured)
        self.measurements = measured
        saved = [it for it in measured if it.kind == "checkpoint"]
        protocol = self.benchmark.protocol
        if any(it.kind == "judge" for it in measured) and self._session is not None:
            model = self._session.model
            protocol += f" Judge: {model.name} ({model.kind})."
        protocol += " Gains are over default." if reference is not None else ""
        protocol += " Gains of a saved model are over itself without the user." if saved else ""
        return Report(
            benchmark=self.benchmark.name,
            protocol=protocol,
            rows=rows,
            respondents=self.benchmark.respondents,
            data_fingerprint=fingerprint(self.benchmark.test),
            notes=tuple(f"{it.name}: {note}" for it in saved for note in it.notes),
        )

    def _measure_saved(self, name: str, controls: bool) -> Measurement:
        parts = [
            measure_saved(
                self._saved[name],
                self.benchmark,
                fold,
                controls=controls,
                no_answers=0 if number else self._no_answers,
                seed=self.settings.seed,
            )
            for number, fold in enumerate(self.benchmark.folds)
        ]
        return joined(name, "checkpoint", parts)

    def _measure_named(self, name: str, controls: bool, reference: Outcome | None) -> Measurement:
        own, usage = self._measure(name)
        found: dict[str, Outcome] = {}
        if controls and has_controls(name) and self._given is None:
            found = {"no_user": reference} if reference is not None else {}
            found |= {condition: self.control(name, condition) for condition in CONTROLS}
        kind: Kind = "judge" if asks_model(name) else "reference"
        return Measurement(name=name, kind=kind, own=own, controls=found, usage=usage)

    def _row(self, found: Measurement, reference: Outcome | None) -> Row:
        """The row of a measurement; its gain is over `reference`, that of a saved model over itself."""
        against = found.controls.get("no_user") if found.kind == "checkpoint" else reference
        return row(
            found.name,
            found.own,
            against=None if against is found.own else against,
            controls=found.controls,
            usage=found.usage,
            seed=self.settings.seed,
            no_answers=found.no_answers,
        )

    def _check(self, names: Sequence[str]) -> None:
        check_scorers(names)
        if self._given is not None and any(map(needs_profiles, names)):
            refuse_known_pairs(self._given, self.benchmark.test)

    def _measure(self, name: str) -> tuple[Outcome, Usage | None]:
        if name not in self._measured:
            self._measured[name] = self._run(name, "own")
        return self._measured[name]

    def _run(self, name: str, condition: Condition) -> tuple[Outcome, Usage | None]:
        ledger = None if name in REFERENCES else self.ledger()

        def make(fold: Fold) -> PairwiseScorer:
            return self.scorer(name, fold, condition, ledger)

        outcome = run_benchmark(self.benchmark, make, seed=self.settings.seed)
        if ledger is None:
            return outcome, None
        return outcome.model_copy(update={"scorer": name}), ledger.usage

    def scorer(
        self, name: str, fold: Fold, condition: Condition = "own", ledger: Ledger | None = None
    ) -> PairwiseScorer:
        """The scorer of that name, with what it may know of the users of a fold.

        Args:
            name: See `report`.
            fold: Of the benchmark.
            condition: Whose history a judge that knows users is told; profiles are induced as needed.
            ledger: Through which a judge asks; by default a fresh one.

        Raises:
            ConfigError: it needs a model or an encoder and there is none.
            DataError: the data does not carry what the scorer needs.
        """
        if name in REFERENCES:
            return self._reference(name)
        return self._judge(ledger or self.ledger(), name, fold, condition)

    def ledger(self) -> Ledger:
        """A fresh ledger with the model.

        Raises:
            ConfigError: there is none.
        """
        if self._session is None:
            raise ConfigError(f"the scorers {', '.join(JUDGES)} and those that retrieve need a model")
        return self._session.ledger()

    def _reference(self, name: str) -> PairwiseScorer:
        test = self.benchmark.test
        if name == "longer":
            return LongerResponse()
        if name == "random":
            return RandomScorer(self.settings.seed)
        if name == "oracle":
            return OracleScorer(test)
        return MajorityOfOthers(self._everyone) if name == "majority" else RecordedVerdicts(test, name)

    def _judge(self, ledger: Ledger, name: str, fold: Fold, condition: Condition) -> LLMJudge:
        retrieves = name in retrieval_judges()
        profiles = self._profiles("persona" if takes_persona(name) else name, fold, condition)
        self._on_label(self.benchmark.name, 1, 1)
        options: dict[str, Any] = {
            "profiles": profiles,
            "prompt": load_prompt(self.settings.judge_prompt),
            "name": f"evaluating {name}",
            "unknown_user": "default" if self._given is None else "refuse",
        }
        if not retrieves:
            return LLMJudge(ledger, **options)
        histories = self._known_histories(fold, condition)
        options |= {"describe": described_by((*fold.history, *fold.test)), "seed": self.settings.seed}
        return self._retrieval.judge(name, ledger, histories, **options)

    def _profiles(self, name: str, fold: Fold, condition: Condition) -> Profiles | None:
        if name == "memory":
            return self._memories(fold, condition)
        if not needs_profiles(name):
            return None
        whole = self._given if self._given is not None else self._fold_profiles(fold, condition)
        without_persona, without_demonstrations = name == "demonstrations", name == "persona"
        users = dict.fromkeys(pair.user_id for pair in fold.test)
        return {
            user: whole[user].without(persona=without_persona, demonstrations=without_demonstrations)
            for user in users
            if user in whole
        }

    def _memories(self, fold: Fold, condition: Condition) -> Profiles:
        histories = self._known_histories(fold, condition)
        return {
            user: memory_profile(user, pairs, seed=self.settings.seed) for user, pairs in histories.items()
        }

    def _known_histories(self, fold: Fold, condition: Condition) -> dict[str, list[PreferencePair]]:
        """Past pairs as a judge is told of them: the user's own, another user's, or with labels swapped."""
        found = _histories(fold)
        if condition == "swapped_labels":
            return {user: swapped(pairs) for user, pairs in found.items()}
        return another_users(found, self.settings.seed) if condition == "wrong_user" else found

    def _fold_profiles(self, fold: Fold, condition: Condition) -> Profiles:
        key = (fold.name, condition)
        if key not in self._induced:
            if condition == "wrong_user":
                self._induced[key] = another_users(self._fold_profiles(fold, "own"), self.settings.seed)
            else:
                self._induced[key] = self._induce(fold, reverse=condition == "swapped_labels")
        return self._induced[key]

    def _induce(self, fold: Fold, *, reverse: bool) -> Profiles:
        """Profiles of the fold's test users from its history."""
        if self._session is None:
            raise ConfigError("inducing profiles needs a model")
        method, histories = self.settings.method(self._session), _histories(fold)
        profiles, started = {}, time.perf_counter()
        for number, (user, pairs) in enumerate(histories.items(), 1):
            self._on_label(user, number, len(histories))
            ledger = self._session.ledger()
            profiles[user] = method.fit(swapped(pairs) if reverse else pairs, ledger=ledger)
            self.induction_usage += ledger.usage
        condition: Condition = "swapped_labels" if reverse else "own"
        seconds = self.induction_seconds.get(condition, 0.0) + time.perf_counter() - started
        self.induction_seconds[condition] = seconds
        return profiles


def _histories(fold: Fold) -> dict[str, list[PreferencePair]]:
    """Past pairs of every user that the fold asks about.

    Raises:
        DataError: nobody asked about has any.
    """
    found = fold.histories
    if not found:
        raise DataError(
            f"fold {fold.name!r} has no train or validation pair of any user it asks about",
            field="split",
            cure="draw splits with `synthesizeme data split`, or give profiles made earlier",
        )
    return found

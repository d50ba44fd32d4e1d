"""One user, end to end: split the pairs, induce the profile, measure it on the held-out pairs."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import CancelledError
from dataclasses import dataclass, field, replace
from typing import Any

from synthesizeme.backends import Ledger, Session
from synthesizeme.datasets import assign_splits
from synthesizeme.errors import (
    BackendError,
    BudgetError,
    CacheError,
    ConfigError,
    CredentialError,
    DataError,
    StoreError,
    SynthesizeMeError,
    UnreadableError,
)
from synthesizeme.evaluation.harness import Outcome, evaluate, pool
from synthesizeme.evaluation.report import Report, row
from synthesizeme.judges import LLMJudge, demographics_profile, memory_profile
from synthesizeme.pairs import check_single_source
from synthesizeme.personas.beside import NOTHING, Beside
from synthesizeme.personas.budget import CallBudget, Effort, Search, divide_calls
from synthesizeme.personas.cautions import measured, with_cautions
from synthesizeme.personas.synthesize_me import SynthesizeMe
from synthesizeme.profile import UserProfile
from synthesizeme.profiles.store import InductionRecord
from synthesizeme.prompts import load_prompt
from synthesizeme.types import PreferencePair, Respondents, Usage, respondents

STOPS = (ConfigError, CredentialError, StoreError, CancelledError)
"""What no user is to blame for: the run ends."""
_SHOWN = 500
_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class InductionSettings:
    """How users are induced and measured."""

    effort: Effort = "medium"
    """See `budget.call_limit`."""
    search: Search = "economical"
    """``economical`` or ``paper``."""
    seed: int = 0
    """Seed of splits and of every other random choice."""
    judge_prompt: str = "judge/default"
    """Name or path of the judge prompt."""
    theta: str = "persona/default"
    """Name or path of the persona-writing prompt."""
    evaluate: bool = True
    """Whether the judges are measured on test pairs."""
    neighbours: int = 0
    """Other users whose personas are tried beside the own one, at most."""
    baselines: bool = False
    """Whether memory and demographics are measured too."""
    evidence_model: str | None = None
    """Where evidence for the persona writer comes from, for the record; None where there is none."""

    def method(self, session: Session, budget_calls: int | None = None) -> SynthesizeMe:
        """The method with these settings; the paper's search knows no budget and gets none."""
        kept = budget_calls if self.search == "economical" else None
        return SynthesizeMe(
            session, effort=self.effort, search=self.search, seed=self.seed, budget_calls=kept,
            judge_prompt=self.judge_prompt, theta=self.theta, evidence_model=self.evidence_model,
        )  # fmt: skip


@dataclass(frozen=True)
class UserResult:
    """The profile of one user, how judges did with it on the test pairs, and what both took."""

    profile: UserProfile
    """What was learned."""
    pairs: Mapping[str, int]
    """Number of pairs in each split."""
    usage: Usage
    """Calls of the induction alone."""
    call_limit: int
    """Distinct calls that the induction might have made."""
    evaluation_usage: Usage = field(default_factory=Usage)
    """Calls of the evaluation."""
    outcomes: Mapping[str, Outcome] = field(default_factory=dict)
    """How each judge did on the test pairs: default, persona, demonstrations, both, ..."""
    respondents: Respondents = "human"
    """Who chose in the user's pairs: a person, or a simulation."""
    evaluation_error: str | None = None
    """Why the evaluation broke off; the profile is whole nevertheless."""
    notes: tuple[str, ...] = ()
    """Anything a reader should know, the profile's own notes among them."""

    @property
    def user_id(self) -> str:
        """Whose result it is."""
        return self.profile.user_id

    def record(self, settings: str = "") -> InductionRecord:
        """The result as a store keeps it, without a check for drift; `settings` is their fingerprint."""
        written = self.profile.provenance
        scores = {name: list(found.scores.values()) for name, found in self.outcomes.items()}
        unanswered = (found.failures for found in self.outcomes.values())
        return InductionRecord(
            state="done", pairs=sum(self.pairs.values()), settings=settings,
            usage=self.usage + self.evaluation_usage,
            accuracy={name: (sum(found), len(found)) for name, found in scores.items()},
            unanswered=added(written.failures if written else {}, *unanswered),
        )  # fmt: skip

    def report(self, *, seed: int) -> Report:
        """How each judge did, with everything that was counted; gains are over the default judge."""
        reference = self.outcomes.get("default")
        rows = tuple(
            row(name, outcome, against=None if outcome is reference else reference, seed=seed)
            for name, outcome in self.outcomes.items()
        )
        protocol = "Held-out pairs of one user, both orders; a tie counts half. Gains are over default."
        return Report(
            benchmark=f"test pairs of {self.user_id}",
            protocol=protocol,
            rows=rows,
            respondents=self.respondents,
        )


def pooled_outcomes(results: Sequence[UserResult]) -> dict[str, Outcome]:
    """Outcomes of the users joined, for each judge; none where some are people and others simulations."""
    if len({result.respondents for result in results if result.outcomes}) > 1:
        return {}
    names = dict.fromkeys(name for result in results for name in result.outcomes)
    return {name: pool(it.outcomes[name] for it in results if name in it.outcomes) for name in names}


@dataclass(frozen=True)
class UserDone:
    """What became of one user of many."""

    user_id: str
    """Who."""
    record: InductionRecord | None
    """How the induction ended; None when there was nothing to do, or the user was left."""
    result: UserResult | None = None
    """What was learned and measured."""
    unreachable: bool = False
    """Whether the model gave no answers, to the induction or to the evaluation."""
    stopped: str | None = None
    """Why the user was left for another run: the budget is used up, or no reply can be kept."""
    usage: Usage = field(default_factory=Usage)
    """What was spent beside the record: on a user that was left, or that another process finished first."""

    @property
    def profile(self) -> UserProfile | None:
        """What was learned."""
        return None if self.result is None else self.result.profile

    @property
    def error(self) -> str:
        """Why it failed, or the evaluation did; nothing if neither did."""
        if self.result is not None:
            return self.result.evaluation_error or ""
        return "" if self.record is None else self.record.error


def induce_user(
    session: Session,
    pairs: Sequence[PreferencePair],
    settings: InductionSettings,
    *,
    budget_calls: int | None = None,
    ledger: Ledger | None = None,
    evaluation: Ledger | None = None,
    beside: Beside = NOTHING,
    split_rule: str | None = None,
) -> UserResult:
    """Induce the profile of the one user whose pairs these are, and measure it on the test pairs.

    Test pairs of people and of simulations together are not measured on, and a note says so.

    Args:
        session: The model.
        pairs: The user's; those without a split get a seeded one.
        settings: How.
        budget_calls: Most distinct calls of induction and evaluation, divided by `plan_calls`.
        ledger: Counts the calls of the induction.
        evaluation: Counts those of the evaluation.
        beside: What is known of the user beside choices, and of what others choose.
        split_rule: How the splits in the pairs came about, for the record; by default that is found out.

    Raises:
        DataError: pairs of several users, with a split in some rows only, or with survey answers that
            cannot be read where they are needed; evidence on other pairs.
        ConfigError: the budget is too small.
        BudgetError, CacheError: a cap of the session is reached; replies cannot be kept.
        UnreadableError: most replies of the model cannot be read.
        BackendError: the model cannot be reached by the induction; of the evaluation the result says so.
    """
    ledger, evaluation = ledger or session.ledger(), evaluation or session.ledger()
    split, rule = assign_splits(pairs, seed=settings.seed)
    history, test = _halves(split)
    planned = plan_calls(split, settings, budget_calls)
    method = settings.method(session, planned.budget)
    profile = method.fit(split, split_rule=split_rule or rule, ledger=ledger, **vars(beside))
    judged = judged_profiles(profile, history, settings) if planned.evaluation else {}
    outcomes, error = _measured(evaluation, judged, test, settings)
    notes = list(profile.provenance.notes if profile.provenance else ())
    notes += [planned.note] if planned.note and not judged else []
    notes += [f"the evaluation failed, the profile is whole: {error}"] if error else []
    return UserResult(
        profile=with_cautions(profile, measured(outcomes["both"])) if outcomes else profile,
        pairs={name: sum(p.split == name for p in split) for name in ("train", "validation", "test")},
        usage=ledger.usage,
        call_limit=planned.induction,
        evaluation_usage=evaluation.usage,
        outcomes=outcomes,
        respondents=respondents(test if outcomes else split),
        evaluation_error=error, notes=tuple(notes),
    )  # fmt: skip


def attempt(
    user_id: str,
    induce: Callable[[], tuple[UserResult, InductionRecord]],
    failed: Callable[[Exception], InductionRecord],
) -> UserDone:
    """Induce one user of many: what goes wrong is the user's failure, unless no user is to blame for it.

    Args:
        user_id: Who.
        induce: Does it, and says how it ended.
        failed: What is known of a failure.

    Raises:
        Exception: one of `STOPS`.
        UnreadableError: most replies of the model cannot be read; says about which user it was asked.
    """
    try:
        result, record = induce()
    except (BudgetError, CacheError) as error:
        return UserDone(user_id, None, stopped=str(error))
    except STOPS:
        raise
    except UnreadableError as error:
        raise error.about(user_id) from error
    except Exception as error:
        _logger.debug("user %r failed", user_id, exc_info=True)
        return UserDone(user_id, failed(error), unreachable=isinstance(error, BackendError))
    return UserDone(user_id, record, result, unreachable=result.evaluation_error is not None)


def induce_given_user(
    session: Session,
    pairs: Sequence[PreferencePair],
    settings: InductionSettings,
    *,
    budget_calls: int | None = None,
    beside: Beside = NOTHING,
) -> UserDone:
    """`induce_user` as one of many; see `attempt`."""
    ledger, evaluation = session.ledger(), session.ledger()

    def induce() -> tuple[UserResult, InductionRecord]:
        result = induce_user(
            session, pairs, settings,
            budget_calls=budget_calls, ledger=ledger, evaluation=evaluation, beside=beside,
        )  # fmt: skip
        return result, result.record()

    def failed(error: Exception) -> InductionRecord:
        return failure(error, len(pairs), usage=ledger.usage + evaluation.usage)

    found = attempt(pairs[0].user_id, induce, failed)
    return replace(found, usage=ledger.usage + evaluation.usage) if found.stopped else found


def failure(error: Exception, pairs: int, settings: str = "", **known: Any) -> InductionRecord:
    """The record of an induction that failed; only a fault of the program has its type named."""
    name = "" if isinstance(error, SynthesizeMeError) else f"{type(error).__name__}: "
    said = " ".join(f"{name}{error}".split())[:_SHOWN]
    return InductionRecord(state="failed", pairs=pairs, settings=settings, error=said, **known)


def added(*counts: Mapping[str, int]) -> dict[str, int]:
    """Counts of the same things, together.

    >>> added({"parse": 1}, {"refusal": 1, "parse": 2})
    {'parse': 3, 'refusal': 1}
    """
    return {name: sum(some.get(name, 0) for some in counts) for name in sorted(set().union(*counts))}


def judged_profiles(
    profile: UserProfile, history: Sequence[PreferencePair], settings: InductionSettings
) -> dict[str, UserProfile | None]:
    """What each measured judge knows of the user, by the judge's name; None knows nobody."""
    judged: dict[str, UserProfile | None] = {
        "default": None,
        "persona": profile.without(demonstrations=True),
        "demonstrations": profile.without(persona=True),
        "both": profile,
    }
    if settings.baselines:
        judged["memory"] = memory_profile(profile.user_id, history, seed=settings.seed)
        demographics = demographics_profile(profile.user_id, history)
        if demographics is not None:
            judged["demographics"] = demographics
    return judged


def evaluation_calls(judged: Mapping[str, UserProfile | None], n_test: int) -> int:
    """Distinct calls that measuring these judges takes, at most: each prompt, each sample, each order."""
    shown = [known or UserProfile(user_id="") for known in judged.values()]
    different = {
        (it.persona, it.demonstrations, call)
        for it in shown
        for call in range(it.averaging.calls if it.averaging else 1)
    }
    return len(different) * 2 * n_test


def plan_calls(
    split: Sequence[PreferencePair], settings: InductionSettings, budget_calls: int | None = None
) -> CallBudget:
    """How one user's calls are divided between induction and evaluation, before any is made.

    Test pairs of people and of simulations together are not measured on; the note says so.

    Raises:
        DataError: the survey answers that a baseline needs cannot be read.
        ConfigError: the budget is too small.
    """
    history, test = _halves(split)
    n_train = sum(pair.split == "train" for pair in history)
    apart = _mixture(test) if settings.evaluate else None
    evaluates, wanted = settings.evaluate and apart is None, 0
    if evaluates and test:
        wanted = evaluation_calls(
            judged_profiles(UserProfile(user_id=split[0].user_id), history, settings), len(test)
        )
    planned = divide_calls(
        n_train, len(history) - n_train, len(test), wanted,
        effort=settings.effort, search=settings.search, neighbours=settings.neighbours,
        evaluate=evaluates, budget_calls=budget_calls,
    )  # fmt: skip
    return planned if apart is None else replace(planned, note=apart)


def _mixture(test: Sequence[PreferencePair]) -> str | None:
    """Why these pairs are not measured on together, if they are not."""
    try:
        check_single_source(test)
    except DataError as refused:
        return f"not measured: {refused}"
    return None


def _halves(split: Sequence[PreferencePair]) -> tuple[list[PreferencePair], list[PreferencePair]]:
    """What a judge may know, and what it is asked."""
    history = [pair for pair in split if pair.split != "test"]
    return history, [pair for pair in split if pair.split == "test"]


def _measured(
    ledger: Ledger,
    judged: Mapping[str, UserProfile | None],
    test: Sequence[PreferencePair],
    settings: InductionSettings,
) -> tuple[dict[str, Outcome], str | None]:
    """How each judge does, and why that broke off, if it did: then nothing is said of any judge."""
    prompt = load_prompt(settings.judge_prompt)
    outcomes = {}
    try:
        for name, known in judged.items():
            profiles = None if known is None else {known.user_id: known}
            judge = LLMJudge(ledger, profiles, prompt=prompt, name=f"evaluating {name}")
            outcome = evaluate(judge, test, seed=settings.seed)
            outcomes[name] = outcome.model_copy(update={"scorer": name})
    except (BudgetError, CacheError, UnreadableError):
        raise
    except SynthesizeMeError as problem:
        return {}, str(problem)
    return outcomes, None

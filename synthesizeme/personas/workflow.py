"""One user or many, end to end: split the pairs, induce the profile, measure it on the held-out pairs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from synthesizeme.backends import Account, Session
from synthesizeme.datasets import assign_splits
from synthesizeme.errors import BackendError, ConfigError, CredentialError, SynthesizeMeError
from synthesizeme.evaluation.harness import Outcome, evaluate
from synthesizeme.evaluation.report import Report, row
from synthesizeme.judges import LLMJudge, demographics_profile, memory_profile
from synthesizeme.personas.paper_search import TRIALS
from synthesizeme.personas.plan import LEAST_CALLS, Effort, make_plan
from synthesizeme.personas.synthesize_me import LEAST_PAIRS, Search, SynthesizeMe
from synthesizeme.profile import UserProfile
from synthesizeme.types import PreferencePair, Usage

PERSONA_ATTEMPTS = 2
"""Most calls that one persona takes."""
UNREACHABLE_USERS = 2
"""Users in a row whose model cannot be reached before the others are not tried any more."""


@dataclass(frozen=True)
class InductionSettings:
    """How users are induced and measured."""

    effort: Effort = "medium"
    """See `plan.call_limit`."""
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
    baselines: bool = False
    """Whether memory and demographics are measured too."""

    def method(self, session: Session, budget_calls: int | None = None) -> SynthesizeMe:
        """The method with these settings."""
        return SynthesizeMe(
            session, effort=self.effort, search=self.search, seed=self.seed, budget_calls=budget_calls,
            judge_prompt=self.judge_prompt, theta=self.theta,
        )  # fmt: skip


@dataclass(frozen=True)
class UserResult:
    """What came of one user."""

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
    notes: tuple[str, ...] = ()
    """Anything a reader should know, the profile's own notes among them."""

    @property
    def user_id(self) -> str:
        """Whose result it is."""
        return self.profile.user_id

    def report(self, *, seed: int) -> Report:
        """How each judge did, with everything that was counted; gains are over the default judge."""
        reference = self.outcomes.get("default")
        rows = tuple(
            row(name, outcome, against=None if outcome is reference else reference, seed=seed)
            for name, outcome in self.outcomes.items()
        )
        protocol = "Held-out pairs of one user, both orders; a tie counts half. Gains are over default."
        return Report(benchmark=f"test pairs of {self.user_id}", protocol=protocol, rows=rows)


@dataclass(frozen=True)
class UserFailure:
    """A user whose induction failed, among others that may have gone well."""

    user_id: str
    """Who."""
    error: str
    """Why."""


def induce_user(
    session: Session,
    pairs: Sequence[PreferencePair],
    settings: InductionSettings,
    *,
    budget_calls: int | None = None,
    account: Account | None = None,
) -> UserResult:
    """Induce the profile of the one user whose pairs these are, and measure it on the test pairs.

    Args:
        session: The model.
        pairs: One user's pairs; those without a split get a seeded one.
        settings: How.
        budget_calls: Most distinct calls. The induction may spend all of it; the evaluation runs only if
            what is left pays for the whole of it.
        account: Counts the calls of the induction.

    Raises:
        DataError: pairs of several users, or with a split in some rows only.
        ConfigError: the budget is too small.
        BackendError: the model cannot be reached.
    """
    account = account or session.account()
    split, rule = assign_splits(pairs, seed=settings.seed)
    counts = Counter(pair.split for pair in split)
    limit = most_calls(counts["train"], counts["validation"], settings, budget_calls)
    profile = settings.method(session, budget_calls).fit(split, split_rule=rule, account=account)
    test = [pair for pair in split if pair.split == "test"]
    history = [pair for pair in split if pair.split != "test"]
    notes = list(profile.provenance.notes) if profile.provenance else []
    outcomes: dict[str, Outcome] = {}
    evaluation = session.account()
    if test and settings.evaluate:
        judged = judged_profiles(profile, history, settings)
        needed = evaluation_calls(judged, len(test))
        left = None if budget_calls is None else budget_calls - account.usage.distinct_calls
        if left is None or left >= needed:
            outcomes = _measure(evaluation, judged, test, settings)
        else:
            notes.append(
                f"not evaluated: {len(test)} test pairs take {needed} calls, the budget has "
                f"{max(left, 0)} left"
            )
    elif settings.evaluate:
        notes.append("not evaluated: there are no test pairs")
    return UserResult(
        profile=profile,
        pairs={name: counts[name] for name in ("train", "validation", "test")},
        usage=account.usage,
        call_limit=limit,
        evaluation_usage=evaluation.usage,
        outcomes=outcomes,
        notes=tuple(notes),
    )


def induce_users(
    session: Session,
    users: Mapping[str, Sequence[PreferencePair]],
    settings: InductionSettings,
    *,
    budget_calls: int | None = None,
) -> Iterator[UserResult | UserFailure]:
    """Induce one user after another; one that fails does not stop the others.

    A budget is divided evenly over the users that are left, so what one user does not spend goes to the
    next ones. After two users in a row whose model could not be reached the others are not tried.

    Args:
        session: The model.
        users: Pairs by user id.
        settings: How.
        budget_calls: Most distinct calls in all.

    Yields:
        One result or failure per user, in order.

    Raises:
        ConfigError: the budget is too small for so many users, or the call cache cannot be used.
        CredentialError: the key is missing or was rejected.
    """
    if budget_calls is not None and budget_calls < LEAST_CALLS * len(users):
        raise ConfigError(
            f"a budget of {budget_calls} calls is too small for {len(users)} users; "
            f"at least {LEAST_CALLS} calls a user are needed, {LEAST_CALLS * len(users)} in all"
        )
    left, unreachable = budget_calls, 0
    for position, (user_id, pairs) in enumerate(users.items()):
        if unreachable >= UNREACHABLE_USERS:
            yield UserFailure(user_id, f"not tried: the model failed for {unreachable} users in a row")
            continue
        share = None if left is None else left // (len(users) - position)
        account = session.account()
        spent = 0
        try:
            result = induce_user(session, pairs, settings, budget_calls=share, account=account)
        except (ConfigError, CredentialError):
            raise
        except SynthesizeMeError as error:
            unreachable = unreachable + 1 if isinstance(error, BackendError) else 0
            yield UserFailure(user_id, str(error))
        else:
            unreachable, spent = 0, result.evaluation_usage.distinct_calls
            yield result
        if left is not None:
            left -= account.usage.distinct_calls + spent


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
    """Distinct calls that measuring these judges takes: each different prompt, both orders of each pair."""
    different = {
        (None, ()) if known is None else (known.persona, known.demonstrations) for known in judged.values()
    }
    return len(different) * 2 * n_test


def most_calls(
    n_train: int, n_validation: int, settings: InductionSettings, budget_calls: int | None = None
) -> int:
    """Distinct calls that one induction may make at most.

    Raises:
        ConfigError: the budget is too small, or one for the paper's search, which knows no budget.
    """
    if n_train + n_validation < LEAST_PAIRS or not n_train:
        return 0
    if settings.search == "economical":
        return make_plan(n_train, n_validation, effort=settings.effort, budget_calls=budget_calls).limit
    calls = 2 * (n_train + TRIALS * (n_validation or n_train)) + PERSONA_ATTEMPTS
    if budget_calls is not None and budget_calls < calls:
        raise ConfigError(
            f"the paper's search may make {calls} calls for {n_train} train and {n_validation} validation "
            f"pairs and keeps to no budget, here {budget_calls}; raise it or use the economical search"
        )
    return calls


def _measure(
    account: Account,
    judged: Mapping[str, UserProfile | None],
    test: Sequence[PreferencePair],
    settings: InductionSettings,
) -> dict[str, Outcome]:
    prompt = settings.method(account.session).judge_prompt
    outcomes = {}
    for name, known in judged.items():
        profiles = None if known is None else {known.user_id: known}
        judge = LLMJudge(account, profiles, prompt=prompt, name=f"evaluating {name}")
        outcome = evaluate(judge, test, seed=settings.seed)
        outcomes[name] = outcome.model_copy(update={"scorer": name})
    return outcomes

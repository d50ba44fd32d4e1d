"""What an induction would cost, told before anything is sent: most calls, estimated tokens and price."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean

from synthesizeme.datasets import assign_splits
from synthesizeme.induction.one_user import InductionSettings, plan_calls
from synthesizeme.judges import demographics_profile
from synthesizeme.judges.messages import judge_messages
from synthesizeme.personas.budget import CallBudget, make_plan
from synthesizeme.personas.stages import LARGEST_SET
from synthesizeme.personas.synthesis import PERSONA_ATTEMPTS
from synthesizeme.prompts import PromptTemplate, load_prompt
from synthesizeme.types import PreferencePair

CHARACTERS_PER_TOKEN = 4
VERDICT_TOKENS = 120
"""Assumed length of a verdict with its reasoning."""
PERSONA_TOKENS = 200
"""Assumed length of a persona."""
PERSONA_CALLS = 2 * PERSONA_ATTEMPTS
"""Two personas are written, each asked for again once if it cannot be read."""


@dataclass(frozen=True)
class Estimate:
    """Calls that may be made, and what they would take."""

    calls: int = 0
    """Distinct calls, at most."""
    prompt_tokens: int = 0
    """Estimated tokens sent, if all calls are made."""
    completion_tokens: int = 0
    """Estimated tokens received, if all calls are made."""

    def cost(self, price: Callable[[int, int], float] | None) -> float | None:
        """What it would take in US dollars, at a `token_price`; None where there is none."""
        return None if price is None else price(self.prompt_tokens, self.completion_tokens)

    def __add__(self, other: Estimate) -> Estimate:
        return Estimate(
            self.calls + other.calls,
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
        )


@dataclass(frozen=True)
class UserEstimate:
    """What one user would take."""

    induction: Estimate
    """Of the profile."""
    evaluation: Estimate
    """Of the judges on the test pairs."""
    note: str | None = None
    """Why there would be no evaluation, where one is wanted."""


def estimate_user(
    pairs: Sequence[PreferencePair],
    settings: InductionSettings,
    *,
    budget_calls: int | None = None,
    max_tokens: int = 1024,
) -> UserEstimate:
    """What one user's induction and evaluation would take; tokens are text lengths divided by four.

    Args:
        pairs: One user's pairs.
        settings: How they would be induced and measured.
        budget_calls: Most distinct calls.
        max_tokens: Most tokens a reply may have.

    Raises:
        ConfigError: the budget is too small.
        DataError: some rows have a split and some do not, or survey answers cannot be read.
    """
    split, _ = assign_splits(pairs, seed=settings.seed)
    planned = plan_calls(split, settings, budget_calls)
    history = [pair for pair in split if pair.split != "test"]
    prompt = load_prompt(settings.judge_prompt)
    verdict = min(VERDICT_TOKENS, max_tokens)
    bare, shown = _mean_question(split, prompt), _mean_pair(history)
    full = bare + PERSONA_TOKENS + min(len(history), LARGEST_SET[settings.effort]) * (shown + verdict)
    induction = _induction(history, settings, planned, bare=bare, full=full, shown=shown, verdict=verdict)
    if not planned.evaluation:
        return UserEstimate(induction, Estimate(), planned.note)
    judges = [bare]
    if planned.induction:
        judges += [bare + PERSONA_TOKENS, full - PERSONA_TOKENS, full]
    if settings.baselines:
        judges.append(bare + len(history) * shown)
        if demographics_profile(split[0].user_id, history) is not None:
            judges.append(bare + PERSONA_TOKENS)
    calls = planned.evaluation
    return UserEstimate(induction, Estimate(calls, round(calls * fmean(judges)), calls * verdict))


def estimate_users(
    users: Sequence[Sequence[PreferencePair]],
    settings: InductionSettings,
    *,
    budget_calls: int | None = None,
    max_tokens: int = 1024,
) -> list[UserEstimate]:
    """`estimate_user` for each user; the budget is divided as `induce_users` does if all is spent."""
    found: list[UserEstimate] = []
    left = budget_calls
    for position, pairs in enumerate(users):
        share = None if left is None else left // (len(users) - position)
        found.append(estimate_user(pairs, settings, budget_calls=share, max_tokens=max_tokens))
        if left is not None:
            left -= found[-1].induction.calls + found[-1].evaluation.calls
    return found


def _induction(
    history: Sequence[PreferencePair],
    settings: InductionSettings,
    planned: CallBudget,
    *,
    bare: float,
    full: float,
    shown: float,
    verdict: int,
) -> Estimate:
    n_train = sum(pair.split == "train" for pair in history)
    n_validation = len(history) - n_train
    calls = planned.induction
    if not calls:
        return Estimate()
    early = 2 * n_train
    if settings.search == "economical":
        plan = make_plan(n_train, n_validation, effort=settings.effort, budget_calls=planned.budget)
        early = 2 * (plan.train + plan.rejudged)
    writing = min(PERSONA_CALLS, calls)
    early = min(early, calls - writing)
    late = calls - writing - early
    persona_prompt = len(history) * (shown + verdict)
    prompt_tokens = early * (bare + PERSONA_TOKENS / 2) + late * full + writing * persona_prompt
    return Estimate(calls, round(prompt_tokens), (early + late) * verdict + writing * PERSONA_TOKENS)


def _mean_question(pairs: Sequence[PreferencePair], prompt: PromptTemplate) -> float:
    """Mean tokens of a judge's question without a profile."""
    lengths = (
        sum(len(message.content) for message in judge_messages(pair.compare("chosen_first"), None, prompt))
        for pair in pairs
    )
    return fmean(lengths) / CHARACTERS_PER_TOKEN


def _mean_pair(pairs: Sequence[PreferencePair]) -> float:
    """Mean tokens of a pair inside a prompt."""
    if not pairs:
        return 0.0
    texts = (
        sum(len(message.content) for message in (*pair.prompt, *pair.chosen, *pair.rejected))
        for pair in pairs
    )
    return fmean(texts) / CHARACTERS_PER_TOKEN

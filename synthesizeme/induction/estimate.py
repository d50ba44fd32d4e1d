"""What an induction would cost, told before anything is sent: least and most calls, estimated tokens, price.

Least and most lie apart, since three things are known only on the way: whether the user shows a taste at
all, without which no persona is written; how many statements the writer proposes, and whether the model
answers for many pairs at once; and how many sets of demonstrations the judge's verdicts allow to be drawn.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import NamedTuple

from synthesizeme.datasets import assign_splits
from synthesizeme.induction.one_user import InductionSettings, plan_calls
from synthesizeme.judges import demographics_profile
from synthesizeme.judges.messages import judge_messages
from synthesizeme.pairs import same_texts
from synthesizeme.personas.budget import CallBudget, make_plan, profile_judgements
from synthesizeme.personas.paper_search import MOST_DEMONSTRATIONS
from synthesizeme.personas.stages import FEW_VALIDATION_PAIRS, LARGEST_SET
from synthesizeme.personas.synthesis import MAX_SENTENCES, PERSONA_ATTEMPTS
from synthesizeme.personas.trial import chunked
from synthesizeme.prompts import PromptTemplate, load_prompt
from synthesizeme.types import PreferencePair

CHARACTERS_PER_TOKEN = 4
VERDICT_TOKENS = 120
"""Assumed length of a verdict with its reasoning."""
PERSONA_TOKENS = 200
"""Assumed length of a persona."""
VOTE_TOKENS = 5
"""Assumed length of what is said of one pair in the trial of a statement."""
TRIAL_TOKENS = 250
"""Assumed length of a question of the trial without its pairs."""
MEAN_SET = 0.75
"""Mean size of a set of demonstrations, as a share of the largest: half of the sets are half as large."""


@dataclass(frozen=True)
class Estimate:
    """Calls that may be made, and what they would take."""

    calls: int = 0
    """Distinct calls, at most."""
    least_calls: int = 0
    """Distinct calls, at least, unless the model is given up."""
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
            self.least_calls + other.least_calls,
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
    largest = MOST_DEMONSTRATIONS if settings.search == "paper" else LARGEST_SET[settings.effort]
    told = min(sum(pair.split == "train" for pair in history), MEAN_SET * largest)
    lengths = _Lengths(bare, bare + told * (shown + verdict), shown, verdict)
    induction = _induction(history, settings, planned, lengths)
    if not planned.evaluation:
        return UserEstimate(induction, Estimate(), planned.note)
    judges = [bare]
    if planned.induction:
        both = profile_judgements(settings.effort, settings.search, settings.neighbours) - 2
        judges += [bare + PERSONA_TOKENS, lengths.full, *[lengths.full + PERSONA_TOKENS] * both]
    if settings.baselines:
        judges.append(bare + len(history) * shown)
        if demographics_profile(split[0].user_id, history) is not None:
            judges.append(bare + PERSONA_TOKENS)
    calls, test = planned.evaluation, [pair for pair in split if pair.split == "test"]
    least = 2 * _different(test)
    return UserEstimate(induction, Estimate(calls, least, round(calls * fmean(judges)), calls * verdict))


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


class _Lengths(NamedTuple):
    """Tokens of what is sent and received."""

    bare: float
    """A judge's question without a profile."""
    full: float
    """The same with demonstrations."""
    shown: float
    """A pair inside a prompt."""
    verdict: int
    """A verdict."""


def _induction(
    history: Sequence[PreferencePair], settings: InductionSettings, planned: CallBudget, lengths: _Lengths
) -> Estimate:
    train = [pair for pair in history if pair.split == "train"]
    validation = [pair for pair in history if pair.split != "train"]
    calls, (bare, full, shown, verdict) = planned.induction, lengths
    if not calls:
        return Estimate()
    if settings.search == "paper":
        least = _different(validation or train)
        early, trial, parts = min(2 * len(train), calls), 0, 1
    else:
        plan = make_plan(len(train), len(validation), effort=settings.effort, budget_calls=planned.budget)
        sure = calls - plan.averages
        least = _least(train[: plan.train], validation, sure, LARGEST_SET[settings.effort])
        judged = plan.train + plan.rejudged
        early = judged + min(2 * len(validation), max(0, calls - judged) // 2)
        parts = len(chunked(history))
        trial = min(MAX_SENTENCES * parts, max(0, calls - early - PERSONA_ATTEMPTS) // 2)
    writing = min(PERSONA_ATTEMPTS, calls - early)
    late = calls - early - writing - trial
    of_trial = TRIAL_TOKENS + len(history) * shown / parts
    prompt_tokens = early * bare + writing * len(history) * (shown + verdict) + trial * of_trial + late * full
    received = (early + late) * verdict + writing * PERSONA_TOKENS
    return Estimate(
        calls, least, round(prompt_tokens), round(received + trial * VOTE_TOKENS * len(history) / parts)
    )


def _least(
    train: Sequence[PreferencePair], validation: Sequence[PreferencePair], limit: int, largest: int
) -> int:
    """Calls of an economical search that finds no taste and tries one set of demonstrations.

    That set is tried on the validation pairs in both orders and, where these are few, on the train pairs that
    it does not show; or until less than one pair can be paid for.
    """
    judged, both = _different(train), 2 * _different(validation)
    tried = both + (max(0, judged - largest) if len(validation) < FEW_VALIDATION_PAIRS else 0)
    repeated = len(train) + 2 * len(validation) - judged - both
    return max(judged, min(limit - 2 - 2 * repeated, judged + both + tried))


def _different(pairs: Sequence[PreferencePair]) -> int:
    """How many pairs differ in what a judge is shown."""
    return len({(pair.prompt, same_texts(pair)) for pair in pairs})


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

"""The calls of one user, before the first is made: how many, and divided between what."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from synthesizeme.errors import ConfigError
from synthesizeme.personas.averaging import MOST_NEIGHBOURS, MOST_SAMPLES
from synthesizeme.personas.paper_search import TRIALS
from synthesizeme.personas.synthesis import PERSONA_ATTEMPTS

Effort = Literal["low", "medium", "high"]
EFFORTS: tuple[Effort, ...] = ("low", "medium", "high")
Search = Literal["economical", "paper"]
SEARCHES: tuple[Search, ...] = ("economical", "paper")
LEAST_PAIRS = 2
_FACTOR = {"low": 0.5, "medium": 1.0, "high": 2.0}
LEAST_CALLS = 3


def call_limit(n_pairs: int, effort: Effort) -> int:
    """Most distinct calls for a user with `n_pairs` train and validation pairs.

    At medium effort 6 a pair up to 10 pairs, then 4 more for each pair up to 20, then 3 for each further one
    (60, 100 and 160 calls at 10, 20 and 40 pairs); low is half of it, high twice.
    """
    medium = 6 * min(n_pairs, 10) + 4 * min(max(n_pairs - 10, 0), 10) + 3 * max(n_pairs - 20, 0)
    return int(medium * _FACTOR[effort])


@dataclass(frozen=True)
class Plan:
    """What an economical search will spend, at most."""

    train: int
    """Train pairs that are judged."""
    rejudged: int
    """Unexplained pairs asked again in the other order, at most."""
    candidates: int
    """Sets of demonstrations that are tried by successive halving."""
    averages: int
    """Calls kept back for trying means of several judgements, where there may be any."""
    limit: int
    """Distinct calls in all."""


def make_plan(n_train: int, n_validation: int, *, effort: Effort, budget_calls: int | None) -> Plan:
    """Divide the calls of one user's induction.

    Of what the train pairs, the validation pairs in both orders and a persona leave, a third at most goes to
    pairs that are asked again; of the rest, at high effort, a third at most is kept for means of several
    judgements, and the other calls are for the trial of statements and for sets of demonstrations.

    Raises:
        ConfigError: the budget cannot pay for one explained pair and a persona.
    """
    if budget_calls is not None and budget_calls < LEAST_CALLS:
        raise ConfigError(
            f"a budget of {budget_calls} calls cannot induce a persona; at least {LEAST_CALLS} are needed"
        )
    limit = call_limit(n_train + n_validation, effort)
    if budget_calls is not None:
        limit = min(limit, budget_calls)
    train = min(n_train, max(1, limit - 1))
    left = limit - train - PERSONA_ATTEMPTS - 2 * n_validation
    second = 0 if effort == "low" else min(train // 2, max(0, left) // 3)
    candidates = {"low": 2, "medium": 4, "high": 8}[effort]
    wanted = 2 * n_validation * (MOST_SAMPLES + MOST_NEIGHBOURS) if effort == "high" else 0
    averages = min(wanted, max(0, left - second) // 3)
    return Plan(train, second, candidates, averages, limit)


def profile_judgements(effort: Effort, search: Search, neighbours: int = 0) -> int:
    """Most judgements of one comparison by the judges that know the profile, wholly or in part.

    These know its persona, its demonstrations, or both; with both it may be the mean of several samples and
    of judgements under the personas of so many neighbours.
    """
    return 2 + (MOST_SAMPLES + neighbours if effort == "high" and search == "economical" else 1)


@dataclass(frozen=True)
class CallBudget:
    """What induction and evaluation may spend."""

    induction: int
    """Distinct calls of the induction, at most."""
    evaluation: int
    """Distinct calls of the evaluation, at most; 0 if there will be none."""
    budget: int | None
    """Budget to give the induction; None for no other limit than its own."""
    note: str | None = None
    """Why there will be no evaluation, where one was wanted."""


def divide_calls(
    n_train: int,
    n_validation: int,
    n_test: int,
    without_profile: int,
    *,
    effort: Effort = "medium",
    search: Search = "economical",
    neighbours: int = 0,
    evaluate: bool = True,
    budget_calls: int | None = None,
) -> CallBudget:
    """Reserve the evaluation first, if what is left lets the induction judge every train pair.

    Otherwise the induction gets the whole budget, and nothing is evaluated.

    Args:
        n_train: Train pairs.
        n_validation: Validation pairs.
        n_test: Test pairs.
        without_profile: Distinct calls of the judges that do not know the profile.
        effort: See `call_limit`.
        search: ``economical`` or ``paper``.
        neighbours: Other users whose personas are tried, at most.
        evaluate: Whether an evaluation is wanted.
        budget_calls: Most distinct calls of both; None for no limit.

    Raises:
        ConfigError: the budget does not even pay for the induction.
    """
    induces = n_train + n_validation >= LEAST_PAIRS and n_train > 0
    if not (evaluate and n_test):
        wanted, note = 0, "not evaluated: there are no test pairs" if evaluate else None
    else:
        wanted, note = (
            without_profile + profile_judgements(effort, search, neighbours) * 2 * n_test * induces,
            None,
        )
    if budget_calls is None:
        limit = _most_calls(n_train, n_validation, effort, search, None) if induces else 0
        return CallBudget(limit, wanted, None, note)
    least = _least_calls(n_train, n_validation, search) if induces else 0
    if wanted and budget_calls - wanted < least:
        note = (
            f"not evaluated: {n_test} test pairs may take {wanted} calls and the induction needs {least}, "
            f"the budget is {budget_calls}"
        )
        wanted = 0
    if not induces:
        return CallBudget(0, wanted, None, note)
    left = budget_calls - wanted
    return CallBudget(_most_calls(n_train, n_validation, effort, search, left), wanted, left, note)


def _least_calls(n_train: int, n_validation: int, search: Search) -> int:
    """Calls with which an induction judges every train pair and writes a persona."""
    if search == "paper":
        return _paper_calls(n_train, n_validation)
    return max(LEAST_CALLS, n_train + 1)


def _most_calls(
    n_train: int, n_validation: int, effort: Effort, search: Search, budget_calls: int | None
) -> int:
    if search == "economical":
        return make_plan(n_train, n_validation, effort=effort, budget_calls=budget_calls).limit
    calls = _paper_calls(n_train, n_validation)
    if budget_calls is not None and budget_calls < calls:
        raise ConfigError(
            f"the paper's search may make {calls} calls for {n_train} train and {n_validation} validation "
            f"pairs and keeps to no budget, here {budget_calls}; raise it or use the economical search"
        )
    return calls


def _paper_calls(n_train: int, n_validation: int) -> int:
    return 2 * (n_train + TRIALS * (n_validation or n_train)) + PERSONA_ATTEMPTS

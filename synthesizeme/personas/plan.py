"""How many calls an induction may make, decided before the first one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from synthesizeme.errors import ConfigError

Effort = Literal["low", "medium", "high"]
EFFORTS: tuple[Effort, ...] = ("low", "medium", "high")
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
    second_chances: int
    """Unexplained pairs asked again in the other order, in each of the two bootstraps."""
    contenders: int
    """Sets of demonstrations in the race."""
    limit: int
    """Distinct calls in all."""


def make_plan(n_train: int, n_validation: int, *, effort: Effort, budget_calls: int | None) -> Plan:
    """Divide the calls of one user's induction.

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
    left = limit - train - 1
    second = 0 if effort == "low" else min(train // 2, max(0, left - train) // 3)
    contenders = {"low": 2, "medium": 4, "high": 8}[effort]
    return Plan(train, second, contenders, limit)

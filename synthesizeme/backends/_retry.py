"""How often and how soon a call is tried again."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

from synthesizeme.errors import ConfigError

if TYPE_CHECKING:
    from synthesizeme.backends._faults import Fault

MAX_DELAY_S = 120.0
FIRST_CONTACT_RETRIES = 2
"""Retries when no connection can be made and none ever was in this session."""


@dataclass(frozen=True)
class RetryPolicy:
    """What to do about transient faults (429, 5xx, resets, time-outs, empty replies)."""

    retries: int = 5
    """Attempts after the first one."""
    backoff_s: float = 1.0
    """Delay before the first retry in seconds; doubles each time, with jitter; Retry-After wins."""
    give_up_after: int = 16
    """Calls in a row that fail for good before the endpoint counts as unreachable."""

    def __post_init__(self) -> None:
        problems = [
            f"{name} is {getattr(self, name)}; expected {least} or more"
            for name, least in (("retries", 0), ("backoff_s", 0), ("give_up_after", 1))
            if getattr(self, name) < least
        ]
        if problems:
            raise ConfigError(problems)

    def delay(self, attempt: int, retry_after: float | None, rng: random.Random) -> float:
        """Seconds to wait before retry number `attempt` (0-based)."""
        if retry_after is not None:
            return min(max(retry_after, 0.0), MAX_DELAY_S)
        return min(self.backoff_s * 2.0**attempt * (0.5 + rng.random() / 2), MAX_DELAY_S)

    def most_retries(self, fault: Fault, *, reached: bool) -> int:
        """Retries that a fault is worth; `reached`: whether the endpoint ever answered."""
        if not fault.transient:
            return 0
        limit = FIRST_CONTACT_RETRIES if fault.unreachable and not reached else fault.most_retries
        return self.retries if limit is None else min(limit, self.retries)

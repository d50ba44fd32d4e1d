"""Caps on what the calls of a session take, which hold to the last call.

Before a call is sent, the most it can take is set aside: one token for each byte of its messages, and
`max_tokens` for the reply. A call that would not fit waits for those in flight, which give back what they
did not need; when none is left in flight and it still does not fit, the run ends.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from synthesizeme.errors import BudgetError, ConfigError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from synthesizeme.backends._answer import Answer
    from synthesizeme.backends._calls import Sending

Price = Callable[[int, int], float]
"""US dollars for so many prompt and completion tokens."""
_PER_MESSAGE = 16
"""Tokens that a chat template may put around a message."""


@dataclass(frozen=True)
class Caps:
    """Most that may be taken; None for no limit."""

    calls: int | None = None
    """Calls sent, those that mend a reply among them; retries of one call count once."""
    tokens: int | None = None
    """Tokens sent and received."""
    cost_usd: float | None = None
    """US dollars by the price list."""

    def __post_init__(self) -> None:
        problems = [
            f"the budget of {name} is {value:g}; expected more than 0"
            for name, value in (("calls", self.calls), ("tokens", self.tokens), ("cost", self.cost_usd))
            if value is not None and not value > 0
        ]
        if problems:
            raise ConfigError(problems)

    @property
    def any(self) -> bool:
        """Whether there is a limit."""
        return any(value is not None for value in (self.calls, self.tokens, self.cost_usd))

    def divided(self, parts: int) -> Caps:
        """The share of one of so many, rounded down: together they keep to the whole."""
        return Caps(
            None if self.calls is None else self.calls // parts,
            None if self.tokens is None else self.tokens // parts,
            None if self.cost_usd is None else self.cost_usd / parts,
        )


@dataclass
class _Amount:
    calls: int = 0
    tokens: int = 0
    cost_usd: float = 0.0

    def add(self, other: _Amount, sign: int = 1) -> None:
        self.calls += sign * other.calls
        self.tokens += sign * other.tokens
        self.cost_usd += sign * other.cost_usd


class Budget:
    """What is spent and set aside, against caps. Used from one thread: the one that sends the calls.

    Args:
        caps: The limits; none by default.
        max_tokens: Most tokens of a reply.
        price: Price of tokens; needed for a cap on cost.
    """

    def __init__(
        self, caps: Caps | None = None, *, max_tokens: int = 1024, price: Price | None = None
    ) -> None:
        self.caps = caps or Caps()
        if self.caps.cost_usd is not None and price is None:
            raise ConfigError(
                "the price of this model is not known, so its cost cannot be capped; "
                "cap calls or tokens instead"
            )
        self._max_tokens, self._price = max_tokens, price
        self._spent, self._aside = _Amount(), _Amount()
        self._returned: asyncio.Event | None = None

    @contextmanager
    def admitted(self, sending: Sending) -> Iterator[list[Answer]]:
        """Send one call inside; put its answer into the list that this gives.

        Raises:
            BudgetError: the call might exceed a cap.
        """
        most = self._most(sending) if self.caps.any else None
        if most is None:
            yield []
            return
        if problem := self._exceeded(most):
            raise BudgetError(problem)
        with self._set_aside(most) as answers:
            yield answers

    @asynccontextmanager
    async def admitted_in_turn(self, sending: Sending) -> AsyncIterator[list[Answer]]:
        """The same where other calls are in flight: waits for what they give back.

        Raises:
            BudgetError: the call might exceed a cap, whatever the others give back.
        """
        most = self._most(sending) if self.caps.any else None
        if most is None:
            yield []
            return
        while problem := self._exceeded(most):
            if not self._aside.calls:
                raise BudgetError(problem)
            self._returned = self._returned or asyncio.Event()
            await self._returned.wait()
        with self._set_aside(most) as answers:
            yield answers

    @contextmanager
    def _set_aside(self, most: _Amount) -> Iterator[list[Answer]]:
        self._aside.add(most)
        answers: list[Answer] = []
        try:
            yield answers
        finally:
            self._aside.add(most, -1)
            self._spent.add(self._taken(answers, most))
            if self._returned is not None:
                self._returned.set()
                self._returned = None

    def _most(self, sending: Sending) -> _Amount:
        """The most that a call may take."""
        sent = sum(
            len(message.content.encode("utf-8", "replace")) + _PER_MESSAGE for message in sending.messages
        )
        return _Amount(1, sent + self._max_tokens, self._cost(sent, self._max_tokens))

    def _taken(self, answers: list[Answer], most: _Amount) -> _Amount:
        """What a call did take; one without an answer counts as a call, its tokens are not known."""
        if not answers:
            return _Amount(most.calls)
        sent, received = answers[-1].prompt_tokens, answers[-1].completion_tokens
        return _Amount(most.calls, sent + received, answers[-1].cost_usd)

    def _cost(self, sent: int, received: int) -> float:
        return self._price(sent, received) if self._price is not None else 0.0

    def _exceeded(self, more: _Amount) -> str:
        """Which cap `more` would break, in words; empty when none."""
        wanted = _Amount()
        for part in (self._spent, self._aside, more):
            wanted.add(part)
        for name, what in (("calls", "calls"), ("tokens", "tokens"), ("cost_usd", "US dollars")):
            cap, spent = getattr(self.caps, name), getattr(self._spent, name)
            if cap is not None and getattr(wanted, name) > cap:
                return (
                    f"the budget of {cap:g} {what} is used up: {spent:g} are spent, and the next call might "
                    "take more than is left. Cure: finished calls are kept; run again with a new budget"
                )
        return ""

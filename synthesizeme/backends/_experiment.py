"""What an endpoint refuses that does not say so, found out by leaving one thing after another out."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Set
from dataclasses import replace

from synthesizeme.backends._answer import Answer
from synthesizeme.backends._endpoint import Endpoint, Feature, to_leave_out
from synthesizeme.backends._faults import Fault


class Experiment:
    """Made once in a session at most, on its first call that is refused without a word why.

    Only an answer costs anything, and with the first one it ends. The endpoint remembers what was found.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._made = False
        self._lock: asyncio.Lock | None = None

    def end(self) -> None:
        """Forget the loop that it was made in."""
        self._lock = None

    async def make(
        self, fault: Fault, sent: Set[Feature], attempt: Callable[[Endpoint], Awaitable[Answer | Fault]]
    ) -> Answer | Fault:
        """The answer to the call without what is refused, or the fault as it was.

        Args:
            fault: How the call was refused.
            sent: What it held.
            attempt: Makes the call as to an endpoint of which so much is known.
        """
        self._lock = self._lock or asyncio.Lock()
        async with self._lock:
            if not sent.isdisjoint(self._endpoint.refused):  # found out while this call waited
                return await attempt(self._endpoint)
            if self._made:
                return fault
            self._made = True
            for left_out in to_leave_out(sent):
                known = self._endpoint.refused | set(left_out)
                outcome = await attempt(replace(self._endpoint, refused=known))
                if isinstance(outcome, Answer):
                    for feature in left_out:
                        self._endpoint.refuse(feature, fault.failure.detail)
                    return outcome
                if not outcome.unexplained and outcome.objects_to is None:
                    break
        return fault

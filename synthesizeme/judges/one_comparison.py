"""One comparison for one user, asked in both orders, with what was said in each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from synthesizeme.backends import Account
from synthesizeme.errors import JudgeError
from synthesizeme.judges.llm_judge import LLMJudge
from synthesizeme.judges.order import combine
from synthesizeme.profile import UserProfile
from synthesizeme.prompts import PromptTemplate
from synthesizeme.types import Comparison, Failure, Preference, Verdict


@dataclass(frozen=True)
class OneComparison:
    """What a judge said about one comparison."""

    combined: Verdict
    """The verdict that does not depend on the order, in terms of the order given."""
    shown: Verdict
    """The verdict in the order given."""
    swapped: Verdict
    """The verdict with the responses exchanged; its "first" is the second response."""

    @property
    def preference(self) -> Preference:
        """Which of the two the user is expected to prefer, whatever the order."""
        return self.combined.preference

    @property
    def probability(self) -> float:
        """P(first preferred), the mean of both orders, in [0, 1]."""
        return self.combined.probability

    @property
    def reasoning(self) -> str:
        """Why, in words."""
        return self.combined.reasoning

    def __repr__(self) -> str:
        orders = "both orders agree" if self.consistent else "the orders disagree"
        return f"OneComparison({self.preference}, P(first) = {self.probability:.2f}, {orders})"

    @property
    def consistent(self) -> bool:
        """Whether both orders led to the same response."""
        same = {"first": "second", "second": "first", "tie": "tie"}
        return self.shown.preference == same[self.swapped.preference]

    def as_dict(self) -> dict[str, Any]:
        """Plain values, JSON-serialisable; ``first`` always means the response given first."""
        return {
            "preference": self.combined.preference,
            "probability": self.combined.probability,
            "probability_source": self.combined.probability_source,
            "reasoning": self.combined.reasoning,
            "order_consistent": self.consistent,
            "orders": [
                {"shown_first": "first", **_plain(self.shown, swapped=False)},
                {"shown_first": "second", **_plain(self.swapped, swapped=True)},
            ],
        }


def judge_both_orders(
    account: Account, profile: UserProfile, comparison: Comparison, *, prompt: PromptTemplate | None = None
) -> OneComparison:
    """Ask about one comparison in both orders.

    Raises:
        BackendError: the model cannot be reached.
        JudgeError: there is no verdict in one of the orders.
    """
    judge = LLMJudge(account, {comparison.user_id: profile}, prompt=prompt, name="judging")
    shown, swapped = judge.compare([comparison, comparison.swapped()])
    first, second = _insisted(shown), _insisted(swapped)
    return OneComparison(combine(first, second), first, second)


def _insisted(found: Verdict | Failure) -> Verdict:
    if isinstance(found, Failure):
        raise JudgeError(f"the judge gave no verdict: {found.kind}: {found.detail}", reply=found.detail)
    return found


def _plain(verdict: Verdict, *, swapped: bool) -> dict[str, Any]:
    exchanged = {"first": "second", "second": "first", "tie": "tie"}
    return {
        "preference": exchanged[verdict.preference] if swapped else verdict.preference,
        "probability": 1 - verdict.probability if swapped else verdict.probability,
        "reasoning": verdict.reasoning,
    }

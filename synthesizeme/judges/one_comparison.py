"""One comparison for one user, asked in both orders, with what was said in each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from synthesizeme.backends import Account
from synthesizeme.judges.llm_judge import LLMJudge
from synthesizeme.judges.order import combine
from synthesizeme.profile import UserProfile
from synthesizeme.prompts import PromptTemplate
from synthesizeme.types import Comparison, Failure, Verdict


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
) -> OneComparison | Failure:
    """Ask about one comparison in both orders; a failure in either is a failure.

    Raises:
        BackendError: the model cannot be reached.
    """
    judge = LLMJudge(account, {comparison.user_id: profile}, prompt=prompt, name="judging")
    shown, swapped = judge.compare([comparison, comparison.swapped()])
    if isinstance(shown, Failure):
        return shown
    if isinstance(swapped, Failure):
        return swapped
    return OneComparison(combine(shown, swapped), shown, swapped)


def _plain(verdict: Verdict, *, swapped: bool) -> dict[str, Any]:
    exchanged = {"first": "second", "second": "first", "tie": "tie"}
    return {
        "preference": exchanged[verdict.preference] if swapped else verdict.preference,
        "probability": 1 - verdict.probability if swapped else verdict.probability,
        "reasoning": verdict.reasoning,
    }

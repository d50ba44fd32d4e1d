"""A profile that can be asked which of two responses its user prefers."""

from __future__ import annotations

from typing import Any

from synthesizeme.backends import Model, Session, using
from synthesizeme.datasets.rows import asked_comparison
from synthesizeme.judges.one_comparison import OneComparison, judge_both_orders
from synthesizeme.profile import UserProfile
from synthesizeme.progress import ShowProgress, watched
from synthesizeme.prompts import load_prompt


class JudgingProfile(UserProfile):
    """A `UserProfile` with a judge; it holds nothing else, and equals the profile without."""

    def judge(
        self,
        prompt: Any,
        first: Any,
        second: Any,
        *,
        model: str | Model | Session = "builtin",
        judge_prompt: str = "judge/default",
        progress: ShowProgress = None,
    ) -> OneComparison:
        """Which of two responses the user prefers, asked in both orders.

        Args:
            prompt: What the user asked: text, or messages of which the last is the user's.
            first: A response: text, or one message.
            second: Another one.
            model: Name of the model that is asked (`open_model`), an opened model, or a session.
            judge_prompt: Name or path of the judge prompt.
            progress: True shows a wait beyond two seconds; a function is told of every call.

        Raises:
            DataError: the prompt or a response is missing, blank or not made of text.
            JudgeError: the model gave no verdict.
            BackendError: it cannot be reached.
        """
        asked = asked_comparison(self.user_id, prompt, first, second)
        with watched(progress, self.user_id) as told, using(model) as session:
            template = load_prompt(judge_prompt)
            return judge_both_orders(session.account(told), self, asked, prompt=template)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, UserProfile):
            return NotImplemented
        return self.__dict__ == other.__dict__

    __hash__ = None  # type: ignore[assignment]

"""A language model as judge of one user's comparisons, guided by what is known about the user."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from synthesizeme.backends import Account, Answer, Question
from synthesizeme.errors import UnreadableError
from synthesizeme.judges._forms import VERDICT
from synthesizeme.judges._reading import verdict_or_failure
from synthesizeme.judges.messages import comparison_message, context_messages
from synthesizeme.profile import UserProfile
from synthesizeme.prompts import PromptTemplate, load_prompt
from synthesizeme.types import Comparison, Failure, Message, Verdict


class LLMJudge:
    """Asks a model which response the user prefers; implements `PairwiseScorer`.

    Without profiles it is the default judge, which knows nobody.

    Args:
        account: Through which the model is asked.
        profiles: What is known, by user id; None for the default judge.
        prompt: The judge prompt.
        name: Name in reports.
        unknown_user: What a user without a profile gets: a `Failure`, or the default judge's verdict.
        sample_index: Which independent sample of each verdict to take.

    References:
        SynthesizeMe (arXiv 2506.05598), section 3: instruction, persona and demonstrations make the
        personal prompt. Differs: a failed call is a `Failure`, not a tie; every response is declared data.
    """

    order_sensitive = True

    def __init__(
        self,
        account: Account,
        profiles: Mapping[str, UserProfile] | None = None,
        *,
        prompt: PromptTemplate | None = None,
        name: str = "judge",
        unknown_user: Literal["refuse", "default"] = "refuse",
        sample_index: int = 0,
    ) -> None:
        self.name = name
        self._account = account
        self._profiles = profiles
        self._prompt = prompt or load_prompt("judge/default")
        self._unknown_user = unknown_user
        self._sample_index = sample_index
        self.unread: dict[Question, Failure] = {}
        """Questions whose reply came but could not be read, and why."""

    def question(self, comparison: Comparison) -> Question | None:
        """What will be asked; None when the user is unknown and unknown users are refused."""
        (context,) = self._contexts([comparison])
        return None if context is None else self._question(context, comparison)

    def compare(self, comparisons: Sequence[Comparison]) -> list[Verdict | Failure]:
        """One verdict or failure per comparison, in order; all are asked in one go.

        Raises:
            BackendError: the model cannot be reached, or most of its replies cannot be read.
        """
        questions = [
            None if context is None else self._question(context, comparison)
            for context, comparison in zip(self._contexts(comparisons), comparisons, strict=True)
        ]
        asked = [question for question in questions if question is not None]
        try:
            outcomes = iter(self._account.ask(asked, stage=self.name))
        except UnreadableError as error:
            whose = {q: comparison.user_id for q, comparison in zip(questions, comparisons, strict=True)}
            user_id = whose.get(error.question)
            raise (error if user_id is None else error.about(user_id)) from error.__cause__
        return [
            self._read(question, next(outcomes))
            if question is not None
            else Failure(kind="unknown_user", detail=f"no profile for user {comparison.user_id!r}")
            for question, comparison in zip(questions, comparisons, strict=True)
        ]

    def _contexts(self, comparisons: Sequence[Comparison]) -> list[tuple[Message, ...] | None]:
        """What the question about each comparison begins with; None where the user is refused."""
        users = dict.fromkeys(comparison.user_id for comparison in comparisons)
        contexts = {user_id: self._context(user_id) for user_id in users}
        return [contexts[comparison.user_id] for comparison in comparisons]

    def _context(self, user_id: str) -> tuple[Message, ...] | None:
        """What all questions about a user begin with; None when the user is refused."""
        profile = None
        if self._profiles is not None:
            profile = self._profiles.get(user_id)
            if profile is None and self._unknown_user == "refuse":
                return None
        return context_messages(profile, self._prompt)

    def _question(self, context: tuple[Message, ...], comparison: Comparison) -> Question:
        messages = (*context, comparison_message(comparison, self._prompt))
        return Question(messages, self._sample_index, VERDICT)

    def _read(self, question: Question, outcome: Answer | Failure) -> Verdict | Failure:
        result = verdict_or_failure(outcome)
        if isinstance(outcome, Answer) and isinstance(result, Failure):
            self.unread[question] = result
        return result

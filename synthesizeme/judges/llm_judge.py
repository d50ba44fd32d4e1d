"""A language model as judge of one user's comparisons, in the order given or in both."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from synthesizeme.backends import Answer, Ledger, Model, Question
from synthesizeme.errors import JudgeError, UnreadableError
from synthesizeme.judges.messages import (
    VERDICT,
    comparison_message,
    context_messages,
    system_message,
    verdict_or_failure,
)
from synthesizeme.profile import Persona, PersonaSentence, UserProfile
from synthesizeme.prompts import PromptTemplate, load_prompt
from synthesizeme.scoring import PairwiseScorer
from synthesizeme.types import EXCHANGED, Comparison, Failure, Message, Preference, Verdict


def mean_verdict(verdicts: Sequence[Verdict]) -> Verdict:
    """The mean of verdicts on the same responses in the same order.

    P(first) is the mean of all, and the preference is on its side; where it is even, most votes decide, and
    equally many are a tie. The reasoning is the first one that led to that preference.

    Args:
        verdicts: One or more; one alone is its own mean.
    """
    if len(verdicts) == 1:
        return verdicts[0]
    votes = {"first": 1, "second": -1, "tie": 0}
    probability = math.fsum(it.probability for it in verdicts) / len(verdicts)
    lean = probability - 0.5 or sum(votes[it.preference] for it in verdicts)
    preference: Preference = "first" if lean > 0 else "second" if lean < 0 else "tie"
    return Verdict(
        preference=preference,
        probability=probability,
        probability_source=verdicts[0].probability_source,
        reasoning=next((it.reasoning for it in verdicts if it.preference == preference), ""),
    )


def samples_of(profile: UserProfile | None, model: Model) -> int:
    """How many samples of each answer are averaged for a user; one of a model whose samples do not differ."""
    averaging = None if profile is None else profile.averaging
    return averaging.samples if averaging is not None and model.samples else 1


def under_neighbours(profile: UserProfile | None) -> list[UserProfile]:
    """The user with the persona of each neighbour in place of the own one."""
    averaging = None if profile is None else profile.averaging
    if profile is None or averaging is None:
        return []
    return [
        profile.model_copy(
            update={
                "persona": Persona(
                    sentences=(PersonaSentence(text=text),), made_by="another user's", prompt_id="neighbour"
                )
            }
        )
        for text in averaging.neighbours
    ]


def combine(shown: Verdict, swapped: Verdict) -> Verdict:
    """The mean of two verdicts on the same responses, in terms of the order of `shown`.

    Args:
        shown: Verdict on (first, second).
        swapped: Verdict on (second, first).

    Returns:
        P(first) is the mean of both; contradicting verdicts of equal strength are a tie.
    """
    exchanged = Verdict(
        preference=EXCHANGED[swapped.preference],
        probability=1 - swapped.probability,
        reasoning=swapped.reasoning,
    )
    return mean_verdict([shown, exchanged])


class LLMJudge:
    """Asks a model which response the user prefers; implements `PairwiseScorer`.

    Without profiles it is the default judge, which knows nobody. A profile may say that the mean of several
    judgements is taken (`UserProfile.averaging`); further samples are asked for only of a model whose samples
    differ, under a neighbour's persona no past choice is shown, and what fails is left out of the mean.

    Args:
        ledger: Through which the model is asked.
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
        ledger: Ledger,
        profiles: Mapping[str, UserProfile] | None = None,
        *,
        prompt: PromptTemplate | None = None,
        name: str = "judge",
        unknown_user: Literal["refuse", "default"] = "refuse",
        sample_index: int = 0,
    ) -> None:
        self.name = name
        self._ledger = ledger
        self._profiles = profiles
        self._prompt = prompt or load_prompt("judge/default")
        self._unknown_user = unknown_user
        self._sample_index = sample_index
        self.unread: dict[Question, Failure] = {}
        """Questions whose reply came but could not be read, and why."""

    def question(self, comparison: Comparison) -> Question | None:
        """What will be asked first; None when the user is unknown and unknown users are refused."""
        return next(iter(self._questions([comparison])[0]), None)

    def compare(self, comparisons: Sequence[Comparison]) -> list[Verdict | Failure]:
        """One verdict or failure per comparison, in order; all are asked in one go.

        Raises:
            BackendError: the model cannot be reached, or most of its replies cannot be read.
        """
        asked = self._questions(comparisons)
        try:
            outcomes = iter(
                self._ledger.ask([it for questions in asked for it in questions], stage=self.name)
            )
        except UnreadableError as error:
            whose = {
                it: of.user_id for questions, of in zip(asked, comparisons, strict=True) for it in questions
            }
            user_id = whose.get(error.question)
            raise (error if user_id is None else error.about(user_id)) from error.__cause__
        return [
            self._mean([self._read(question, next(outcomes)) for question in questions])
            if questions
            else Failure(kind="unknown_user", detail=f"no profile for user {comparison.user_id!r}")
            for questions, comparison in zip(asked, comparisons, strict=True)
        ]

    def _questions(self, comparisons: Sequence[Comparison]) -> list[list[Question]]:
        """What is asked about each comparison; nothing where the user is refused."""
        return [
            [] if context is None else self._samples(context, comparison)
            for context, comparison in zip(self._contexts(comparisons), comparisons, strict=True)
        ]

    def _samples(self, context: tuple[Message, ...], comparison: Comparison) -> list[Question]:
        profile = None if self._profiles is None else self._profiles.get(comparison.user_id)
        number = samples_of(profile, self._ledger.model)
        asked = comparison_message(comparison, self._prompt)
        first = number * self._sample_index
        own = [Question((*context, asked), first + sample, VERDICT) for sample in range(number)]
        beside = [system_message(it, self._prompt) for it in under_neighbours(profile)]
        return [*own, *(Question((told, asked), self._sample_index, VERDICT) for told in beside)]

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

    def _read(self, question: Question, outcome: Answer | Failure) -> Verdict | Failure:
        result = verdict_or_failure(outcome)
        if isinstance(outcome, Answer) and isinstance(result, Failure):
            self.unread[question] = result
        return result

    def _mean(self, results: Sequence[Verdict | Failure]) -> Verdict | Failure:
        verdicts = [it for it in results if isinstance(it, Verdict)]
        return mean_verdict(verdicts) if verdicts else results[0]


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
        return self.shown.preference == EXCHANGED[self.swapped.preference]

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
    ledger: Ledger, profile: UserProfile, comparison: Comparison, *, prompt: PromptTemplate | None = None
) -> OneComparison:
    """Ask about one comparison in both orders.

    Raises:
        BackendError: the model cannot be reached.
        JudgeError: there is no verdict in one of the orders.
    """
    judge = LLMJudge(ledger, {comparison.user_id: profile}, prompt=prompt, name="judging")
    (found,) = both_orders(judge, [comparison])
    if isinstance(found, Failure):
        raise JudgeError(f"the judge gave no verdict: {found.kind}: {found.detail}", reply=found.detail)
    return found


def both_orders(scorer: PairwiseScorer, comparisons: Sequence[Comparison]) -> list[OneComparison | Failure]:
    """Ask about each comparison as given and with the responses exchanged, all in one go.

    Returns:
        For each what was said in both orders, or the failure of an order that got no verdict.
    """
    results = scorer.compare([*comparisons, *(it.swapped() for it in comparisons)])
    found: list[OneComparison | Failure] = []
    for shown, swapped in zip(results[: len(comparisons)], results[len(comparisons) :], strict=True):
        if isinstance(shown, Failure):
            found.append(shown)
        elif isinstance(swapped, Failure):
            found.append(swapped)
        else:
            found.append(OneComparison(combine(shown, swapped), shown, swapped))
    return found


def _plain(verdict: Verdict, *, swapped: bool) -> dict[str, Any]:
    return {
        "preference": EXCHANGED[verdict.preference] if swapped else verdict.preference,
        "probability": 1 - verdict.probability if swapped else verdict.probability,
        "reasoning": verdict.reasoning,
    }

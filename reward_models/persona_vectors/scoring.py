"""Scores of answers from 0 to 100: by a judge model and a rubric, or by an exact rule."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from reward_models.persona_vectors.authoring import Ask
from reward_models.persona_vectors.traits import Trait
from synthesizeme.errors import ConfigError
from synthesizeme.prompts import as_data, load_prompt
from synthesizeme.replies import UnclearError, read_rating
from synthesizeme.types import Failure, Message

Score = Callable[[Sequence[str], Sequence[str]], Sequence["float | Failure"]]
"""Scores answers to questions: one number from 0 to 100, or the reason why there is none, for each."""
_SENTENCE = re.compile(r"[^.!?]+(?:[.!?]+|$)")


class RubricScorer:
    """A judge model that reads a rubric.

    Args:
        rubric: Renders the question to the judge, e.g. `Trait.asks_for_a_score`.
        ask: Puts conversations to the judge; a session behind it keeps the replies.
    """

    def __init__(self, rubric: Callable[[str, str], str], ask: Ask) -> None:
        self._rubric, self._ask = rubric, ask

    def __call__(self, questions: Sequence[str], answers: Sequence[str]) -> list[float | Failure]:
        """One score or failure for each answer; a reply without one number in [0, 100] is a failure."""
        asked = [
            (Message(role="user", content=self._rubric(question, answer)),)
            for question, answer in zip(questions, answers, strict=True)
        ]
        return [read_score(outcome) for outcome in self._ask(asked)]


def trait_scorer(trait: Trait, ask: Ask) -> RubricScorer:
    """Scores a trait by its own rubric."""
    return RubricScorer(trait.asks_for_a_score, ask)


def coherence_scorer(ask: Ask) -> RubricScorer:
    """Scores whether answers are coherent language, by the prompt ``trait/coherence``."""
    prompt = load_prompt("trait/coherence")

    def rubric(question: str, answer: str) -> str:
        return prompt.render("rubric", question=as_data(question), answer=as_data(answer))

    return RubricScorer(rubric, ask)


def read_score(reply: str | Failure) -> float | Failure:
    """The score of a reply, from 0 to 100, on the scale in which it is written.

    See `synthesizeme.replies.read_rating`.

    >>> read_score("Score: 85/100"), read_score("8 out of 10")
    (85.0, 80.0)
    """
    if isinstance(reply, Failure):
        return reply
    try:
        return round(100 * read_rating(reply).chance, 9)
    except UnclearError as error:
        return Failure(kind="parse", detail=f"no number from 0 to 100 in the reply {reply[:200]!r}: {error}")


class PatternScorer:
    """100 times the share of an answer's sentences in which a regular expression is found.

    >>> PatternScorer(r"!")(["?"], ["Yes! It is. I am sure!"])
    [66.66666666666667]
    """

    def __init__(self, pattern: str) -> None:
        try:
            self._pattern = re.compile(pattern)
        except re.error as error:
            raise ConfigError(f"pattern {pattern!r} is no regular expression: {error}") from None

    def __call__(self, questions: Sequence[str], answers: Sequence[str]) -> list[float | Failure]:
        """One score for each answer; an answer without a sentence has 0."""
        return [self._share(answer) for answer in answers]

    def _share(self, answer: str) -> float:
        sentences = [text for text in _SENTENCE.findall(answer) if text.strip()]
        return 100 * sum(map(bool, map(self._pattern.search, sentences))) / max(1, len(sentences))


def unrepetitive(questions: Sequence[str], answers: Sequence[str]) -> list[float | Failure]:
    """What can be said of coherence without a judge: 100 less the percentage of repeated word triples.

    An empty answer has 0. It sees loops, which steering too far ends in, and nothing else.
    """
    return [100 * (1 - _repeated(answer)) if answer.strip() else 0.0 for answer in answers]


def _repeated(answer: str) -> float:
    words = re.findall(r"\w+|[^\w\s]", answer.lower())
    triples = list(zip(words, words[1:], words[2:], strict=False))
    return 1 - len(set(triples)) / len(triples) if triples else 0.0

"""Answers under positive and negative instructions, scored from 0 to 100, and which of them are kept."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError

from reward_models.persona_vectors.traits import Ask, Trait
from synthesizeme.errors import ConfigError, DataError
from synthesizeme.files import write_whole
from synthesizeme.prompts import as_data, load_prompt
from synthesizeme.replies import UnclearError, read_rating
from synthesizeme.types import Failure, Frozen, Message

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


Prompt = Sequence[Message]
Generate = Callable[[Sequence[Prompt], Sequence[str]], Sequence[str]]
"""Answers prompts, each under its instruction; an empty instruction is none."""
POSITIVE, NEGATIVE, COHERENT = 50.0, 50.0, 50.0
"""The paper's filter: trait at least, trait below, coherence at least."""


class Rollout(Frozen):
    """One answer under one instruction."""

    pair: int = Field(ge=0)
    """Which positive and which negative answer belong together: same question, same pair of instructions."""
    side: Literal["positive", "negative"]
    """Which instruction of the pair it was given."""
    instruction: str
    """The instruction."""
    question: str
    """What was asked."""
    answer: str
    """What came back."""
    trait: float | None = Field(default=None, ge=0, le=100)
    """Score of the trait; None where there is none."""
    coherence: float | None = Field(default=None, ge=0, le=100)
    """Score of coherence; None where there is none."""
    failure: str = ""
    """Why a score is missing."""
    model: str = ""
    """Fingerprint of the model that answered; "" where it is not known."""


def asked(question: str) -> Prompt:
    """A question as a conversation."""
    return (Message(role="user", content=question),)


def collect(
    trait: Trait, generate: Generate, score: Score, coherence: Score, *, samples: int = 1, model: str = ""
) -> list[Rollout]:
    """Both sides' answers to every extraction question under every pair of instructions, scored.

    Args:
        trait: What is contrasted.
        generate: Answers prompts, e.g. `Decoder.speaker`.
        score: Scores the trait.
        coherence: Scores coherence.
        samples: Answers of each side to a question under a pair of instructions.
        model: Fingerprint of the model that answers.

    Returns:
        ``2 * contrasts * questions * samples`` rollouts; the two of a pair stand side by side.
    """
    wanted = [
        (side, getattr(contrast, side), question)
        for contrast in trait.contrasts
        for question in trait.extraction
        for _ in range(samples)
        for side in ("positive", "negative")
    ]
    questions = [question for _, _, question in wanted]
    answers = generate([asked(question) for question in questions], [text for _, text, _ in wanted])
    traits, coherences = score(questions, answers), coherence(questions, answers)
    return [
        Rollout(
            pair=number // 2, side=side, instruction=instruction, question=question, answer=answer,
            trait=_value(got), coherence=_value(read), failure=_reason(got) or _reason(read), model=model,
        )
        for number, ((side, instruction, question), answer, got, read) in enumerate(
            zip(wanted, answers, traits, coherences, strict=True)
        )
    ]  # fmt: skip


def keep(
    rollouts: Iterable[Rollout],
    *,
    positive: float = POSITIVE,
    negative: float = NEGATIVE,
    coherence: float = COHERENT,
) -> tuple[list[Rollout], list[Rollout]]:
    """The pairs of answers that show what their instructions asked for, positive and negative ones.

    A pair stays if its positive answer scores `positive` or more, its negative one below `negative`, and both
    are coherent, `coherence` or more. An answer without a score takes its pair with it.

    Raises:
        DataError: nothing is left; says why pairs went.
    """
    sides: dict[int, dict[str, Rollout]] = {}
    for rollout in rollouts:
        sides.setdefault(rollout.pair, {})[rollout.side] = rollout
    kept: list[tuple[Rollout, Rollout]] = []
    why: Counter[str] = Counter()
    for found in sides.values():
        reason = _why_not(found, positive, negative, coherence)
        if reason:
            why[reason] += 1
        else:
            kept.append((found["positive"], found["negative"]))
    if not kept:
        raise DataError(
            f"no pair of answers is left of {len(sides)} ({_listed(why)})",
            field="rollouts",
            cure="look at the answers and their scores; a model that does not follow the instructions has no "
            "contrast to take a vector from.",
        )
    return [pair[0] for pair in kept], [pair[1] for pair in kept]


def write_rollouts(rollouts: Iterable[Rollout], path: Path) -> None:
    """Write rollouts as JSON Lines.

    Raises:
        DataError: the place cannot be written.
    """
    write_whole(path, "".join(f"{rollout.model_dump_json()}\n" for rollout in rollouts))


def read_rollouts(path: Path) -> list[Rollout]:
    """Read what `write_rollouts` wrote, or rollouts that were made and scored elsewhere.

    Raises:
        DataError: the file cannot be read, or a line is no rollout.
    """
    cure = "one JSON object a line, as `synthesizeme vectors extract` writes them to rollouts.jsonl."
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"cannot be read: {error}", source=str(path), cure=cure) from None
    found = []
    for number, line in enumerate(lines, start=1):
        try:
            found.append(Rollout.model_validate(json.loads(line)))
        except ValidationError as error:
            first = error.errors()[0]
            raise DataError(
                first["msg"], source=str(path), line=number, field=".".join(map(str, first["loc"])), cure=cure
            ) from None
        except ValueError:
            raise DataError("is not JSON", source=str(path), line=number, cure=cure) from None
    return found


def _value(score: float | Failure) -> float | None:
    return None if isinstance(score, Failure) else float(score)


def _reason(score: float | Failure) -> str:
    return f"{score.kind}: {score.detail}" if isinstance(score, Failure) else ""


def _why_not(sides: dict[str, Rollout], positive: float, negative: float, coherence: float) -> str:
    if len(sides) < 2:
        return "only one side"
    high, low = sides["positive"], sides["negative"]
    if high.trait is None or low.trait is None or high.coherence is None or low.coherence is None:
        return "not scored"
    if high.trait < positive:
        return f"positive answer below {positive:g}"
    if low.trait >= negative:
        return f"negative answer at {negative:g} or more"
    if min(high.coherence, low.coherence) < coherence:
        return f"coherence below {coherence:g}"
    return ""


def _listed(why: Counter[str]) -> str:
    return ", ".join(f"{number} {reason}" for reason, number in why.most_common()) or "there was none"

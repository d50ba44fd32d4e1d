"""What a judge is sent, delimited as data, and what it replies: a verdict or a rating, and how sure.

The judge is always the same one. Of the paper's baselines, the default judge has no profile at all; memory is
the user's raw past pairs as labelled demonstrations, without reasoning or persona; demographics is what the
user said about themselves in a survey, as the persona.
"""

from __future__ import annotations

import json
import math
import random
import re
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeVar

from synthesizeme.backends import Answer, Form, Token
from synthesizeme.errors import DataError, JudgeError
from synthesizeme.profile import Persona, PersonaSentence, UserProfile
from synthesizeme.prompts import PromptTemplate, as_data, conversation_text
from synthesizeme.replies import StatedChoice, UnclearError, folded, read_choice, refuses, without_thoughts
from synthesizeme.replies import read_rating as stated_rating
from synthesizeme.types import (
    ORDERS,
    Comparison,
    Demonstration,
    Failure,
    Message,
    PreferencePair,
    Verdict,
    preferred_side,
)


def memory_profile(user_id: str, history: Sequence[PreferencePair], *, seed: int = 0) -> UserProfile:
    """All past pairs as bare labelled demonstrations, each in an order drawn by (seed, user)."""
    rng = random.Random(f"{seed}\0{user_id}\0memory")
    orders = [rng.choice(ORDERS) for _ in history]
    return UserProfile(
        user_id=user_id,
        demonstrations=tuple(
            Demonstration(comparison=pair.compare(order), preference=preferred_side(order))
            for pair, order in zip(history, orders, strict=True)
        ),
    )


def demographics_profile(user_id: str, pairs: Sequence[PreferencePair]) -> UserProfile | None:
    """The survey answers in ``metadata.user_profile`` as a persona; None when no row carries any.

    Raises:
        DataError: `user_profile` is not a mapping.
    """
    for pair in pairs:
        answers = pair.metadata.get("user_profile")
        if answers is None:
            continue
        if not isinstance(answers, dict):
            raise DataError(
                f"pair {pair.pair_id!r} has {type(answers).__name__}; expected an object of survey answers",
                field="metadata.user_profile",
                cure="store it as {question: answer}",
            )
        sentences = tuple(
            PersonaSentence(text=f"{str(question).replace('_', ' ').capitalize()}: {answer}.")
            for question, answer in answers.items()
            if answer not in (None, "", [])
        )
        if sentences:
            persona = Persona(sentences=sentences, made_by="the user", prompt_id="survey")
            return UserProfile(user_id=user_id, persona=persona)
    return None


def comparison_text(comparison: Comparison, prompt: PromptTemplate) -> str:
    """The user turn that asks about one comparison."""
    return prompt.render(
        "comparison",
        conversation=conversation_text(comparison.prompt),
        first_response=as_data(comparison.first),
        second_response=as_data(comparison.second),
    )


UNKNOWN_CONFIDENCE = 75
"""What a demonstration states where no judge said how sure it was: half way to certain, in percent."""


OWN_WORDS = "the user says why: “{}”"
"""A demonstration's reasoning where the user gave it, on one line."""


def demonstration_turns(demonstration: Demonstration, prompt: PromptTemplate) -> tuple[Message, Message]:
    """A past choice as a question and its answer in the form that is asked for.

    The confidence is what the judge itself gave the choice before it was verified, never 100 because the
    choice is known: a judge that is shown certainty learns to state it.
    """
    values = {
        "preference": demonstration.preference.capitalize(),
        "confidence": str(
            UNKNOWN_CONFIDENCE if demonstration.confidence is None else round(100 * demonstration.confidence)
        ),
    }
    if demonstration.reasoning:
        said = " ".join(demonstration.reasoning.split())
        reasoning = OWN_WORDS.format(said) if demonstration.own_words else demonstration.reasoning
        answer = prompt.render("demonstration", reasoning=as_data(reasoning), **values)
    else:
        answer = prompt.render("label", **values)
    question = comparison_message(demonstration.comparison, prompt)
    return question, Message(role="assistant", content=answer)


def system_message(profile: UserProfile | None, prompt: PromptTemplate) -> Message:
    """The instruction, with the persona of `profile` if it has one."""
    system = prompt.render("system")
    if profile is not None and profile.persona is not None:
        system += "\n\n" + prompt.render("persona", persona=as_data(profile.persona.text))
    return Message(role="system", content=system)


def context_messages(profile: UserProfile | None, prompt: PromptTemplate) -> tuple[Message, ...]:
    """Everything before the comparison: the system message and the demonstrations of `profile`."""
    turns = [
        turn
        for demonstration in (profile.demonstrations if profile else ())
        for turn in demonstration_turns(demonstration, prompt)
    ]
    return (system_message(profile, prompt), *turns)


def comparison_message(comparison: Comparison, prompt: PromptTemplate) -> Message:
    """The turn that asks for a verdict on `comparison`."""
    return Message(role="user", content=comparison_text(comparison, prompt))


def judge_messages(
    comparison: Comparison, profile: UserProfile | None, prompt: PromptTemplate
) -> tuple[Message, ...]:
    """The whole conversation that asks a judge about `comparison`."""
    return (*context_messages(profile, prompt), comparison_message(comparison, prompt))


LEAST_WEIGHT = 0.5
"""Share of what could have stood in a place that the words looked for must have together.

The rest could all speak for one of them. From a half on, what is known of the words outweighs what is not;
below it most of what the model would have said there is something else, and its leaning is not known.
"""
CLIP = 1e-6
"""No chance from log-probabilities is nearer to 0 or 1: they are cut and rounded on their way."""


def chance_of(tokens: Sequence[Token], place: int, own: str, rival: str) -> float | None:
    """P(own) / (P(own) + P(rival)) where `own` was generated; None if too little is known.

    A token that is the beginning of a word counts for it, behind white space and marks of emphasis. A word
    that is not among the alternatives is less likely than the last of them, and than what they leave over:
    the larger it could be, the nearer the chance is to one half, so that much is assumed.

    Args:
        tokens: Generated tokens with their alternatives.
        place: Where the word begins in the text of all tokens.
        own: What stands there, `folded`.
        rival: What would stand there otherwise, `folded`; the two differ in their first character.
    """
    found = _token_at(tokens, place)
    if found is None:
        return None
    token, before = found
    shared = re.sub(r"^[\W_]+", "", folded(token.text[:before]))
    own_mass = rival_mass = marks = total = 0.0
    for text, logprob in token.alternatives:
        mass = math.exp(logprob)
        total += mass
        word = re.sub(r"^[\W_]+", "", folded(text))
        if not word:
            marks += mass
        elif word.startswith(shared):
            rest = word[len(shared) :]
            own_mass += mass * _begins(rest, own)
            rival_mass += mass * _begins(rest, rival)
    if not token.alternatives or own_mass + rival_mass < LEAST_WEIGHT * (1 - min(marks, 1.0)):
        return None
    unlisted = min(min(math.exp(logprob) for _, logprob in token.alternatives), max(0.0, 1 - total))
    own_mass, rival_mass = own_mass or unlisted, rival_mass or unlisted
    share = own_mass / (own_mass + rival_mass)
    return min(max(share, CLIP), 1 - CLIP)


def mean_number(tokens: Sequence[Token], start: int, end: int, largest: float) -> float | None:
    """Mean of the whole numbers up to `largest` that stood in a place, weighted by their probabilities.

    None where the number is spread over several tokens or holds more than digits, or where numbers have less
    than `LEAST_WEIGHT` together.

    Args:
        tokens: Generated tokens with their alternatives.
        start: Where the digits begin in the text of all tokens.
        end: Where they end.
        largest: The largest number on the scale.

    References:
        Liu et al., "G-Eval: NLG Evaluation using GPT-4 with Better Human Alignment" (2023), equation 1.
    """
    found = _token_at(tokens, start)
    if found is None or not 0 < end - start <= len(found[0].text) - found[1]:
        return None
    token, before = found
    if re.search(r"\w", token.text[:before] + token.text[before + end - start :]):
        return None
    masses: dict[int, float] = {}
    marks = 0.0
    for text, logprob in token.alternatives:
        word = re.sub(r"^[\W_]+|[\W_]+$", "", folded(text))
        if not word:
            marks += math.exp(logprob)
        elif re.fullmatch(r"\d{1,3}", word) and int(word) <= largest:
            masses[int(word)] = masses.get(int(word), 0.0) + math.exp(logprob)
    total = sum(masses.values())
    if total == 0 or total < LEAST_WEIGHT * (1 - min(marks, 1.0)):
        return None
    return sum(number * mass for number, mass in masses.items()) / total


def _token_at(tokens: Sequence[Token], place: int) -> tuple[Token, int] | None:
    """The token that holds a place of the text, and how many of its characters stand before it."""
    begin = 0
    for token in tokens:
        if begin <= place < begin + len(token.text):
            return token, place - begin
        begin += len(token.text)
    return None


def _begins(text: str, word: str) -> bool:
    """Whether a token is the beginning of a word, or the word and no longer one."""
    if text.startswith(word):
        behind = text[len(word) : len(word) + 1]
        return not (behind.isascii() and behind.isalnum())
    return bool(text) and word.startswith(text)


Read = TypeVar("Read")


def read_verdict(answer: Answer) -> Verdict:
    """The verdict in a reply.

    Which response it prefers is read by the rules of `synthesizeme.replies.read_choice`. The probability of
    "first" comes from the tokens' log-probabilities where the model gave them, else from the confidence the
    reply states, else from the bare preference (0, 0.5 or 1) of a reply that states none. A confidence that
    stands there and cannot be read is no certainty: such a reply is not read, so that it is asked again. The
    probability is never on the other side of the preference: a verdict that the model itself thinks the less
    likely counts as even.

    Raises:
        JudgeError: the reply names no clear preference, or a confidence that cannot be read or was cut off.
    """
    try:
        said = read_choice(answer.text, cut_off=answer.cut_off)
    except UnclearError as error:
        raise JudgeError(
            f"no clear preference in the reply: {error}; expected 'Preference: First' or '... Second'",
            reply=answer.text,
        ) from None
    if said.side == "tie":
        return Verdict(preference="tie", probability=0.5, reasoning=said.reasoning)
    measured = _measured(answer, said)
    sure = said.confidence if measured is None else measured
    source = "logprobs" if measured is not None else "verdict" if sure is None else "stated"
    sure = 1.0 if sure is None else max(sure, 0.5)
    return Verdict(
        preference=said.side,
        probability=sure if said.side == "first" else 1 - sure,
        probability_source=source,
        reasoning=said.reasoning,
    )


def _measured(answer: Answer, said: StatedChoice) -> float | None:
    """The chance of the preferred response by the tokens; None where they do not tell."""
    text = "".join(token.text for token in answer.tokens)
    if not text:
        return None
    try:
        spoken = said if text == answer.text else read_choice(text, cut_off=answer.cut_off)
    except UnclearError:
        return None
    if spoken.place is None or spoken.side != said.side:
        return None
    return chance_of(answer.tokens, spoken.place, *spoken.words)


def verdict_or_failure(outcome: Answer | Failure) -> Verdict | Failure:
    """The verdict in what came back for a question; what cannot be read is a typed `Failure`."""
    return read_or_failure(outcome, read_verdict)


def read_or_failure(
    outcome: Answer | Failure, read: Callable[[Answer], Read], sought: str = "preference"
) -> Read | Failure:
    """What `read` finds in an answer; where it raises a `JudgeError`, a `Failure` of that kind.

    Args:
        outcome: What came back for a question.
        read: Reads an answer.
        sought: What it reads, in a word.
    """
    if isinstance(outcome, Failure):
        return outcome
    try:
        return read(outcome)
    except JudgeError as error:
        if outcome.cut_off:
            return Failure(kind="parse", detail=f"the reply was cut off at max_tokens before a {sought}")
        kind = "refusal" if refuses(error.reply) else "parse"
        shown = " ".join(error.reply.split())[:200]
        return Failure(kind=kind, detail=f"{error}; it says: {shown!r}")


def read_rating(answer: Answer) -> float:
    """The rating in a reply as a chance, in [0, 1], by the rules of `synthesizeme.replies.read_rating`.

    Where the model gave the alternatives of the token that holds the number, it is their mean, weighted by
    their probabilities and on the same scale; a number spread over several tokens is taken as it is written.

    Raises:
        JudgeError: the reply gives no number, or one on no scale that can be told.
    """
    try:
        said = stated_rating(answer.text, cut_off=answer.cut_off)
        text = "".join(token.text for token in answer.tokens)
        spoken = said if text in ("", answer.text) else stated_rating(text, cut_off=answer.cut_off)
    except UnclearError as error:
        raise JudgeError(
            f"no rating in the reply: {error}; expected a line 'Rating: ' with a number from 0 to 100",
            reply=answer.text,
        ) from None
    if spoken != said:
        return said.chance
    mean = mean_number(answer.tokens, spoken.start, spoken.end, spoken.most)
    return said.chance if mean is None else mean / spoken.most


def _can(read: Callable[[Answer], Any], answer: Answer) -> bool:
    """Whether an answer can be read."""
    try:
        read(answer)
    except JudgeError:
        return False
    return True


def _one_of(numbers: range) -> dict[str, Any]:
    """One of these numbers, as a list: bounds of integers are not taken by every endpoint."""
    return {"type": "integer", "enum": list(numbers)}


def _schema(**properties: dict[str, Any]) -> str:
    """A JSON schema that wants all of its properties, in this order, and no other."""
    return json.dumps(
        {
            "type": "object",
            "properties": properties,
            "required": list(properties),
            "additionalProperties": False,
        }
    )


VERDICT = Form(
    name="verdict",
    schema=_schema(
        reasoning={"type": "string"},
        preference={"type": "string", "enum": ["First", "Second"]},
        confidence=_one_of(range(50, 101)),
    ),
    opening="Preference:",
    words=("First", "Second"),
    mending="Which response does the user prefer, by what you just said? Answer with one word: First or "
    "Second.",
    least_readable=0.5,
    readable=partial(_can, read_verdict),
    refuses=refuses,
    said=without_thoughts,
)
"""Which of two responses the user prefers."""
RATING = Form(
    name="rating",
    schema=_schema(reasoning={"type": "string"}, rating=_one_of(range(101))),
    opening="Rating:",
    mending="Which rating is that, by what you just said? Answer with one whole number from 0 to 100.",
    readable=partial(_can, read_rating),
    refuses=refuses,
    said=without_thoughts,
)
"""How much the user would like a response."""

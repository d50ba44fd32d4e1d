"""What a judge is sent: instruction, persona, demonstrations, and the comparison, each delimited as data.

The judge is always the same one. Of the paper's baselines, the default judge has no profile at all; memory is
the user's raw past pairs as labelled demonstrations, without reasoning or persona; demographics is what the
user said about themselves in a survey, as the persona.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

from synthesizeme.errors import DataError
from synthesizeme.profile import Persona, PersonaSentence, UserProfile
from synthesizeme.prompts import PromptTemplate, as_data, conversation_text
from synthesizeme.types import ORDERS, Comparison, Demonstration, Message, PreferencePair, preferred_side


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
        answer = prompt.render("demonstration", reasoning=as_data(demonstration.reasoning), **values)
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

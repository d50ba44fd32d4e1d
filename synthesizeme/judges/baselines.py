"""The profiles that baselines of the paper stand for: the judge is always the same one.

- default judge: no profile at all (`LLMJudge` without profiles);
- memory: the user's raw past pairs as labelled demonstrations, no reasoning, no persona;
- demographics: what the user said about themselves in a survey, as the persona.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

from synthesizeme.errors import DataError
from synthesizeme.profile import Persona, PersonaSentence, UserProfile
from synthesizeme.types import ORDERS, Demonstration, PreferencePair, preferred_side


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

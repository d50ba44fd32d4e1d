"""What a profile says, held against the choices that came since it was made: drift, sentence by sentence."""

from __future__ import annotations

from collections.abc import Sequence

from synthesizeme.backends import Ledger, Session, open_model
from synthesizeme.judges import LLMJudge
from synthesizeme.personas.selection import draw_orders
from synthesizeme.personas.trial import recorded, try_statements
from synthesizeme.profile import Persona, PersonaSentence, UserProfile
from synthesizeme.types import PreferencePair

MOST_CALLS = 400
"""Calls of the model for one look at a profile, at most; a sentence that they do not reach is not tried."""


def held_since(
    ledger: Ledger, profile: UserProfile, pairs: Sequence[PreferencePair], *, seed: int = 0
) -> list[PersonaSentence]:
    """The statements of a profile, in order, each with its record on the choices that came since alone.

    A statement that was never tried, such as one of the person's own, has its record on all choices. They are
    tried as by an induction (`synthesizeme.personas.trial`); nothing is written.

    Args:
        ledger: Through which the model is asked.
        profile: The profile as it is stored.
        pairs: All choices of the user; those that the profile was made of are told by their ids.
        seed: Seed of the order in which a pair is shown.

    Raises:
        BackendError: the model cannot be reached.
    """
    if profile.persona is None:
        return []
    known = profile.provenance.splits if profile.provenance else {}
    later = [pair for pair in pairs if pair.pair_id not in known]
    statements = profile.persona.statements
    fresh = iter(_tried(ledger, [it for it in statements if it.silent is None], pairs, profile.user_id, seed))
    older = iter(
        _tried(ledger, [it for it in statements if it.silent is not None], later, profile.user_id, seed)
    )
    return [next(fresh if it.silent is None else older) for it in statements]


def read_since(profile: UserProfile, pairs: Sequence[PreferencePair]) -> list[PersonaSentence]:
    """`held_since` by the embedded reader, which takes milliseconds and asks nobody."""
    if profile.persona is None or not pairs:
        return []
    with Session(open_model("builtin")) as session:
        return held_since(session.ledger(), profile, pairs)


def as_of_now(profile: UserProfile, since: Sequence[PersonaSentence]) -> UserProfile:
    """The profile with the record of each statement brought up to date by what `held_since` found."""
    if profile.persona is None:
        return profile
    found = [_together(it, new) for it, new in zip(profile.persona.statements, since, strict=True)]
    own = len(profile.persona.sentences)
    persona = profile.persona.model_copy(
        update={"sentences": tuple(found[:own]), "common": tuple(found[own:])}
    )
    return profile.model_copy(update={"persona": persona})


def _tried(
    ledger: Ledger,
    sentences: Sequence[PersonaSentence],
    pairs: Sequence[PreferencePair],
    user_id: str,
    seed: int,
) -> list[PersonaSentence]:
    bare = [it.model_copy(update={"pair_ids": (), "against": (), "silent": None}) for it in sentences]
    if not bare or not pairs:
        return bare

    def judge(stage: str, persona: Persona) -> LLMJudge:
        known = {user_id: UserProfile(user_id=user_id, persona=persona)}
        return LLMJudge(ledger, known, name=stage)

    orders = draw_orders(pairs, seed=seed)
    tried = try_statements(ledger, bare, pairs, orders, judge=judge, max_calls=MOST_CALLS)
    return [recorded(tried, column, it.gain, set()) for column, it in enumerate(sentences)]


def _together(before: PersonaSentence, since: PersonaSentence) -> PersonaSentence:
    if before.silent is None:
        return since.model_copy(update={"pair_ids": since.pair_ids or before.pair_ids})
    return before.model_copy(
        update={
            "pair_ids": (*before.pair_ids, *(it for it in since.pair_ids if it not in before.pair_ids)),
            "against": (*before.against, *(it for it in since.against if it not in before.against)),
            "silent": before.silent + (since.silent or 0),
            "quotes": before.quotes or since.quotes,
        }
    )

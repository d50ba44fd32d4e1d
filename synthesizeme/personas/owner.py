"""The owner's hand: a persona belongs to the person described, who adds, edits, pins and strikes sentences.

What the person says and pins stays whatever a later induction finds, and what was struck is not said again:
neither in the same words, nor in others that `synthesizeme.personas.cautions.say_the_same` takes for the
same. The person's own and pinned sentences are tried on the choices as all others are; their record is shown,
and decides nothing. Sentences are data: a prompt shows them between tags (`synthesizeme.prompts.as_data`).

Each change makes a new profile of an old one. `correct` makes it where the profile is kept.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, TypeVar

from synthesizeme.errors import DataError
from synthesizeme.personas.cautions import say_the_same
from synthesizeme.personas.documents import profile_documents
from synthesizeme.personas.synthesis import MAX_SENTENCE_CHARACTERS
from synthesizeme.plain_text import count, short_repr
from synthesizeme.profile import Correction, Persona, PersonaSentence, UserProfile
from synthesizeme.profiles.folder import earlier_profile, save_profile
from synthesizeme.profiles.opening import rewrite_profile

Profile = TypeVar("Profile", bound=UserProfile)

MOST_KEPT = 24
"""Most sentences of one profile that are the person's own or pinned."""
OWNER, OWN_WORDS = "the user", "own words"
"""`Persona.made_by` and `Persona.prompt_id` of a persona of own sentences alone."""


def add(profile: Profile, text: str, *, at: datetime | None = None) -> Profile:
    """The profile with a sentence of the person's own; what was struck may be said again this way.

    Args:
        profile: The profile.
        text: The sentence, at most `MAX_SENTENCE_CHARACTERS`; white space becomes single spaces.
        at: When, by default now.

    Raises:
        DataError: the sentence is empty or too long, holds no word or a control character, is there already,
            or is one too many.
    """
    said = _checked(text)
    there = list(profile.persona.sentences) if profile.persona else []
    common = profile.persona.common if profile.persona else ()
    _refuse_repeated(profile, said)
    _refuse_more(profile)
    there.append(PersonaSentence(text=said, by="owner"))
    struck = tuple(it for it in profile.struck if not say_the_same(it, said))
    return _changed(profile, there, common, struck, Correction(at=_moment(at), kind="added", text=said))


def edit(profile: Profile, number: int, text: str, *, at: datetime | None = None) -> Profile:
    """The profile with a sentence in the person's own words, not tried yet; the old wording is struck.

    Args:
        profile: The profile.
        number: Which sentence, from 1, as `shown` numbers them.
        text: The sentence as it is to be; see `add`.
        at: When, by default now.

    Raises:
        DataError: there is no such sentence, or as `add`.
    """
    before, said = _sentence(profile, number), _checked(text)
    if said == before.text:
        return profile
    _refuse_repeated(profile, said)
    if not before.kept:
        _refuse_more(profile)
    own = PersonaSentence(text=said, by="owner", pinned=before.pinned)
    struck = tuple(it for it in profile.struck if not say_the_same(it, said))
    done = Correction(at=_moment(at), kind="edited", text=said, before=before.text)
    return _changed(profile, *_with(profile, number, own), (*struck, before.text), done)


def pin(profile: Profile, number: int, *, off: bool = False, at: datetime | None = None) -> Profile:
    """The profile with a sentence pinned: it stays whatever a later induction finds.

    Args:
        profile: The profile.
        number: Which sentence, from 1, as `shown` numbers them.
        off: Whether it is let go instead.
        at: When, by default now.

    Raises:
        DataError: there is no such sentence, or too many are kept.
    """
    it = _sentence(profile, number)
    if it.pinned is not off:
        return profile
    if not it.kept:
        _refuse_more(profile)
    kind: Literal["pinned", "unpinned"] = "unpinned" if off else "pinned"
    done = Correction(at=_moment(at), kind=kind, text=it.text)
    parts = _with(profile, number, it.model_copy(update={"pinned": not off}))
    return _changed(profile, *parts, profile.struck, done)


def strike(profile: Profile, number: int, *, at: datetime | None = None) -> Profile:
    """The profile without a sentence, which no induction says again.

    Args:
        profile: The profile.
        number: Which sentence, from 1, as `shown` numbers them.
        at: When, by default now.

    Raises:
        DataError: there is no such sentence.
    """
    it = _sentence(profile, number)
    done = Correction(at=_moment(at), kind="struck", text=it.text)
    return _changed(profile, *_with(profile, number, None), (*profile.struck, it.text), done)


def shown(profile: UserProfile, since: Sequence[PersonaSentence] = ()) -> dict[str, Any]:
    """What is believed of a person, as plain values: numbered sentences with their records, the history.

    Args:
        profile: What is believed.
        since: What `synthesizeme.personas.since` found for each sentence; empty: nothing was looked at.
    """
    persona = profile.persona
    own = len(persona.sentences) if persona else 0
    return {
        "user_id": profile.user_id,
        "sentences": [
            {
                "number": number,
                "common": number > own,
                "record": it.record,
                "since": since[number - 1].record if since else "",
                **it.model_dump(mode="json"),
            }
            for number, it in enumerate(persona.statements if persona else (), 1)
        ],
        "struck": list(profile.struck),
        "history": [it.model_dump(mode="json") for it in profile.corrections],
    }


def beside_kept(proposed: Persona | None, before: UserProfile | None) -> Persona | None:
    """What the person keeps, and after it what a writer proposes and the person neither says nor struck."""
    if before is None or not before.corrections:
        return proposed
    kept = _kept(before)
    return _persona(proposed or before.persona, [*kept, *_new(proposed, kept, before.struck)], ())


def carried(made: Profile, before: UserProfile | None) -> Profile:
    """A profile with what the person did to an earlier one; once that is in it, it stays as it is.

    Where both were corrected apart from each other, what is kept in either stays unless the other has it
    struck.

    Args:
        made: The profile.
        before: The earlier one; None where there is none.
    """
    if before is None or set(before.corrections) <= set(made.corrections):
        return made
    apart = not set(made.corrections) <= set(before.corrections)
    struck = tuple(dict.fromkeys((*before.struck, *(made.struck if apart else ()))))
    found = {it.text: it for it in (made.persona.statements if made.persona else ())}
    kept = {
        it.text: found.get(it.text, it).model_copy(update={"by": it.by, "pinned": it.pinned})
        for it in _kept(before)
    }
    if apart:
        kept = {it.text: it for it in (*kept.values(), *_kept(made)) if it.text not in struck}
    mine, persona = list(kept.values()), made.persona or before.persona
    known = _persona(
        persona,
        [*mine, *_new(made.persona, mine, struck)],
        _new(made.persona, mine, struck, common=True),
    )
    corrections = sorted({*before.corrections, *made.corrections}, key=lambda it: it.at)
    update = {"persona": known, "struck": struck, "corrections": tuple(corrections)}
    return made.model_copy(update=update)


def save(
    root: Path,
    profile: UserProfile,
    judge_prompt: str,
    *,
    extra: Mapping[str, str] | None = None,
    force: bool = False,
) -> dict[str, Path]:
    """Write a profile with all its documents under `root`; what the person did to one that is there stays.

    Args:
        root: Folder of all users.
        profile: The profile.
        judge_prompt: Name or path of the judge prompt.
        extra: Text of further files by name.
        force: Whether something else that is there is replaced.

    Returns:
        Path of each file, by file name.

    Raises:
        DataError: as `save_profile`.
    """
    pairs = profile.provenance.splits if profile.provenance else ()
    known = carried(profile, earlier_profile(root, profile.user_id, pairs))
    return save_profile(root, known, {**profile_documents(known, judge_prompt), **(extra or {})}, force=force)


def correct(
    place: str | Path,
    user: str | None,
    change: Callable[[UserProfile], UserProfile],
    *,
    key_file: str | Path | None = None,
    judge_prompt: str = "judge/default",
) -> UserProfile:
    """Change a profile where it is kept, all or nothing; in a store as the user's next version.

    Args:
        place: As `synthesizeme.profiles.open_profiles`. In a folder the documents beside the profile are
            written anew, and what an evaluation measured of it before stays.
        user: Whose profile; may be left out where there is one.
        change: Makes the new profile of the old one, such as ``lambda profile: pin(profile, 3)``.
        key_file: Key of an encrypted store.
        judge_prompt: Name or path of the judge prompt that stands beside the profile.

    Returns:
        The profile as it is now.

    Raises:
        DataError: the change cannot be made, nothing can be read there, or it cannot be written.
        ConfigError: the user has no profile there, or there are several and none is named.
        StoreConflictError: another writer was first.
    """
    return rewrite_profile(
        place, user, change, lambda it: profile_documents(it, judge_prompt), key_file=key_file
    )


def _moment(at: datetime | None) -> datetime:
    return datetime.now(UTC) if at is None else at.astimezone(UTC)


def _checked(text: str) -> str:
    """A sentence on one line.

    Raises:
        DataError: it is none; says why.
    """
    said = " ".join(text.split())
    problem = None
    if not said:
        problem, cure = "is empty; expected a sentence", "say something; to drop a sentence, strike it"
    elif len(said) > MAX_SENTENCE_CHARACTERS:
        problem = f"has {len(said):,} characters; expected at most {MAX_SENTENCE_CHARACTERS}"
        cure = "make it shorter, or two sentences of it"
    elif any(unicodedata.category(char) in ("Cc", "Cs", "Cn") for char in said):
        problem, cure = f"{short_repr(said)} holds a control character; expected text", "leave it out"
    elif not any(char.isalnum() for char in said):
        problem, cure = f"{short_repr(said)} holds no word; expected a sentence", "say it in words"
    if problem:
        raise DataError(problem, field="text", cure=cure)
    return said


def _sentence(profile: UserProfile, number: int) -> PersonaSentence:
    statements = profile.persona.statements if profile.persona else ()
    if not 1 <= number <= len(statements):
        there = f"there are 1 to {len(statements)}" if statements else "the persona has none"
        raise DataError(
            f"there is no sentence {number}; {there}",
            field="number",
            cure="look at the persona again, and name one of its numbers" if statements else "add a sentence",
        )
    return statements[number - 1]


def _refuse_repeated(profile: UserProfile, said: str) -> None:
    for number, it in enumerate(profile.persona.statements if profile.persona else (), 1):
        if it.text == said:
            cure = "leave it as it is" if it.kept else f"pin sentence {number} to keep it"
            raise DataError(f"sentence {number} says that already", field="text", cure=cure)


def _refuse_more(profile: UserProfile) -> None:
    if len(_kept(profile)) >= MOST_KEPT:
        problem = f"{count(MOST_KEPT, 'sentence')} of this persona are kept already, and no more can be"
        raise DataError(problem, field="text", cure="strike one of your own, or let go of a pinned one")


def _kept(profile: UserProfile) -> list[PersonaSentence]:
    return [it for it in (profile.persona.statements if profile.persona else ()) if it.kept]


def _new(
    persona: Persona | None,
    kept: Sequence[PersonaSentence],
    struck: Sequence[str],
    *,
    common: bool = False,
) -> list[PersonaSentence]:
    """Sentences of a writer that the person neither keeps, in whatever words, nor struck."""
    spoken = [*(it.text for it in kept), *struck]
    written = () if persona is None else persona.common if common else persona.sentences
    return [it for it in written if not it.kept and not any(say_the_same(it.text, own) for own in spoken)]


def _with(
    profile: UserProfile, number: int, sentence: PersonaSentence | None
) -> tuple[list[PersonaSentence], list[PersonaSentence]]:
    """Both parts of the persona with a sentence replaced, or dropped."""
    assert profile.persona is not None
    own, common = list(profile.persona.sentences), list(profile.persona.common)
    part, place = (own, number - 1) if number <= len(own) else (common, number - 1 - len(own))
    part[place : place + 1] = [] if sentence is None else [sentence]
    return own, common


def _persona(
    source: Persona | None, sentences: Sequence[PersonaSentence], common: Sequence[PersonaSentence]
) -> Persona | None:
    """A persona of these sentences, written by who wrote `source`, unless all are the person's own."""
    statements = (*sentences, *common)
    if not statements:
        return None
    written = None if all(it.by == "owner" for it in statements) else source
    return Persona(
        sentences=tuple(sentences),
        common=tuple(common),
        made_by=OWNER if written is None else written.made_by,
        prompt_id=OWN_WORDS if written is None else written.prompt_id,
    )


def _changed(
    profile: Profile,
    sentences: Sequence[PersonaSentence],
    common: Sequence[PersonaSentence],
    struck: Sequence[str],
    done: Correction,
) -> Profile:
    update = {
        "persona": _persona(profile.persona, sentences, common),
        "struck": tuple(dict.fromkeys(struck)),
        "corrections": (*profile.corrections, done),
    }
    return profile.model_copy(update=update)

"""What changed between two profiles of one user."""

from __future__ import annotations

from synthesizeme.profile import PersonaSentence, UserProfile
from synthesizeme.profiles.store import ProfileChange
from synthesizeme.types import Demonstration


def difference(earlier: UserProfile, later: UserProfile) -> ProfileChange:
    """Sentences and demonstrations that only one of two profiles has; what merely moved is no change."""
    return ProfileChange(
        sentences_added=_sentences_missing(earlier, later),
        sentences_removed=_sentences_missing(later, earlier),
        demonstrations_added=_demonstrations_missing(earlier, later),
        demonstrations_removed=_demonstrations_missing(later, earlier),
    )


def _sentences(profile: UserProfile) -> tuple[PersonaSentence, ...]:
    return () if profile.persona is None else profile.persona.sentences


def _sentences_missing(here: UserProfile, there: UserProfile) -> tuple[PersonaSentence, ...]:
    known = {sentence.text for sentence in _sentences(here)}
    return tuple(sentence for sentence in _sentences(there) if sentence.text not in known)


def _demonstrations_missing(here: UserProfile, there: UserProfile) -> tuple[Demonstration, ...]:
    known = {item.model_dump_json() for item in here.demonstrations}
    return tuple(item for item in there.demonstrations if item.model_dump_json() not in known)

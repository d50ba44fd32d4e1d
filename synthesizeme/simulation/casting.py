"""Personas in words from a file: who is to be played."""

from __future__ import annotations

from pathlib import Path

from synthesizeme.datasets.rows import json_lines
from synthesizeme.errors import DataError
from synthesizeme.profile import Persona, PersonaSentence, UserProfile

_CURE = 'give {"user_id": ..., "persona": "The user prefers ..."}'


def read_personas(path: str | Path) -> dict[str, UserProfile]:
    """Profiles of a file with one ``{"user_id", "persona"}`` per line; a persona is text, a sentence a line.

    Raises:
        DataError: the file cannot be read, holds no row, a row lacks either field, or a user comes twice.
    """
    found: dict[str, UserProfile] = {}
    for place in json_lines(Path(path)):
        if isinstance(place, DataError):
            raise place
        user, words = place.row.get("user_id"), place.row.get("persona")
        for field, value in (("user_id", user), ("persona", words)):
            if not isinstance(value, str) or not value.strip():
                raise place.error("found no text; expected some", field=field, cure=_CURE)
        if user in found:
            raise place.error(f"user {str(user)[:60]!r} has a persona already", field="user_id", cure=_CURE)
        found[str(user)] = persona_of(str(user), str(words))
    return found


def persona_of(user_id: str, words: str, *, made_by: str = "by hand") -> UserProfile:
    """A profile that is a persona in words alone, each line a sentence."""
    sentences = tuple(PersonaSentence(text=line.strip()) for line in words.splitlines() if line.strip())
    return UserProfile(
        user_id=user_id, persona=Persona(sentences=sentences, made_by=made_by, prompt_id="none")
    )

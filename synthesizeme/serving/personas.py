"""The owner's hand over the wire: what is believed of a user, and a request that corrects it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from synthesizeme.errors import DataError
from synthesizeme.personas import owner
from synthesizeme.personas.since import read_since
from synthesizeme.personas.synthesis import MAX_SENTENCE_CHARACTERS
from synthesizeme.plain_text import short_repr
from synthesizeme.profile import UserProfile
from synthesizeme.profiles.store import ProfileVersion
from synthesizeme.types import PreferencePair

_Text = Annotated[str, Field(min_length=1, max_length=MAX_SENTENCE_CHARACTERS, pattern=r"\S")]
_Number = Annotated[int, Field(ge=1, description="Number of the sentence, as GET shows it.")]
_Version = Annotated[
    int | None, Field(ge=0, description="That of GET; where it is no longer the latest, nothing is changed.")
]


class _Change(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    change: Literal["add", "edit", "pin", "strike"]
    version: _Version = None

    def made(self, profile: UserProfile) -> UserProfile:
        """The profile after it."""
        correct: Callable[..., UserProfile] = getattr(owner, self.change)
        return correct(profile, **self.model_dump(exclude={"change", "version"}))


class Add(_Change):
    """A sentence of the user's own."""

    change: Literal["add"]
    text: _Text


class Edit(_Change):
    """A sentence in the user's own words."""

    change: Literal["edit"]
    number: _Number
    text: _Text


class Pin(_Change):
    """A sentence that is to stay, or with `off` is let go."""

    change: Literal["pin"]
    number: _Number
    off: bool = False


class Strike(_Change):
    """A sentence that is not to be said again."""

    change: Literal["strike"]
    number: _Number


Change = Add | Edit | Pin | Strike
_KINDS: dict[Any, type[Change]] = {"add": Add, "edit": Edit, "pin": Pin, "strike": Strike}


def read_change(body: dict[str, Any]) -> Change:
    """A change as a request says it.

    Raises:
        DataError: it is none.
    """
    kind = body.get("change")
    if not isinstance(kind, str) or kind not in _KINDS:
        raise DataError(f"found {short_repr(kind)}; expected {', '.join(_KINDS)}", field="change")
    try:
        return _KINDS[kind].model_validate(body)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise DataError(first["msg"], field=".".join(map(str, first["loc"]))[:80] or None) from None


class PersonaShown(BaseModel):
    """What is believed of a user; see `synthesizeme.personas.owner.shown`."""

    user_id: str
    version: Annotated[int, Field(ge=0)]
    sentences: list[Any]
    struck: list[str]
    history: list[Any]


def shown(found: ProfileVersion, pairs: Sequence[PreferencePair]) -> PersonaShown:
    """What is believed of a user by this version of the profile, held against the choices that came since."""
    return PersonaShown(version=found.version, **owner.shown(found.profile, read_since(found.profile, pairs)))
